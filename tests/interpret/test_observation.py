"""What is observed of a network is what Keras computes of it."""

import keras
import numpy as np
import pytest

from convlens import interpret
from convlens.core.errors import ModelError, UserError
from convlens.models import feature_maps

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(layers.Rescaling(1 / 255)(images))
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.SeparableConv2D(5, 3, padding="same", name="conv2")(x)
    return keras.Model(images, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def observation(model, images):
    return interpret.observe(model, images)


def test_maps_are_those_of_the_model_at_every_stage(model, images, observation):
    expected = feature_maps(model, images, ["conv1", "conv2"], ["filter", "detect", "condense"])
    assert [layer.name for layer in observation.layers] == ["conv1", "conv2"] and observation.left_out == 0
    for layer in observation.layers:
        assert set(layer.maps) == set(expected[layer.name])
        for stage, maps in layer.maps.items():
            np.testing.assert_array_equal(maps, expected[layer.name][stage])
    first = observation.layer("conv1")
    np.testing.assert_allclose(first.activation, first.maps["detect"].mean(axis=(0, 1, 2)))
    assert first.rgb and first.paired and first.has_relu and first.tuning is not None and first.reading is None


def test_a_separable_layer_reads_maps_and_has_no_kernel_a_unit(observation):
    second = observation.layer("conv2")
    assert not second.rgb and not second.paired and second.norm is None and second.tuning is None
    assert second.reading(1).layer == "conv1" and set(second.arrays()) == {"kernel"}


def test_arrays_hold_every_map_by_layer_and_stage(observation, images):
    arrays = observation.arrays()
    assert {"images", "conv1:filter", "conv1:detect", "conv1:condense", "conv2:filter"} <= set(arrays)
    assert arrays["images"] is observation.images and "shares" not in arrays


def test_a_start_is_compared_with_what_was_learned_from_it(model, images):
    kernel = model.get_layer("conv1").get_weights()[0]
    (layer,) = interpret.observe(model, images, ["conv1"], starts={"conv1": kernel}, reading=False).layers
    np.testing.assert_allclose(layer.changed, 1, rtol=1e-6)
    assert {"kernel", "activation", "dead", "start", "changed"} <= set(layer.arrays())


def test_layers_that_do_not_exist_are_refused(model, images, observation):
    with pytest.raises(ModelError, match="conv9"):
        interpret.observe(model, images, ["conv9"])
    with pytest.raises(UserError, match="Did you mean 'conv1'"):
        observation.layer("conv_1")


def test_all_of_it_is_drawn_from_the_observation(observation):
    from convlens import visualization

    assert visualization.kernels_figure(observation.layer("conv1"))
    assert visualization.feature_maps_figure(observation, "conv2", image=2)
    assert visualization.kernels_and_maps_figure(observation, "conv1")
    assert visualization.unit_extraction_figure(observation, "conv2", 3)
    assert visualization.relu_figure(observation, "conv1")
    assert visualization.pipeline_figure(observation, image=1)
