"""Images made for units do what they are made for."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest

from convlens.core.errors import ModelError
from convlens.interpret import Network, activation_maximization, unit_activations

layers = keras.layers
SIDE = 16


def network_of(channels):
    keras.utils.set_random_seed(0)
    images = keras.Input((SIDE, SIDE, channels))
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(layers.Rescaling(1 / 255)(images))
    x = layers.Conv2D(5, 3, name="conv2")(layers.MaxPooling2D()(x))
    x = layers.ReLU(name="relu2")(layers.BatchNormalization(name="bn2")(x))
    x = layers.Dense(6, activation="relu", name="hidden")(layers.Flatten()(x))
    return Network(keras.Model(images, layers.Dense(3, name="logits")(x)))


@pytest.fixture(scope="module")
def network():
    return network_of(3)


@pytest.fixture(scope="module")
def dataset():
    """Images with something to see: soft blobs of colour on a gradient, and plain noise."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    images = []
    for _ in range(200):
        y, x, angle = generator.random(3)
        blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) * 20)
        slope = np.cos(6 * angle) * rows + np.sin(6 * angle) * columns
        images.append(np.stack([blob * generator.random() + slope * generator.random() for _ in range(3)], axis=-1))
    images = np.clip(images, 0, 1) * 255
    return np.concatenate([images, generator.uniform(0, 255, (56, SIDE, SIDE, 3))]).astype("float32")


@pytest.mark.parametrize(
    "where",
    [{}, {"layer": "conv1"}, {"layer": "conv2"}, {"layer": "relu2"}, {"layer": "conv2", "cell": (2, 3)}],
    ids=["class", "channel", "channel before normalization", "channel at its ReLU", "neuron"],
)
def test_an_image_made_for_a_unit_beats_every_image_of_a_dataset(network, dataset, where):
    made = activation_maximization(network, [0, 1, 2], learning_rate=0.1, **where)
    assert made.images.shape == (3, SIDE, SIDE, 3) and made.images.dtype == np.float32
    assert made.images.min() >= 0 and made.images.max() <= 255
    assert made.history.shape == (256, 3)
    best = unit_activations(network, dataset, **where).max(axis=0)[:3]
    assert (made.activations > best).all(), (made.activations, best)
    reached = unit_activations(network, made.images, **where)[range(3), range(3)]
    np.testing.assert_allclose(made.activations, reached, rtol=1e-5)


def test_a_unit_that_is_off_from_the_start_is_climbed_before_its_relu(network):
    hidden = network.model.get_layer("hidden")
    bias = hidden.bias.numpy()
    hidden.bias.assign(bias - 0.6)
    made = activation_maximization(network, range(6), layer="hidden", steps=32)
    hidden.bias.assign(bias)
    assert (made.history[0] < 0).any()
    assert (made.activations > made.history[0]).all()


def test_the_seed_decides_and_the_company_does_not(network):
    alone = activation_maximization(network, [1], layer="conv2", steps=6, seed=3).images[0]
    together = activation_maximization(network, [0, 1, 2], layer="conv2", steps=6, seed=3, batch_size=2).images[1]
    np.testing.assert_allclose(together, alone, atol=0.05)
    other = activation_maximization(network, [1], layer="conv2", steps=6, seed=4).images[0]
    assert np.abs(other - alone).max() > 1


def test_a_grey_model_gets_grey_images_in_the_range_that_it_takes():
    made = activation_maximization(network_of(1), [2], value_range=(-1, 1), steps=16)
    assert made.images.shape == (1, SIDE, SIDE, 1)
    assert -1 <= made.images.min() < 0 < made.images.max() <= 1


def test_a_model_that_takes_any_size_needs_one():
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    made = activation_maximization(model, [0], layer="conv", image_size=(12, 20), steps=3)
    assert made.images.shape == (1, 12, 20, 3)
    with pytest.raises(ModelError, match="give image_size"):
        activation_maximization(model, [0], layer="conv", steps=3)


def test_progress_is_told_up_to_the_end(network):
    reports = []
    activation_maximization(network, [0, 1, 2], steps=4, batch_size=2, progress=lambda *now: reports.append(now))
    assert reports[0] == (2, 12) and reports[-1] == (12, 12) and reports == sorted(reports)


def test_what_does_not_exist_is_refused_in_one_line(network):
    for ask, message in {
        lambda: activation_maximization(network, [3]): "classes 0 to 2",
        lambda: activation_maximization(network, [5], layer="conv2"): "units 0 to 4",
        lambda: activation_maximization(network, [0], layer="conv3"): "Did you mean",
        lambda: activation_maximization(network, [0], layer="conv2", cell=(9, 0)): "cell",
        lambda: activation_maximization(network, [0], cell=(0, 0)): "name the layer",
        lambda: activation_maximization(network, []): "no units",
    }.items():
        with pytest.raises(ModelError, match=message):
            ask()
