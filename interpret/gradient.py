"""What differs between TensorFlow and JAX: compiling a function of arrays, and taking gradients."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def compiled(model: keras.Model, function: Callable) -> Callable[..., list[np.ndarray]]:
    """A fast version of `function(values, *tensors) -> list of tensors`, to be called with arrays.

    `values` are those of the model's variables at the time of the call. It is traced anew for each shape of the arrays.
    """
    return _pick(_compiled_by_tensorflow, _compiled_by_jax)(model, function)


def with_gradient(function: Callable[[Any], tuple[Any, Any]], at: Any) -> tuple[Any, Any]:
    """The gradient of a scalar with respect to `at`, and what else the function gives.

    `function(at)` returns (the scalar, anything else); to be called while a function is being compiled.
    """
    return _pick(_with_gradient_by_tensorflow, _with_gradient_by_jax)(function, at)


def positive_gradient_only(x: Any) -> Any:
    """`x` itself, through which only the positive part of a gradient flows back."""
    return _pick(_positive_gradient_by_tensorflow, _positive_gradient_by_jax)(x)


def _pick(for_tensorflow: Callable, for_jax: Callable) -> Callable:
    choices = {"tensorflow": for_tensorflow, "jax": for_jax}
    name = keras.backend.backend()
    if name not in choices:
        raise ValueError(f"gradients are taken on the Keras backends {' and '.join(choices)}, not on {name}")
    return choices[name]


def _compiled_by_tensorflow(model: keras.Model, function: Callable) -> Callable[..., list[np.ndarray]]:
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(*tensors):
        return function([variable.value for variable in model.variables], *tensors)

    traced = {}

    def run_traced(*arrays: np.ndarray) -> list[np.ndarray]:
        # Traced by us, because TensorFlow warns of a function that it is given in many shapes.
        shapes = tuple(tf.TensorSpec(array.shape, array.dtype) for array in arrays)
        if shapes not in traced:
            traced[shapes] = run.get_concrete_function(*shapes)
        return [tensor.numpy() for tensor in traced[shapes](*map(tf.constant, arrays))]

    return run_traced


def _with_gradient_by_tensorflow(function: Callable, at: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(at)
        scalar, others = function(at)
    return tape.gradient(scalar, at, unconnected_gradients=tf.UnconnectedGradients.ZERO), others


def _positive_gradient_by_tensorflow(x: Any) -> Any:
    import tensorflow as tf

    return tf.custom_gradient(lambda value: (tf.identity(value), tf.nn.relu))(x)


def _compiled_by_jax(model: keras.Model, function: Callable) -> Callable[..., list[np.ndarray]]:
    import jax

    jitted = jax.jit(function)

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        values = [variable.value for variable in model.variables]
        return [np.asarray(array) for array in jitted(values, *arrays)]

    return run


def _with_gradient_by_jax(function: Callable, at: Any) -> tuple[Any, Any]:
    import jax

    return jax.grad(function, has_aux=True)(at)


def _positive_gradient_by_jax(x: Any) -> Any:
    import jax

    @jax.custom_vjp
    def identity(value):
        return value

    identity.defvjp(lambda value: (value, None), lambda _, gradient: (jax.nn.relu(gradient),))
    return identity(x)
