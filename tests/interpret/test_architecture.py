"""What layers cost, against counts of which input reaches which output."""

import keras
import numpy as np
import pytest

from convlens.interpret.architecture import architecture
from convlens.models import conv_layers

layers = keras.layers
SIDE = 7


def wired(layer):
    """How many pairs of an input and an output number a layer connects: each takes one multiplication."""
    basis = np.eye(SIDE * SIDE * 4, dtype=np.float32).reshape(-1, SIDE, SIDE, 4)
    keras.utils.set_random_seed(0)
    change = np.asarray(layer(basis)) - np.asarray(layer(np.zeros_like(basis[:1])))
    return int(np.count_nonzero(change))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(6, 3),
        layers.Conv2D(6, (3, 2), strides=2),
        layers.Conv2D(6, 2, dilation_rate=2),
        layers.Conv2D(6, 3, groups=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.Conv2DTranspose(3, 3, strides=2),
        layers.Dense(5),
        layers.EinsumDense("abcd,de->abce", (7, 7, 5)),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
    ],
    ids=lambda layer: layer.__class__.__name__,
)
def test_multiply_accumulates_are_the_pairs_of_numbers_that_a_layer_connects(layer):
    model = keras.Sequential([keras.Input((SIDE, SIDE, 4)), layer])
    (step,) = architecture(model).layers
    weighs = not isinstance(layer, layers.MaxPooling2D | layers.BatchNormalization)
    assert step.multiply_adds == (wired(layer) if weighs else 0)
    assert step.parameters == layer.count_params() and step.shape == model.output_shape[1:]


def test_a_separable_convolution_costs_its_two_steps():
    model = keras.Sequential([keras.Input((SIDE, SIDE, 4)), layers.SeparableConv2D(6, 3, depth_multiplier=2)])
    assert architecture(model).multiply_adds == 5 * 5 * (3 * 3 * 4 * 2) + 5 * 5 * (4 * 2 * 6)


def test_a_known_network_costs_what_its_paper_says():
    network = architecture(keras.applications.MobileNetV2(weights=None))
    assert network.parameters == 3_538_984  # Keras' documentation
    assert network.multiply_adds == pytest.approx(300e6, rel=0.01)  # Sandler et al. 2018, table 4
    assert network.is_complete


def test_the_same_network_costs_the_same_however_it_is_nested():
    def parts():
        return [layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]

    flat = keras.Sequential([keras.Input((9, 9, 3)), *parts(), layers.Dense(2)])
    inner = keras.Sequential([keras.Input((9, 9, 3)), *parts()], name="inner")
    images = keras.Input((9, 9, 3))
    nested = keras.Model(images, layers.Dense(2)(inner(images)))
    flat_network, other = architecture(flat), architecture(nested)
    costs = [
        [(layer.kind, layer.parameters, layer.multiply_adds) for layer in network.layers]
        for network in (flat_network, other)
    ]
    assert costs[0] == costs[1]
    assert other.layers[0].name == "inner/conv" and other.parameters == nested.count_params()
    assert [layer.sources for layer in other.layers] == [(-1,), (0,), (1,), (2,), (3,)]


def test_branches_name_what_feeds_them_and_fields_are_those_of_the_layers():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(images)
    y = layers.Conv2D(4, 3, padding="same", name="conv2")(layers.Dropout(0.5)(x))
    model = keras.Model(images, layers.GlobalAveragePooling2D()(layers.Add()([x, y])))
    by_kind = {layer.kind: layer for layer in architecture(model).layers}
    names = [layer.name for layer in architecture(model).layers]
    assert {names[source] for source in by_kind["Add"].sources} <= {"conv1", "conv2", names[1]}
    assert "conv2" in {names[source] for source in by_kind["Add"].sources}
    fields = {info.name: info.receptive_field for info in conv_layers(model)}
    assert {layer.name: layer.receptive_field for layer in architecture(model).layers if layer.name in fields} == fields


def test_weights_of_a_shared_layer_count_once_and_its_work_twice():
    images = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(images, shared(shared(images)))
    network = architecture(model)
    assert [layer.name for layer in network.layers] == ["shared", "shared@2"]
    assert network.parameters == model.count_params() and network.multiply_adds == 2 * 8 * 8 * 3 * 27


@keras.saving.register_keras_serializable()
class Own(layers.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2))

    def call(self, x):
        return keras.ops.matmul(x, self.matrix)


def test_a_layer_of_unknown_cost_is_said_to_be_one():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), Own()])
    network = architecture(model)
    assert [layer.multiply_adds for layer in network.layers] == [6 * 6 * 4 * 27, None]
    assert not network.is_complete and network.parameters == model.count_params()


def test_a_model_of_any_size_is_asked_at_one():
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalMaxPooling2D()])
    assert architecture(model, (10, 12)).multiply_adds == 8 * 10 * 4 * 27
    assert architecture(model, (10, 12)).image_shape == (10, 12, 3)
