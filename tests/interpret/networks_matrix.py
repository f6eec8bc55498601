"""Asks one kind of model after another what concerns whole networks; run in a process of its own for each backend.

    KERAS_BACKEND=jax python networks_matrix.py RESULTS.npz

Writes what every method gave, under "kind/channels/method", and an error's text where it failed. The models are those
of attribution_matrix.py, which on JAX also lets no TensorFlow be found.
"""

import os
import sys

from attribution_matrix import FIRST_LAYER, KINDS, SIDE, seeded, state

import keras  # isort: skip
import numpy as np  # isort: skip

from convlens.interpret.architecture import architecture  # isort: skip
from convlens.interpret.comparison import compare  # isort: skip
from convlens.interpret.neighbours import embedding, nearest_neighbours  # isort: skip


def methods(model, other, split, layer):
    compared = []

    def comparison():
        if not compared:
            compared.append(compare(model, other, split, [layer], batch_size=6))
        return compared[0]

    yield "architecture", lambda: [(one.parameters, one.multiply_adds) for one in architecture(model).layers]
    yield "similarity", lambda: comparison().similarity
    yield "matched units", lambda: comparison().units[layer, layer].correlation
    yield "answers", lambda: comparison().agreement.both.sum()
    yield "neighbours", lambda: nearest_neighbours(model, split["image"][:2], split, layer, count=3).distances
    yield "embedding", lambda: embedding(model, split, layer, most=5).vectors


def main(out):
    results = {}
    for kind, build in KINDS.items():
        for channels in (1, 3):
            model, other = seeded(build(channels)), seeded(build(channels))
            other.set_weights([weights[..., ::-1] for weights in other.get_weights()])
            for one in (model, other):
                one(np.zeros((1, SIDE, SIDE, channels)))  # from now on Keras notes that it was called
            before = state(model)
            images = np.random.default_rng(1).integers(0, 256, (12, SIDE, SIDE, channels)).astype(np.uint8)
            split = {"image": images, "label": np.arange(12) % 3}
            for name, ask in methods(model, other, split, FIRST_LAYER.get(kind, "conv1")):
                key = f"{kind}/{channels}/{name}"
                try:
                    results[key] = np.asarray(ask())
                except Exception as error:
                    results[f"{key}/error"] = np.array(f"{type(error).__name__}: {error}")
            changed = state(model) != before
            results[f"{kind}/{channels}/unchanged" + "/error" * changed] = np.array(not changed)
    assert os.environ["KERAS_BACKEND"] == keras.backend.backend()
    np.savez(out, **results)


if __name__ == "__main__":
    main(sys.argv[1])
