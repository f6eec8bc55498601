"""Batch norm in one operation gives what Keras' own gives: values, gradients and moving averages."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.fused import fused_batch_norm

SHAPE = (6, 7, 5)


def network(**options):
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(**options)(x)
    model = keras.Model(inputs, keras.layers.Activation("relu")(x))
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(1, 0.5, weight.shape) ** 2 for weight in model.get_weights()])
    return model


def a_step(model, images):
    """What a training step computes: maps, gradients, and every weight afterwards."""

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            maps = model(images, training=True)
            loss = tf.reduce_sum(maps * tf.cos(maps))
        return maps, *tape.gradient(loss, [images, *(v.value for v in model.trainable_variables)])

    found = step(tf.constant(images, tf.float32))
    return [value.numpy() for value in found] + model.get_weights()


def operations(model, images):
    concrete = tf.function(lambda images: model(images, training=True)).get_concrete_function(images)
    return {operation.type for operation in concrete.graph.get_operations()}


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.5, "epsilon": 0.1}, {"scale": False}, {"center": False}], ids=str
)
@pytest.mark.parametrize("batch", [1, 9])
def test_a_step_is_the_same_to_float_precision(options, batch):
    images = np.random.default_rng(0).normal(2, 3, (batch, *SHAPE)).astype("float32")
    plain, model = a_step(network(**options), images), network(**options)
    with fused_batch_norm(model):
        fused = a_step(model, images)
    for one, other in zip(plain, fused, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-5 * abs(one).max())


def test_half_precision_is_normalized_in_single_precision_as_keras_does():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        plain, model = network(), network()
    finally:
        keras.config.set_dtype_policy(before)
    images = np.random.default_rng(0).normal(2, 3, (8, *SHAPE)).astype("float16")
    with fused_batch_norm(model):
        maps = model(images, training=True)
    np.testing.assert_allclose(maps, plain(images, training=True), rtol=2e-3, atol=1e-3)
    assert maps.dtype == "float16"


def test_what_is_frozen_scored_or_trained_otherwise_is_left_to_keras():
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    frozen, model, several = network(), network(), network(renorm=True)
    frozen.trainable = False
    with fused_batch_norm(frozen), fused_batch_norm(model), fused_batch_norm(several):
        assert "FusedBatchNormV3" not in operations(frozen, images) | operations(several, images)
        scored = model(images, training=False)
    np.testing.assert_array_equal(scored, network()(images, training=False))


def test_afterwards_the_layer_is_keras_own(tmp_path):
    inner = network()
    outer = keras.Sequential([keras.Input(SHAPE), inner])
    images = np.zeros((2, *SHAPE), "float32")
    with fused_batch_norm(outer):
        assert "FusedBatchNormV3" in operations(outer, images)
        outer.save(tmp_path / "model.keras")
    assert "FusedBatchNormV3" not in operations(outer, images)
    assert "call" not in vars(inner.layers[2])
    reloaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(reloaded.predict(images, verbose=0), outer.predict(images, verbose=0))
