"""Keras builds a model that was judged: its layers first, which take no memory yet, and its weights last."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.core.errors import ModelError
from convlens.models.keras_file.archive import printable
from convlens.models.keras_file.configuration import Weight

if TYPE_CHECKING:
    import keras

_ZEROS = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}


def built(config: dict[str, Any], expected: Mapping[str, Weight], weights: Callable[[], Path]) -> "keras.Model":
    """The model of a configuration, with the weights in the file that `weights` gives.

    `weights` is asked once Keras has linked all layers: until then nothing is allocated. Raises ModelError where Keras
    refuses the configuration, or makes other weights of it than are expected.
    """
    # Keras notes what is not allocated yet, and numbers names, by thread: with this one, that is gone.
    with ThreadPoolExecutor(1, "model") as worker:
        return worker.submit(_build, config, expected, weights).result()


def _build(config: dict[str, Any], expected: Mapping[str, Weight], weights: Callable[[], Path]) -> "keras.Model":
    import keras

    from convlens.models.tensors import check_names

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            initializers = list(_taken_out(config))
            with keras.StatelessScope(initialize_variables=False):
                model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            _give_back(model, initializers)
            check_names(model)
            _check_shapes(model, expected)
            path = weights()
            with keras.StatelessScope():
                pass  # at its end Keras allocates all that it has noted
            model.load_weights(path)
        finite = all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in model.weights)
    except ModelError:
        raise
    except Exception as error:  # Keras raises whatever its layers make of their options
        raise ModelError(f"cannot be built: {_cause(error)}") from None
    if not finite:
        raise ModelError("has weights that are NaN or infinite in the dtype of their layer")
    return model


def _taken_out(saved: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Puts zeros in place of each layer's initializers, and gives these with where they belong.

    The file has the weights: random ones would be made in vain, and orthogonal ones take the cube of their size.
    """
    for layer in saved["config"].get("layers", []):
        options = layer["config"]
        where = (*path, options["name"])
        for key in [key for key, value in options.items() if key.endswith("_initializer") and value is not None]:
            yield where, key, options[key]
            options[key] = _ZEROS
        yield from _taken_out(layer, where)


def _give_back(model: "keras.Model", initializers: list[tuple[tuple[str, ...], str, Any]]) -> None:
    import keras

    for where, key, initializer in initializers:
        layer = model
        for name in where:
            layer = layer.get_layer(name)
        setattr(layer, key, keras.initializers.get(initializer))


def _check_shapes(model: "keras.Model", expected: Mapping[str, Weight]) -> None:
    """Keras leaves out a layer that nothing uses, and would give its weights to the next of its kind."""
    shapes = sorted(tuple(weight.shape) for weight in model.weights)
    if shapes != sorted(weight.shape for weight in expected.values()):
        raise ModelError(f"has a configuration that makes {len(shapes):,} arrays of weights, of which some are others "
                         f"than the {len(expected):,} that it describes")  # fmt: skip


def _cause(error: BaseException) -> str:
    """Where Keras wraps one exception in another, the first of them, without its colours."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {printable(text, 300)}"
