import keras
import numpy as np
import pytest
import tensorflow as tf

from convlens.core.errors import ModelError
from convlens.interpret.receptive_field import effective_receptive_field, effective_size, receptive_field

layers = keras.layers
SIDES = (37, 30)


def sequence(*steps):
    """A linear network: every weight positive, averages in place of maxima, so that no gradient cancels or is cut."""
    images = x = keras.Input((*SIDES, 2))
    for step in steps:
        x = step(x)
    return positive(keras.Model(images, layers.Activation("linear", name="end")(x)))


def positive(model):
    model.set_weights([np.ones_like(weights) for weights in model.get_weights()])
    return model


def conv(size, **options):
    return layers.Conv2D(2, size, use_bias=False, **options)


def add(*branches):
    return lambda x: layers.Add()([branch(x) for branch in branches])


def concatenate(*branches):
    return lambda x: layers.Concatenate()([branch(x) for branch in branches])


def chain(*steps):
    def apply(x):
        for step in steps:
            x = step(x)
        return x

    return apply


def same(size, **options):
    return conv(size, padding="same", **options)


NETWORKS = {
    "one kernel, valid": [conv(3)],
    "an even kernel, same": [same(4), same(2)],
    "strides, valid": [conv(3, strides=2), conv(5, strides=3), conv(2)],
    "strides, same": [same(3, strides=2), same(5, strides=3), same(2)],
    "unequal sides": [same((3, 7), strides=(1, 2)), conv((4, 1))],
    "dilation": [same(3, dilation_rate=3), conv(3, dilation_rate=2)],
    "pooling": [same(3), layers.AveragePooling2D(2), conv(3), layers.AveragePooling2D(3, strides=2, padding="same")],
    "padding and cropping": [layers.ZeroPadding2D(((1, 3), (2, 0))), conv(3, strides=2), layers.Cropping2D(1)],
    "depthwise and separable": [
        layers.DepthwiseConv2D(3, use_bias=False, padding="same"),
        layers.SeparableConv2D(2, 5, strides=2, use_bias=False, padding="same"),
    ],
    "a skip": [same(3), add(same(5), layers.Identity()), conv(3)],
    "branches of different kernels": [concatenate(same(1), same((7, 3)), chain(same(3), same(3, dilation_rate=2)))],
    "branches with strides": [add(same(1, strides=2), same(5, strides=2)), same(3)],
}


def support(model, row, column):
    """The box of the pixels with a gradient, by TensorFlow's own differentiation."""
    images = tf.zeros((1, *SIDES, 2))
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_sum(model(images)[0, row, column])
    seen = tape.gradient(value, images).numpy()[0].any(axis=-1)
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_the_exact_field_is_the_support_of_gradients_through_a_linear_network(name):
    model = sequence(*NETWORKS[name])
    field = receptive_field(model, "end")
    height, width = field.map_size
    assert (height, width) == model.output_shape[1:3]
    for row, column in {(0, 0), (0, width - 1), (height // 2, width // 2), (height - 1, width - 1), (height - 1, 1)}:
        assert field.visible(row, column) == support(model, row, column), (row, column)


def test_the_field_of_branches_that_look_to_different_sides_holds_them_all():
    to_one_side = chain(layers.ZeroPadding2D(((4, 0), (0, 4))), layers.Cropping2D(((0, 4), (4, 0))))
    model = sequence(add(to_one_side, layers.Identity()))
    assert receptive_field(model, "end").visible(9, 9) == support(model, 9, 9) == (5, 9, 10, 14)


def test_a_unit_in_the_middle_sees_a_box_of_the_fields_size():
    model = sequence(*NETWORKS["pooling"])
    field = receptive_field(model, "end")
    top, left, bottom, right = field.box(4, 3)
    assert (bottom - top, right - left) == field.size
    assert field.visible(4, 3) == field.box(4, 3)


def test_the_centres_of_the_fields_lie_in_the_middle_of_the_boxes():
    field = receptive_field(sequence(*NETWORKS["strides, same"]), "end")
    down, across = field.centres()
    top, left, bottom, right = field.box(2, 3)
    assert (down[2], across[3]) == ((top + bottom - 1) / 2, (left + right - 1) / 2)


def test_a_layer_that_mixes_the_whole_map_sees_the_whole_image():
    model = sequence(same(3), layers.GlobalAveragePooling2D(), layers.Dense(2, name="dense"))
    field = receptive_field(model, "dense")
    assert (field.size, field.map_size, field.visible(0, 0)) == (None, (1, 1), (0, 0, *SIDES))


def test_the_field_of_a_model_for_any_size_depends_on_the_image_where_padding_does():
    images = keras.Input((None, None, 3))
    model = keras.Model(images, layers.Conv2D(2, 3, strides=2, padding="same", name="conv")(images))
    assert receptive_field(model, "conv", (8, 9)).start == (0, -1)


def test_an_unknown_layer_is_answered_with_the_nearest():
    with pytest.raises(ModelError, match="Did you mean 'end'"):
        receptive_field(sequence(conv(3)), "ende")


def test_the_effective_field_of_one_convolution_is_its_kernel_where_the_unit_stands():
    images = keras.Input((9, 9, 2))
    model = keras.Model(images, layers.Conv2D(3, 3, activation="relu", name="conv")(images))
    kernel = np.abs(model.get_layer("conv").get_weights()[0]).sum(axis=2)
    seen = effective_receptive_field(model, np.ones((4, 9, 9, 2)), "conv", [2, 0], cell=(1, 5))
    expected = np.zeros((2, 9, 9))
    expected[:, 1:4, 5:8] = np.moveaxis(kernel[..., [2, 0]], -1, 0)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


def test_the_effective_field_is_the_mean_gradient_and_lies_inside_the_exact_field():
    keras.utils.set_random_seed(3)
    images = x = keras.Input((24, 24, 3))
    for number in range(3):
        x = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D()(x) if number < 2 else x
    model = keras.Model(images, x)
    photos = np.random.default_rng(0).uniform(-1, 1, (5, 24, 24, 3)).astype("float32")
    seen = effective_receptive_field(model, photos, "conv2", batch_size=3)

    conv2 = model.get_layer("conv2")
    until = keras.Model(images, conv2.input)
    expected = np.zeros((4, 24, 24))
    for unit in range(4):
        pixels = tf.constant(photos)
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            maps = tf.nn.conv2d(until(pixels), conv2.kernel, 1, "SAME") + conv2.bias
            value = tf.reduce_sum(maps[:, 3, 3, unit])
        expected[unit] = np.abs(tape.gradient(value, pixels)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(seen, expected, atol=1e-6)

    field = receptive_field(model, "conv2")
    top, left, bottom, right = field.visible(3, 3)
    outside = np.ones((24, 24), bool)
    outside[top:bottom, left:right] = False
    assert not seen[:, outside].any() and seen[:, ~outside].any()
    assert (effective_size(seen) <= field.size[0]).all()


def test_what_does_not_exist_is_refused_with_what_there_is():
    images = keras.Input((9, 9, 2))
    model = keras.Model(images, layers.Conv2D(3, 3, name="conv")(images))
    photos = np.ones((1, 9, 9, 2))
    with pytest.raises(ModelError, match="units 0 to 2"):
        effective_receptive_field(model, photos, "conv", [3])
    with pytest.raises(ModelError, match=r"\(7, 7\)"):
        effective_receptive_field(model, photos, "conv", cell=(7, 0))
