"""What a unit of a deep layer reads, against what Keras makes of it."""

import keras
import numpy as np
import pytest

from convlens.core.errors import ModelError
from convlens.interpret import added_by_each, strongest_read
from convlens.models import feature_maps

layers = keras.layers


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": (4, 3), "padding": "valid"},
        {"kernel_size": 3, "padding": "same", "strides": 2},
        {"kernel_size": 5, "padding": "same", "dilation_rate": 2},
        {"kernel_size": (2, 5), "padding": "valid", "strides": (2, 3)},
    ],
)
def test_what_all_maps_add_together_is_the_filter_stage_without_its_bias(options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((21, 30, 3)),
            layers.Conv2D(6, 3, activation="relu", name="first"),
            layers.Dropout(0.5),
            layers.MaxPooling2D(2),
            layers.Conv2D(4, bias_initializer="normal", name="second", **options),
        ]
    )
    images = np.random.default_rng(0).integers(0, 256, (2, 21, 30, 3)).astype(np.uint8)
    maps = feature_maps(model, images, ["second"], ["filter", "input"])["second"]
    layer = model.get_layer("second")
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in layer.weights)
    convolution = {"strides": layer.strides, "padding": layer.padding, "dilation": layer.dilation_rate}
    for unit in range(4):
        added = added_by_each(maps["input"], kernel[..., unit], **convolution)
        expected = maps["filter"][..., unit] - bias[unit]
        np.testing.assert_allclose(added.sum(axis=-1), expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max())


def test_the_maps_that_add_most_come_first_whatever_their_kernels_alone_say():
    maps = np.zeros((1, 6, 6, 4), np.float32)
    maps[..., 0], maps[..., 2], maps[..., 3] = 1, 10, 0.1
    kernel = np.zeros((1, 1, 4), np.float32)
    kernel[0, 0] = [2, 100, -1, 5]  # the heaviest kernel meets a map of zeros
    read = strongest_read(maps, kernel, count=2, layer="first", channels=[4, 5, 6, 7])
    np.testing.assert_array_equal(read.channels, [6, 4])
    np.testing.assert_allclose(read.shares, [10 / 12.5, 2 / 12.5], rtol=1e-6)
    np.testing.assert_array_equal(read.maps, maps[..., [2, 0]])
    assert read.total == 4 and read.layer == "first"


def test_a_frame_sets_no_limit():
    maps = np.ones((1, 6, 6, 1), np.float32)
    maps[:, 0] = 9
    inside = np.ones((6, 6), bool)
    inside[0] = False
    assert strongest_read(maps, np.ones((3, 3, 1)), inside=inside).limits == [1]
    assert strongest_read(maps, np.ones((3, 3, 1))).limits == [9]


def test_maps_and_kernels_that_do_not_belong_together_are_refused():
    with pytest.raises(ModelError, match="3 maps for a kernel of 2 channels"):
        added_by_each(np.zeros((1, 4, 4, 3)), np.zeros((3, 3, 2)))
