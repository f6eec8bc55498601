"""Kernels are the model's own, and receptive fields are what gradients can reach."""

import keras
import numpy as np
import pytest
from keras import layers

from convlens.configs import Model
from convlens.models import build_model, conv_layers

SIZE = 29


def chain(*parts):
    return keras.Sequential([layers.Input((SIZE, SIZE, 1)), *parts])


def branches():
    images = layers.Input((SIZE, SIZE, 1))
    narrow = layers.Conv2D(1, 1, name="narrow")(images)
    wide = layers.Conv2D(1, 3, dilation_rate=3, padding="same", name="wide")(images)
    return keras.Model(images, layers.Conv2D(1, 3, name="last")(layers.Add()([narrow, wide])))


NETWORKS = {
    "strided": lambda: chain(layers.Conv2D(1, 3, strides=2), layers.Conv2D(1, (5, 2), name="last")),
    "pooled": lambda: chain(layers.MaxPooling2D(3), layers.Conv2D(1, 3, padding="same", name="last")),
    "dilated": lambda: chain(layers.Conv2D(1, 3, dilation_rate=2), layers.Conv2D(1, 3, dilation_rate=3, name="last")),
    "padded": lambda: chain(
        layers.ZeroPadding2D(((2, 0), (1, 3))),
        layers.Conv2D(1, 4, strides=2, padding="same"),
        layers.Cropping2D(1),
        layers.AveragePooling2D(2, strides=1),
        layers.SeparableConv2D(1, 3, strides=2, padding="same", name="last"),
    ),
    "branched": branches,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_unit_depends_on_exactly_the_pixels_of_its_receptive_field(name):
    model = NETWORKS[name]()
    # Positive weights and images: no pixel's influence cancels another's.
    for weights in model.weights:
        weights.assign(np.ones(weights.shape))
    info = next(layer for layer in conv_layers(model) if layer.name == "last")
    row, column = (side // 2 for side in info.output_shape[:2])

    images = np.zeros((SIZE * SIZE, SIZE, SIZE, 1), "float32")
    images[np.arange(SIZE * SIZE), np.repeat(np.arange(SIZE), SIZE), np.tile(np.arange(SIZE), SIZE)] = 1
    responses = model.predict(images, verbose=0, batch_size=SIZE)[:, row, column, 0]
    silence = model.predict(images[:1] * 0, verbose=0)[0, row, column, 0]
    reached = ((responses - silence) != 0).reshape(SIZE, SIZE)

    for axis, unit in ((0, row), (1, column)):
        start = info.receptive_start[axis] + unit * info.receptive_stride[axis]
        hit = np.flatnonzero(reached.any(axis=1 - axis))
        assert (hit[0], hit[-1]) == (start, start + info.receptive_field[axis] - 1)


def test_the_lesson_network_sees_what_the_formula_says():
    model = build_model(Model(filters=[2, 2, 2]), (64, 64), 3, 4, seed=0)
    assert [info.receptive_field for info in conv_layers(model)] == [(3, 3), (8, 8), (18, 18)]
    assert [info.receptive_stride for info in conv_layers(model)] == [(1, 1), (2, 2), (4, 4)]
    assert [info.receptive_start for info in conv_layers(model)] == [(-1, -1), (-3, -3), (-7, -7)]


def test_maps_that_a_global_pooling_gates_have_no_receptive_field():
    images = layers.Input((SIZE, SIZE, 1))
    maps = layers.Conv2D(4, 3, name="before")(images)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(maps))
    model = keras.Model(images, layers.Conv2D(1, 3, name="after")(layers.Multiply()([maps, gate])))
    assert {info.name: info.receptive_field for info in conv_layers(model)} == {"before": (3, 3), "after": None}


def test_each_convolution_is_described_in_execution_order():
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="depthwise")
    conv = layers.Conv2D(6, (3, 5), strides=2, padding="same", groups=2, activation="relu", name="conv")
    model = keras.Sequential([layers.Input((SIZE, SIZE, 3)), depthwise, conv])
    first, second = conv_layers(model)
    assert (first.name, first.kind, first.kernel.shape) == ("depthwise", "DepthwiseConv2D", (3, 3, 3, 2))
    assert first.bias is None and first.activation == "linear"
    assert (second.kind, second.kernel.shape, second.groups) == ("Conv2D", (3, 5, 3, 6), 2)
    assert (second.strides, second.padding, second.dilation) == ((2, 2), "same", (1, 1))
    assert (second.input_shape, second.output_shape) == ((27, 27, 6), (14, 14, 6))
    assert second.activation == "relu"
    np.testing.assert_array_equal(second.kernel, model.get_layer("conv").get_weights()[0])


def test_it_is_told_whose_units_a_convolution_reads():
    def reads(*parts):
        return {info.name: info.reads for info in conv_layers(chain(*parts))}

    first, second = layers.Conv2D(4, 3, name="first"), layers.Conv2D(2, 3, name="second")
    between = [layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(), layers.Dropout(0.5)]
    assert reads(first, *between, second) == {"first": None, "second": "first"}
    assert reads(first, layers.Flatten(), layers.Reshape((27, 27, 4)), second)["second"] is None
    assert {info.name: info.reads for info in conv_layers(branches())}["last"] is None


def test_kernels_are_copies():
    model = chain(layers.Conv2D(1, 3, name="conv"))
    conv_layers(model)[0].kernel[:] = 7
    assert not (model.get_weights()[0] == 7).any()


def test_sides_that_may_vary_are_left_open():
    model = keras.Sequential([layers.Input((None, 40, 3)), layers.Conv2D(2, 3, strides=2, padding="same")])
    info = conv_layers(model)[0]
    assert (info.output_shape, info.receptive_field, info.receptive_start) == ((None, 20, 2), (3, 3), None)
