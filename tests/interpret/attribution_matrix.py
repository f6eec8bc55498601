"""Asks one kind of model after another everything; run as a script, in a process of its own for each backend.

    KERAS_BACKEND=jax python attribution_matrix.py RESULTS.npz

Writes what every method gave, under "kind/channels/method", and an error's text where it failed.
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


def methods(network, images, layer):
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
            shape = (2, SIDE, SIDE, channels)
            images = np.random.default_rng(1).uniform(0, 255, shape).astype("float32")
            model(images)  # Keras notes on a layer that it has been called
            before = state(model)
            network = Network(model)
            for name, ask in methods(network, images, FIRST_LAYER.get(kind, "conv1")):
                key = f"{kind}/{channels}/{name}"
                try:
                    results[key] = ask()
                except Exception as error:
                    results[f"{key}/error"] = np.array(f"{type(error).__name__}: {error}")
            if state(model) != before:
                results[f"{kind}/{channels}/unchanged/error"] = np.array("the model is not what it was")
            else:
                results[f"{kind}/{channels}/unchanged"] = np.ones(1, np.float32)
    assert os.environ["KERAS_BACKEND"] == keras.backend.backend()
    np.savez(out, **results)


if __name__ == "__main__":
    main(sys.argv[1])
