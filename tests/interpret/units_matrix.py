"""Asks one kind of model after another every question about its units; run in a process of its own for each backend.

    KERAS_BACKEND=jax python units_matrix.py RESULTS.npz

Writes what every method gave, under "kind/channels/method", and an error's text where it failed. The models are those
of attribution_matrix.py, which on JAX also lets no TensorFlow be found.
"""

import os
import sys

from attribution_matrix import FIRST_LAYER, KINDS, SIDE, seeded, state

import keras  # isort: skip
import numpy as np  # isort: skip

from convlens.interpret.ablation import ablate, ablate_shares  # isort: skip
from convlens.interpret.concepts import ConceptsCollector  # isort: skip
from convlens.interpret.unit_pass import unit_pass  # isort: skip
from convlens.interpret.patches import PatchesCollector  # isort: skip
from convlens.interpret.receptive_field import effective_receptive_field, receptive_field  # isort: skip
from convlens.interpret.spectrum import kernel_spectrum  # isort: skip
from convlens.interpret.unit_statistics import StatisticsCollector, unit_statistics  # isort: skip
from convlens.models import conv_layers  # isort: skip


def methods(model, split, layer):
    collectors = [StatisticsCollector(), PatchesCollector(2), ConceptsCollector(["a", "b"], 0.1)]
    results = {}

    def one_pass(place):
        if not results:
            results.update(enumerate(unit_pass(model, split, [layer], collectors=collectors, batch_size=4)))
        return results[place][layer]

    yield "statistics: mean", lambda: one_pass(0).mean
    yield "statistics: selectivity", lambda: one_pass(0).selectivity
    yield "statistics: correlation", lambda: one_pass(0).correlation
    yield (
        "statistics of every layer",
        lambda: np.concatenate([one.active for one in unit_statistics(model, split["image"][:2]).values()]),
    )
    yield "patches: images", lambda: one_pass(1).index
    yield "patches: boxes", lambda: one_pass(1).boxes
    yield "concepts", lambda: one_pass(2).iou
    yield "receptive field", lambda: np.array(receptive_field(model, layer).box(2, 3))
    yield "effective field", lambda: effective_receptive_field(model, split["image"][:2], layer, [0, 1])
    yield "ablation", lambda: ablate(model, split, layer, [0, 1], batch_size=4).silenced.loss
    yield (
        "ablation of shares",
        lambda: (
            ablate_shares(
                model, split, layer, np.arange(len(one_pass(0).mean)), shares=(0, 0.5), repeats=1, batch_size=6
            ).random.loss
        ),
    )
    yield "spectrum", lambda: kernel_spectrum(conv_layers(model)[0].kernel).singular_values


def main(out):
    results = {}
    for kind, build in KINDS.items():
        for channels in (1, 3):
            model = seeded(build(channels))
            model(np.zeros((1, SIDE, SIDE, channels)))  # from now on Keras notes that it was called
            before = state(model)
            random = np.random.default_rng(1)
            split = {
                "image": random.integers(0, 256, (6, SIDE, SIDE, channels)).astype(np.uint8),
                "label": np.arange(6) % 3,
                "parts": random.integers(0, 2, (6, SIDE, SIDE)),
            }
            for name, ask in methods(model, split, FIRST_LAYER.get(kind, "conv1")):
                key = f"{kind}/{channels}/{name}"
                try:
                    results[key] = ask()
                except Exception as error:
                    results[f"{key}/error"] = np.array(f"{type(error).__name__}: {error}")
            changed = state(model) != before
            results[f"{kind}/{channels}/unchanged" + "/error" * changed] = np.array(not changed)
    assert os.environ["KERAS_BACKEND"] == keras.backend.backend()
    np.savez(out, **results)


if __name__ == "__main__":
    main(sys.argv[1])
