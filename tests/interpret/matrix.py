"""Asks one kind of model after another everything; run as a script, in a process of its own for each backend.

    KERAS_BACKEND=jax python matrix.py RESULTS.npz

Writes what every method gave, under "topic/kind/channels/method", and an error's text where it failed. The topics are
attribution, units and networks: each is asked of the same model, and each has to leave it as it was.
"""

import os
import sys
import tempfile


class Absent:
    """Lets no TensorFlow be found, as on a machine where it is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


if os.environ["KERAS_BACKEND"] == "jax":
    sys.meta_path.insert(0, Absent())
    os.environ["JAX_ENABLE_X64"] = "1"


import keras  # noqa: E402
import numpy as np  # noqa: E402

from convlens.interpret import (  # noqa: E402
    Network,
    activation_maximization,
    class_logits,
    completeness_gap,
    deletion_insertion,
    grad_cam,
    grad_cam_plus_plus,
    guided_backpropagation,
    input_gradient,
    integrated_gradients,
    occlusion,
    randomisation_check,
    saliency,
    score_cam,
    smooth_grad,
    unit_activations,
)
from convlens.interpret.ablation import ablate, ablate_shares  # noqa: E402
from convlens.interpret.architecture import architecture  # noqa: E402
from convlens.interpret.comparison import compare  # noqa: E402
from convlens.interpret.concepts import ConceptsCollector  # noqa: E402
from convlens.interpret.neighbours import embedding, nearest_neighbours  # noqa: E402
from convlens.interpret.patches import PatchesCollector  # noqa: E402
from convlens.interpret.receptive_field import effective_receptive_field, receptive_field  # noqa: E402
from convlens.interpret.spectrum import kernel_spectrum  # noqa: E402
from convlens.interpret.unit_pass import unit_pass  # noqa: E402
from convlens.interpret.unit_statistics import StatisticsCollector, unit_statistics  # noqa: E402
from convlens.models import conv_layers  # noqa: E402

layers = keras.layers
SIDE, CLASSES = 32, 4


def convolutions(x, prefix=""):
    x = layers.Conv2D(6, 3, padding="same", name=f"{prefix}conv1")(x)
    x = layers.BatchNormalization(name=f"{prefix}bn1")(x)
    x = layers.ReLU(name=f"{prefix}relu1")(x)
    x = layers.MaxPooling2D(name=f"{prefix}pool1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name=f"{prefix}conv2")(x)
    return layers.MaxPooling2D(name=f"{prefix}pool2")(x)


def functional(channels):
    images = keras.Input((SIDE, SIDE, channels))
    x = convolutions(layers.Rescaling(1 / 255)(images))
    return keras.Model(images, layers.Dense(CLASSES, name="logits")(layers.Flatten()(x)))


def sequential(channels):
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, channels)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu", name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def nested(channels):
    inner = keras.Input((SIDE, SIDE, channels))
    backbone = keras.Model(inner, convolutions(inner), name="backbone")
    head = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)], name="head")
    images = keras.Input((SIDE, SIDE, channels))
    return keras.Model(images, head(backbone(layers.Rescaling(1 / 255)(images))))


def application(channels):
    # In a deep network some ReLU is always near enough to its kink for rounding in single precision to move gradients.
    keras.config.set_dtype_policy("float64")
    shape = (SIDE, SIDE, channels)
    model = keras.applications.MobileNet(weights=None, input_shape=shape, alpha=0.25, classes=CLASSES)
    keras.config.set_dtype_policy("float32")
    return model


def reloaded(channels):
    with tempfile.TemporaryDirectory() as folder:
        functional(channels).save(f"{folder}/model.keras")
        return keras.saving.load_model(f"{folder}/model.keras")


KINDS = {
    "functional": functional,
    "sequential": sequential,
    "nested": nested,
    "application": application,
    "reloaded": reloaded,
}
FIRST_LAYER = {"nested": "backbone/conv1"}


def attribution(model, build, layer):
    """What the model's answer for an image rests on."""
    images = np.random.default_rng(1).uniform(0, 255, (2, *model.input_shape[1:])).astype("float32")
    network = Network(model)
    yield "class_logits", lambda: class_logits(network, images)
    yield "input_gradient", lambda: input_gradient(network, images)
    yield "saliency", lambda: saliency(network, images)
    yield "smooth_grad", lambda: smooth_grad(network, images, samples=2, batch_size=2)
    yield "integrated_gradients", lambda: integrated_gradients(network, images, steps=4, most_steps=4, batch_size=2)
    yield "guided_backpropagation", lambda: guided_backpropagation(network, images)
    yield "grad_cam", lambda: grad_cam(network, images)
    yield "grad_cam_plus_plus", lambda: grad_cam_plus_plus(network, images, layer=layer)
    yield "score_cam", lambda: score_cam(network, images[:1], layer=layer, batch_size=2)
    yield "occlusion", lambda: occlusion(network, images, size=16, stride=16, batch_size=2)
    yield "maximization of a class", lambda: activation_maximization(network, [0, 1], steps=3).images
    yield "maximization of a channel", lambda: activation_maximization(network, [0, 1], layer=layer, steps=3).images
    yield (
        "maximization of a neuron",
        lambda: activation_maximization(network, [0, 1], layer=layer, cell=(3, 4), steps=3).images,
    )
    yield "unit_activations", lambda: unit_activations(network, images, layer=layer)
    yield "completeness_gap", lambda: completeness_gap(network, images, input_gradient(network, images), 0)
    yield "deletion_insertion", lambda: deletion_insertion(network, images, images[..., 0], steps=2).deletion
    yield "randomisation_check", lambda: randomisation_check(network, images, saliency, layers=[layer]).similarity


