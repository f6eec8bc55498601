"""Muon turns convolutions' kernels as its authors define it, and leaves the rest to Keras."""

import keras
import numpy as np
import pytest

from convlens.configs import Training
from convlens.training.optimization import build_optimizer

RATE = 0.5


def optimizer(**options):
    given = {"name": "muon", "learning_rate": RATE, "weight_decay": 0.0, "options": {"adam_weight_decay": 0, **options}}
    return build_optimizer(Training.model_validate({"optimizer": given, "schedule": {"name": "constant"}}), 1)


def a_step(built, model, gradients):
    before = [keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
    built.apply([keras.ops.convert_to_tensor(g) for g in gradients], model.trainable_variables)
    return [old - keras.ops.convert_to_numpy(v) for old, v in zip(before, model.trainable_variables, strict=True)]


def orthogonalized(matrix, steps=5):
    """Newton-Schulz iterations for the nearest orthogonal matrix, with the coefficients of Jordan et al."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / np.linalg.norm(wide)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x if wide is matrix else x.T


@pytest.fixture
def network():
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3, name="block1_conv1")(inputs)
    x = keras.layers.Conv2D(40, 1, name="block2_conv1", use_bias=False)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(5, name="head_dense1", use_bias=False)(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="logits", use_bias=False)(x))


@pytest.fixture
def gradients(network):
    generator = np.random.default_rng(0)
    return [generator.normal(size=v.shape).astype("float32") for v in network.trainable_variables]


def test_a_kernel_takes_the_step_of_its_matrix(network, gradients):
    steps = a_step(optimizer(), network, gradients)
    for index in (0, 2):  # higher than wide; wider than high
        gradient = gradients[index].astype("float64")
        rows = gradient.reshape(-1, gradient.shape[-1])
        # Nesterov's look ahead of the first step only scales the gradient, which does not turn it.
        expected = RATE * 0.2 * np.sqrt(max(rows.shape)) * orthogonalized(rows)
        np.testing.assert_allclose(steps[index].reshape(rows.shape), expected, rtol=2e-3, atol=2e-4)
        singular = np.linalg.svd(steps[index].reshape(rows.shape), compute_uv=False)
        assert singular.max() / singular.min() < 2 < np.ptp(np.linalg.svd(rows, compute_uv=False))


def test_biases_and_logits_take_the_step_of_adamw_and_other_layers_that_of_keras_muon(network, gradients):
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    ours = a_step(optimizer(), network, gradients)
    keras_own = keras.optimizers.Muon(RATE, weight_decay=0, adam_weight_decay=0, exclude_layers=["logits"])
    theirs = a_step(keras_own, twin, gradients)
    names = [variable.path for variable in network.trainable_variables]
    assert [name.split("/")[0] for name in names] == [
        "block1_conv1", "block1_conv1", "block2_conv1", "head_dense1", "logits",
    ]  # fmt: skip
    for index in (1, 3, 4):
        np.testing.assert_array_equal(ours[index], theirs[index])
    for index in (0, 2):
        assert np.abs(ours[index] - theirs[index]).max() > 0.01


def test_a_layer_that_is_left_out_takes_the_step_of_adamw(network, gradients):
    (step, *_) = a_step(optimizer(exclude_layers=["block[1]_"]), network, gradients)
    np.testing.assert_allclose(np.abs(step), RATE, rtol=0.02)  # Adam's first step has one length for all
