"""What differs between TensorFlow and JAX: compiling a forward pass, and telling traced tensors apart."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError

Function = Callable[[Any], list[Any]]  # images (batch, height, width, channels) -> tensors


def compiled(model: keras.Model, forward: Callable, shape: Sequence[int | None], dtype: str) -> Callable:
    """A fast version of `forward(images, values)` that is given the present values of the model's variables.

    Takes images as an array (n, height, width, channels), gives a list of float32 arrays (n, ...).
    """
    return _pick(_compiled_by_tensorflow, _compiled_by_jax)(model, forward, shape, dtype)


def traced(function: Function, shape: Sequence[int], dtype: str) -> list[Hashable]:
    """A key for each tensor that `function` returns, equal where the tensors are the same but for a cast.

    Layers of a mixed-precision model cast what they are given, so that the objects alone do not tell which layer's
    output is which layer's input. Nothing is computed.
    """
    return _pick(_traced_by_tensorflow, _traced_by_jax)(function, shape, dtype)


def _pick(for_tensorflow: Callable, for_jax: Callable) -> Callable:
    choices = {"tensorflow": for_tensorflow, "jax": for_jax}
    name = keras.backend.backend()
    if name not in choices:
        raise ModelError(f"Features are extracted on the Keras backends {' and '.join(choices)}, not on {name}")
    return choices[name]


def _compiled_by_tensorflow(model: keras.Model, forward: Callable, shape: Sequence[int | None], dtype: str) -> Callable:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *shape), dtype)], autograph=False)
    def run(images):
        return forward(images, [variable.value for variable in model.variables])

    return lambda images: [np.asarray(tensor) for tensor in run(tf.constant(images))]


def _traced_by_tensorflow(function: Function, shape: Sequence[int], dtype: str) -> list[Hashable]:
    import tensorflow as tf

    keys = []

    def key(tensor):
        while tensor.op.type in ("Cast", "Identity"):
            tensor = tensor.op.inputs[0]
        return id(tensor.graph), tensor.name

    @tf.function(autograph=False)
    def trace(images):
        keys.extend(key(tensor) for tensor in function(images))

    trace.get_concrete_function(tf.TensorSpec(shape, dtype))
    return keys


def _compiled_by_jax(model: keras.Model, forward: Callable, shape: Sequence[int | None], dtype: str) -> Callable:
    import jax

    jitted = jax.jit(forward)
    largest = 0

    def run(images):
        # A shorter last batch is filled up: another batch size would have to be compiled.
        nonlocal largest
        largest = max(largest, len(images))
        filled = np.concatenate([images, np.repeat(images[-1:], largest - len(images), axis=0)])
        values = [variable.value for variable in model.variables]
        return [np.asarray(array)[: len(images)] for array in jitted(filled, values)]

    return run


def _traced_by_jax(function: Function, shape: Sequence[int], dtype: str) -> list[Hashable]:
    import jax

    jaxpr = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(tuple(shape), dtype)).jaxpr
    sources = {
        id(equation.outvars[0]): equation.invars[0]
        for equation in jaxpr.eqns
        if equation.primitive.name == "convert_element_type"
    }

    def key(variable):
        while id(variable) in sources:
            variable = sources[id(variable)]
        return id(variable)

    return [key(variable) for variable in jaxpr.outvars]
