"""What differs between Keras' backends: compiling a function of tensors, its gradient, telling traced tensors apart."""

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from convlens.core.backend import by_backend
from convlens.core.errors import ModelError, UserError, cause_of, one_line

Shape = tuple[int | None, ...]


def compiled(
    model: keras.Model, function: Callable[..., list[Any]], shapes: Sequence[Shape] | None = None
) -> Callable[..., list[np.ndarray]]:
    """A fast version of `function(values, *tensors) -> list of tensors`, to be called with arrays.

    `values` are those of the model's variables at the time of the call. It is traced anew for each shape of the arrays.

    `shapes`, one for each array, have None for the sides that may vary. Where an array's first side may, the array is a
    batch, and so is whatever the function returns: a batch of another length is then not traced anew.
    """
    compile_by_backend = by_backend(tensorflow=_compiled_by_tensorflow, jax=_compiled_by_jax)
    return compile_by_backend(model, function, shapes)


def with_gradient(function: Callable[[Any], tuple[Any, Any]], at: Any) -> tuple[Any, Any]:
    """The gradient of a scalar with respect to `at`, and what else the function gives.

    `function(at)` returns (the scalar, anything else); to be called while a function is being compiled.
    """
    return by_backend(tensorflow=_with_gradient_by_tensorflow, jax=_with_gradient_by_jax)(function, at)


def positive_gradient_only(x: Any) -> Any:
    """`x` itself, through which only the positive part of a gradient flows back."""
    return by_backend(tensorflow=_positive_gradient_by_tensorflow, jax=_positive_gradient_by_jax)(x)


def traced(function: Callable[[Any], list[Any]], shape: Sequence[int], dtype: str) -> list[Hashable]:
    """A key for each tensor that `function` makes of images, equal where the tensors are the same but for a cast.

    Layers of a mixed-precision model cast what they are given, so that the objects alone do not tell which layer's
    output is which layer's input. Nothing is computed.
    """
    return by_backend(tensorflow=_traced_by_tensorflow, jax=_traced_by_jax)(function, shape, dtype)


@contextmanager
def computing() -> Iterator[None]:
    """Turns an error inside a model's own layers into a ModelError, while the block runs.

    Keras links layers by shapes alone, so that an option may turn out to be wrong only once something is computed.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Keras raises whatever its layers make of their options
        raise ModelError(f"The model cannot be computed: {cause_of(error)}") from error


def check_names(model: keras.Model) -> None:
    """Raises ModelError where a model, or a layer of it, has a name with which the backend compiles nothing."""
    by_backend(tensorflow=_check_names_by_tensorflow, jax=lambda model: None)(model)


def filled(array: np.ndarray, count: int) -> np.ndarray:
    """A batch whose last row is repeated up to `count` rows, because another length would have to be compiled."""
    return array if len(array) == count else np.concatenate([array, np.repeat(array[-1:], count - len(array), axis=0)])


def _check_names_by_tensorflow(model: keras.Model) -> None:
    # What TensorFlow takes for the name of a scope, and for that of the outermost one.
    inner, outer = r"[A-Za-z0-9_./>-]*", r"[A-Za-z0-9.][A-Za-z0-9_./>-]*"
    wrong = next((name for name in _layer_names(model) if not re.fullmatch(inner, name)), None)
    if wrong is None and not re.fullmatch(outer, model.name):
        wrong = model.name
    if wrong is not None:
        raise ModelError(
            f"has the name '{one_line(wrong[:80])}', which TensorFlow cannot use: it takes letters from A to Z, digits "
            "and . _ - > / in the name of a layer, and a letter, a digit or . first in that of a model. Rename it, or "
            "set KERAS_BACKEND=jax"
        )


def _layer_names(model: keras.Model) -> Iterator[str]:
    for layer in model.layers:
        yield layer.name
        if isinstance(layer, keras.Model):
            yield from _layer_names(layer)


def _compiled_by_tensorflow(
    model: keras.Model, function: Callable, shapes: Sequence[Shape] | None
) -> Callable[..., list[np.ndarray]]:
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(*tensors):
        return function([variable.value for variable in model.variables], *tensors)

    concrete = {}

    def run_concrete(*arrays: np.ndarray) -> list[np.ndarray]:
        # Traced by us, because TensorFlow warns of a function that it is given in many shapes.
        sides = shapes or [array.shape for array in arrays]
        specs = tuple(tf.TensorSpec(shape, array.dtype) for shape, array in zip(sides, arrays, strict=True))
        if specs not in concrete:
            concrete[specs] = run.get_concrete_function(*specs)
        return [tensor.numpy() for tensor in concrete[specs](*map(tf.constant, arrays))]

    return run_concrete


def _with_gradient_by_tensorflow(function: Callable, at: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(at)
        scalar, rest = function(at)
    return tape.gradient(scalar, at, unconnected_gradients=tf.UnconnectedGradients.ZERO), rest


def _positive_gradient_by_tensorflow(x: Any) -> Any:
    import tensorflow as tf

    return tf.custom_gradient(lambda value: (tf.identity(value), tf.nn.relu))(x)


def _traced_by_tensorflow(function: Callable, shape: Sequence[int], dtype: str) -> list[Hashable]:
    import tensorflow as tf

    keys: list[Hashable] = []

    def key(tensor):
        while tensor.op.type in ("Cast", "Identity"):
            tensor = tensor.op.inputs[0]
        return id(tensor.graph), tensor.name

    @tf.function(autograph=False)
    def trace(images):
        keys.extend(key(tensor) for tensor in function(images))

    trace.get_concrete_function(tf.TensorSpec(shape, dtype))
    return keys


def _compiled_by_jax(
    model: keras.Model, function: Callable, shapes: Sequence[Shape] | None
) -> Callable[..., list[np.ndarray]]:
    import jax

    jitted = jax.jit(function)
    batched = [at for at, shape in enumerate(shapes or ()) if shape and shape[0] is None]
    largest = 0

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        values = [variable.value for variable in model.variables]
        if not batched:
            return [np.asarray(array) for array in jitted(values, *arrays)]
        # Only what has one shape is compiled once: a shorter batch is filled up to the largest so far.
        nonlocal largest
        count = len(arrays[batched[0]])
        largest = max(largest, count)
        full = [filled(array, largest) if at in batched else array for at, array in enumerate(arrays)]
        return [np.asarray(array)[:count] for array in jitted(values, *full)]

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


def _traced_by_jax(function: Callable, shape: Sequence[int], dtype: str) -> list[Hashable]:
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
