"""Feature maps are what the network computes, for any Keras model, and looking leaves the model as it was."""

import keras
import numpy as np
import pytest
from keras import layers

from convlens.configs import Model
from convlens.core.errors import ModelError
from convlens.models import build_model, conv_layers, feature_extractor, feature_maps

SIZE = 12


def pixels(count=3, channels=3, size=SIZE):
    return np.random.default_rng(1).integers(0, 256, (count, size, size, channels)).astype("float32")


def with_bias(model):
    """Zero biases and untouched batch statistics would hide mistakes."""
    generator = np.random.default_rng(2)
    model.set_weights([w + generator.uniform(0.01, 0.2, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def functional(channels):
    images = layers.Input((SIZE, SIZE, channels))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="first")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(6, 3, use_bias=False, name="second")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.AveragePooling2D(2, name="mean")(x)
    return keras.Model(images, layers.Dense(4, name="dense")(layers.Flatten()(x)))


def sequential(channels):
    return keras.Sequential(
        [
            layers.Input((SIZE, SIZE, channels)),
            layers.Conv2D(5, 3, padding="same", name="first"),
            layers.Activation("relu"),
            layers.Dropout(0.5),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )


def nested(channels):
    images = layers.Input((SIZE, SIZE, channels))
    base = functional(channels)
    base = keras.Model(base.inputs, base.get_layer("mean").output, name="base")
    return keras.Model(images, layers.Dense(4)(layers.Flatten()(base(images))))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = [layers.Conv2D(5, 3, name="first"), layers.ReLU(), layers.MaxPooling2D()]
        self.last = layers.SeparableConv2D(6, 3, activation="relu", name="second")

    def call(self, images):
        x = images
        for layer in self.block:
            x = layer(x)
        return keras.ops.mean(self.last(x), axis=(1, 2))


def subclassed(channels):
    model = Subclassed()
    model(np.zeros((1, SIZE, SIZE, channels), "float32"))
    return model


def ours(channels, **settings):
    return build_model(Model(filters=[5, 6], head={"dense": [4]}, **settings), (SIZE, SIZE), channels, 3, seed=0)


KINDS = {
    "functional": functional,
    "sequential": sequential,
    "nested": nested,
    "subclassed": subclassed,
    "lesson": ours,
    "vgg": lambda channels: ours(channels, batch_norm=True, convolutions=2),
    "resnet": lambda channels: ours(channels, family="resnet", batch_norm=True),
}


def convolved(images, kernel, bias, stride, padding, dilation):
    """A convolution as its definition says: a sum over the kernel's cells of shifted, weighted images."""
    extent = (np.array(kernel.shape[:2]) - 1) * dilation + 1
    size = np.array(images.shape[1:3])
    outputs = -(-size // stride) if padding == "same" else (size - extent) // stride + 1
    total = np.maximum((outputs - 1) * stride + extent - size, 0)
    edges = [(before, after) for before, after in zip(total // 2, total - total // 2, strict=True)]
    padded = np.pad(images.astype("float64"), [(0, 0), *edges, (0, 0)])
    maps = np.zeros((len(images), *outputs, kernel.shape[3]))
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            top, left = row * dilation, column * dilation
            cells = padded[:, top:, left:][:, ::stride, ::stride][:, : outputs[0], : outputs[1]]
            maps += cells @ kernel[row, column]
    return maps + bias


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])
@pytest.mark.parametrize(("kernel_size", "channels"), [((3, 3), 3), ((2, 4), 1)])
def test_the_filter_step_is_a_convolution_written_by_hand(padding, stride, dilation, kernel_size, channels):
    conv = layers.Conv2D(
        4, kernel_size, strides=stride, padding=padding, dilation_rate=dilation, activation="relu", name="conv"
    )
    model = with_bias(keras.Sequential([layers.Input((SIZE, SIZE + 3, channels)), conv]))
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE + 3, channels)).astype("float32")
    maps = feature_maps(model, images)["conv"]
    expected = convolved(images, *model.get_weights(), stride, padding, dilation)
    np.testing.assert_allclose(maps["filter"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(maps["detect"], np.maximum(maps["filter"], 0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_the_network_computes_and_looking_changes_nothing(kind, channels):
    model = with_bias(KINDS[kind](channels))
    images = pixels(channels=channels)
    logits = model.predict(images, verbose=0)
    before = state_of(model)

    maps = feature_maps(model, images)

    assert state_of(model) == before
    np.testing.assert_array_equal(model.predict(images, verbose=0), logits)
    assert len(maps) == len(conv_layers(model)) >= 2
    for stages in maps.values():
        assert all(array.dtype == "float32" and len(array) == 3 for array in stages.values())
        if "detect" in stages:
            np.testing.assert_array_equal(stages["detect"], np.maximum(stages["filter"], 0))
            assert (stages["filter"] < 0).any() or (stages["filter"] == stages["detect"]).all()
    first = next(iter(maps.values()))
    assert "detect" in first
    if "condense" in first:
        n, height, width, units = first["condense"].shape
        windows = first["detect"][:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2, units)
        np.testing.assert_array_equal(first["condense"], windows.max(axis=(2, 4)))


def state_of(model):
    """Everything that somebody could notice about a model and its layers."""
    states = []
    for layer in [model, *model._flatten_layers(include_self=False)]:
        attributes = {
            name: id(value) for name, value in vars(layer).items() if name not in ("_called", "predict_function")
        }
        nodes = len(layer._inbound_nodes), len(layer._outbound_nodes)
        weights = [weight.tobytes() for weight in layer.get_weights()]
        states.append((layer.name, layer.trainable, str(layer.dtype_policy), attributes, nodes, weights, layer.losses))
    return states


def test_stages_between_convolution_and_pooling_are_found_in_order():
    model = with_bias(functional(3))
    steps = {
        name: keras.Model(model.inputs, model.get_layer(name).output).predict(pixels(), verbose=0)
        for name in ("norm", "relu", "mean", "pool", "first")
    }
    maps = feature_maps(model, pixels())
    for stage, name in (("filter", "norm"), ("detect", "relu"), ("condense", "mean")):
        np.testing.assert_allclose(maps["second"][stage], steps[name], rtol=1e-5, atol=1e-6)
    for stage, name in (("detect", "first"), ("condense", "pool")):
        np.testing.assert_allclose(maps["first"][stage], steps[name], rtol=1e-5, atol=1e-6)


def test_a_residual_sum_ends_the_steps_of_a_convolution():
    maps = feature_maps(KINDS["resnet"](3), pixels())
    assert list(maps["block1_unit1_conv1"]) == ["filter", "detect"]
    assert list(maps["block1_unit1_conv2"]) == ["filter"]


def test_a_function_in_a_functional_model_counts_as_its_layer_would():
    images = layers.Input((SIZE, SIZE, 3))
    x = keras.ops.relu(layers.Conv2D(4, 3, name="conv")(images / 255))
    model = keras.Model(images, layers.MaxPooling2D()(x))
    assert list(feature_maps(model, pixels())["conv"]) == ["filter", "detect", "condense"]


def test_an_activation_other_than_relu_is_told_from_what_it_received():
    conv = layers.Conv2D(4, 3, activation="tanh", name="conv")
    model = keras.Sequential([layers.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255), conv])
    maps = feature_maps(model, pixels())["conv"]
    np.testing.assert_allclose(maps["detect"], np.tanh(maps["filter"]), rtol=1e-5, atol=1e-6)


def test_a_layer_called_twice_has_features_for_each_call():
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    images = layers.Input((SIZE, SIZE, 3))
    model = keras.Model(images, shared(shared(images)))
    maps = feature_maps(model, pixels())
    assert list(maps) == ["shared", "shared@2"]
    np.testing.assert_allclose(maps["shared@2"]["detect"], model.predict(pixels(), verbose=0), rtol=1e-5)
    assert [info.name for info in conv_layers(model)] == ["shared"]


def test_layers_inside_a_nested_model_are_named_by_their_path():
    assert list(feature_maps(nested(3), pixels(), stages=["condense"])) == ["base/first", "base/second"]


def test_any_layer_can_be_asked_for_its_output():
    model = functional(3)
    features = feature_maps(model, pixels(), layers=["dense", "first"], stages=["output"])
    np.testing.assert_allclose(features["dense"]["output"], model.predict(pixels(), verbose=0), rtol=1e-5, atol=1e-6)
    assert features["first"]["output"].shape == (3, SIZE, SIZE, 5)


def test_a_reloaded_model_gives_the_same_maps(tmp_path):
    model = with_bias(ours(3))
    model.save(tmp_path / "model.keras")
    maps, again = (feature_maps(m, pixels()) for m in (model, keras.saving.load_model(tmp_path / "model.keras")))
    assert maps.keys() == again.keys()
    np.testing.assert_array_equal(maps["block2_conv1"]["filter"], again["block2_conv1"]["filter"])


@pytest.mark.parametrize(("name", "convolutions"), [("MobileNetV2", 52), ("ResNet50", 53), ("MobileNetV3Small", 54)])
def test_networks_of_keras_applications_are_understood(name, convolutions):
    options = {"alpha": 0.35} if name == "MobileNetV2" else {}
    model = getattr(keras.applications, name)(input_shape=(32, 32, 3), weights=None, classes=4, **options)
    maps = feature_maps(model, pixels(1, size=32))
    assert len(maps) == convolutions
    first = next(iter(maps.values()))
    assert {"filter", "detect"} <= first.keys()


def test_mixed_precision_maps_come_as_float32_and_stay_connected():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = nested(3)
    finally:
        keras.config.set_dtype_policy("float32")
    maps = feature_maps(model, pixels())
    assert all(array.dtype == "float32" for stages in maps.values() for array in stages.values())
    assert [list(stages) for stages in maps.values()] == [["filter", "detect", "condense"]] * 2
    assert [info.receptive_field for info in conv_layers(model)] == [(3, 3), (8, 8)]


def test_an_extractor_follows_weights_that_change():
    model = ours(3)
    extractor = feature_extractor(model, layers="block1_conv1", stages=["filter"])
    before = extractor(pixels())["block1_conv1"]["filter"]
    conv = model.get_layer("block1_conv1")
    conv.set_weights([2 * conv.kernel, conv.bias + 1])
    np.testing.assert_allclose(extractor(pixels())["block1_conv1"]["filter"], 2 * before + 1, rtol=1e-4, atol=1e-4)


def test_dropout_is_silent_and_batch_statistics_stay():
    model = with_bias(KINDS["vgg"](3))
    weights = [weight.copy() for weight in model.get_weights()]
    first, second = (feature_maps(model, pixels())["block2_conv2"]["condense"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_model_is_restored_when_its_forward_pass_fails():
    class Broken(layers.Layer):
        works = True

        def call(self, x):
            if not self.works:
                raise RuntimeError("broken")
            return x

    broken = Broken()
    model = keras.Sequential([layers.Input((SIZE, SIZE, 3)), layers.Conv2D(2, 3, activation="relu"), broken])
    broken.works = False
    before = state_of(model)
    with pytest.raises(ModelError, match="broken"):
        feature_extractor(model)
    assert state_of(model) == before


def test_regularized_activations_leave_no_loss_behind():
    conv = layers.Conv2D(2, 3, activity_regularizer="l2", activation="relu", name="conv")
    model = keras.Sequential([layers.Input((SIZE, SIZE, 3)), conv])
    feature_maps(model, pixels())
    assert model.losses == []


def test_a_model_for_images_of_any_size_takes_any_size():
    model = keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(2, 3, name="conv")])
    extractor = feature_extractor(model)
    assert [extractor(pixels(size=size))["conv"]["filter"].shape[1] for size in (9, 15)] == [7, 13]


def test_unknown_names_are_answered_with_the_nearest():
    model = ours(3)
    with pytest.raises(ModelError, match="Did you mean 'block1_conv1'"):
        feature_extractor(model, layers=["block1_conv"])
    with pytest.raises(ModelError, match="Did you mean 'filter'"):
        feature_extractor(model, stages=["filtre"])


def test_a_stage_that_no_layer_has_is_said_so():
    with pytest.raises(ModelError, match="condense"):
        feature_extractor(ours(3, pooling="none"), stages=["condense"])


def test_a_model_that_was_never_called_is_refused_with_what_to_do():
    with pytest.raises(ModelError, match="call it on a batch"):
        feature_extractor(Subclassed())


def test_channels_first_is_refused_by_name():
    conv = layers.Conv2D(2, 3, data_format="channels_first", name="conv")
    with pytest.raises(ModelError, match="'conv' keeps its channels first"):
        feature_extractor(keras.Sequential([layers.Input((3, SIZE, SIZE)), conv]))