def units(model, build, layer):
    """What single units do on the images of a split."""
    random = np.random.default_rng(1)
    split = {
        "image": random.integers(0, 256, (6, *model.input_shape[1:])).astype(np.uint8),
        "label": np.arange(6) % 3,
        "parts": random.integers(0, 2, (6, SIDE, SIDE)),
    }
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


def networks(model, build, layer):
    """What whole networks have in common; the other one has its units, inputs and classes in reverse order."""
    other = seeded(build(model.input_shape[-1]))
    other.set_weights([weights[..., ::-1] for weights in other.get_weights()])
    images = np.random.default_rng(1).integers(0, 256, (12, *model.input_shape[1:])).astype(np.uint8)
    split = {"image": images, "label": np.arange(12) % 3}
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


TOPICS = {"attribution": attribution, "units": units, "networks": networks}


def state(model):
    """All that a look could change: weights, what each layer holds, what it is connected to."""
    seen = []
    for layer in model._flatten_layers():
        seen.append({name: id(value) for name, value in vars(layer).items()})
        seen.append(len(layer._inbound_nodes))
    return seen, [weights.tobytes() for weights in model.get_weights()], [id(loss) for loss in model.losses]


def seeded(model):
    """The same weights on every backend, drawn without it."""
    generator = np.random.default_rng(7)
    weights = []
    for variable in model.weights:
        seen = np.prod(variable.shape[:2] if "depthwise" in variable.path else variable.shape[:-1])
        spread = np.sqrt(6 / seen) if len(variable.shape) > 1 else 0.1
        middle = 1.0 if "gamma" in variable.path or "variance" in variable.path else 0.0
        weights.append(middle + spread * generator.uniform(-1, 1, variable.shape))
    model.set_weights(weights)
    settle(model)
    return model


def settle(model):
    """Give batch normalization the statistics of some images, lest the signal die away in a deep model."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    images = np.random.default_rng(8).uniform(0, 255, (16, *model.input_shape[1:])).astype("float32")
    model(images, training=True)


def main(out):
    results = {}
    for kind, build in KINDS.items():
        for channels in (1, 3):
            model = seeded(build(channels))
            model(np.zeros((1, SIDE, SIDE, channels)))  # Keras notes on a layer that it has been called
            for topic, questions in TOPICS.items():
                before = state(model)
                for name, ask in questions(model, build, FIRST_LAYER.get(kind, "conv1")):
                    key = f"{topic}/{kind}/{channels}/{name}"
                    try:
                        results[key] = np.asarray(ask())
                    except Exception as error:
                        results[f"{key}/error"] = np.array(f"{type(error).__name__}: {error}")
                changed = state(model) != before
                results[f"{topic}/{kind}/{channels}/unchanged" + "/error" * changed] = np.float32([not changed])
    assert os.environ["KERAS_BACKEND"] == keras.backend.backend()
    np.savez(out, **results)


if __name__ == "__main__":
    main(sys.argv[1])
