"""Layers in fewer passes give what Keras' own give: values, gradients and moving averages."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from convlens.training.faster_layers import faster_layers

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

    outputs = step(tf.constant(images, tf.float32))
    return [value.numpy() for value in outputs] + model.get_weights()


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
    with faster_layers(model):
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
    with faster_layers(model):
        maps = model(images, training=True)
    np.testing.assert_allclose(maps, plain(images, training=True), rtol=2e-3, atol=1e-3)
    assert maps.dtype == "float16"


def test_what_is_frozen_scored_or_trained_otherwise_is_left_to_keras():
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    frozen, model, several = network(), network(), network(renorm=True)
    frozen.trainable = False
    with faster_layers(frozen), faster_layers(model), faster_layers(several):
        assert "FusedBatchNormV3" not in operations(frozen, images) | operations(several, images)
        scored = model(images, training=False)
    np.testing.assert_array_equal(scored, network()(images, training=False))


def test_afterwards_the_layer_is_keras_own(tmp_path):
    inner = network()
    outer = keras.Sequential([keras.Input(SHAPE), inner])
    images = np.zeros((2, *SHAPE), "float32")
    with faster_layers(outer):
        assert "FusedBatchNormV3" in operations(outer, images)
        outer.save(tmp_path / "model.keras")
    assert "FusedBatchNormV3" not in operations(outer, images)
    assert "call" not in vars(inner.layers[2])
    reloaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(reloaded.predict(images, verbose=0), outer.predict(images, verbose=0))


POOLING = """
import jax, keras, numpy as np
from convlens.training.faster_layers import faster_layers

def network(size, **options):
    inputs = keras.Input((9, 8, 3))
    return keras.Model(inputs, keras.layers.MaxPooling2D(size, **options)(keras.layers.Activation("relu")(inputs)))

images = np.random.default_rng(0).normal(0.5, 1, (4, 9, 8, 3)).astype("float32")

def computed(model):
    def loss(images):
        maps = model(images, training=True)
        return keras.ops.sum(maps * keras.ops.cos(maps)), maps
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, maps), gradient = step(images)
    return np.asarray(maps), np.asarray(gradient), "select_and_scatter" in step.lower(images).as_text()

for size, options in [(2, {}), ((3, 2), {}), (4, {"data_format": "channels_last"})]:
    plain, model = computed(network(size, **options)), network(size, **options)
    with faster_layers(model):
        faster = computed(model)
    assert plain[2] and not faster[2]
    np.testing.assert_array_equal(faster[0], plain[0])
    np.testing.assert_allclose(faster[1], plain[1], atol=1e-6)
    assert computed(model)[2]

for size, options in [(2, {"strides": 1}), (3, {"strides": 2}), (2, {"padding": "same"})]:
    model = network(size, **options)
    with faster_layers(model):
        assert computed(model)[2]
"""


NORMALIZING = """
import jax, keras, numpy as np
from convlens.training.faster_layers import faster_layers

def network(dtype="float32", **options):
    inputs = keras.Input((6, 7, 5), dtype="float32")
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, dtype=dtype)(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(**options, dtype=dtype)(x))
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(1, 0.5, weight.shape) ** 2 for weight in model.get_weights()])
    return model

def computed(model, images, training=True):
    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(weights, images):
        maps, after = model.stateless_call(weights, fixed, images, training=training)
        maps = maps.astype("float32")
        return keras.ops.sum(maps * keras.ops.cos(maps)), (maps, after)

    weights = [variable.value for variable in model.trainable_variables]
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    found = step(weights, images)
    return [np.asarray(value) for value in jax.tree.leaves(found)], str(jax.make_jaxpr(loss)(weights, images))

def same(dtype, rtol, atol, batch, loc, **options):
    images = np.random.default_rng(0).normal(loc, 3, (batch, 6, 7, 5)).astype("float32")
    plain, model = computed(network(dtype, **options), images), network(dtype, **options)
    with faster_layers(model):
        faster = computed(model, images)
    assert "custom_vjp" in faster[1] and "custom_vjp" not in plain[1]
    for one, other in zip(plain[0], faster[0], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(other, one, rtol=rtol, atol=atol * abs(one).max())
    assert "custom_vjp" not in computed(model, images)[1]

for options in [{}, {"momentum": 0.5, "epsilon": 0.1}, {"scale": False}, {"center": False}]:
    for batch in (1, 9):
        same("float32", 2e-4, 2e-5, batch, 2, **options)
same("float32", 1e-3, 1e-3, 9, 200)  # the mean is 80 times the deviation
same("mixed_bfloat16", 3e-2, 3e-2, 9, 2)

images = np.random.default_rng(0).normal(2, 3, (9, 6, 7, 5)).astype("float32")
frozen, scored, several = network(), network(), network(renorm=True)
frozen.layers[2].trainable = False
with faster_layers(frozen), faster_layers(scored), faster_layers(several):
    assert "custom_vjp" not in computed(frozen, images)[1] + computed(several, images)[1]
    assert "custom_vjp" not in computed(scored, images, training=False)[1]
"""


def with_jax(program):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    root = Path(__file__).resolve().parents[2]
    return subprocess.run([sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("program", [POOLING, NORMALIZING], ids=["pooling", "normalizing"])
def test_with_jax_only_what_can_be_faster_is_computed_otherwise_and_gives_the_same(program):
    pytest.importorskip("jax")
    done = with_jax(program)
    assert done.returncode == 0, done.stderr
