"""Lets Keras build a checked model: its layers first, which take no memory yet, and its weights last."""

import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.core.errors import ModelError, cause_of
from convlens.models.keras_file.archive import printable
from convlens.models.keras_file.configuration import Weight
from convlens.models.keras_file.values import VALUES_AN_IMAGE

if TYPE_CHECKING:
    import keras

_ZEROS: dict[str, Any] = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}


def built(config: dict[str, Any], expected: Mapping[str, Weight], weights: Callable[[], Path]) -> "keras.Model":
    """The model of a configuration, with the weights in the file that `weights` gives.

    `weights` is asked once Keras has linked all layers: until then nothing is allocated. Raises ModelError where Keras
    refuses the configuration, or makes other weights of it than are expected.
    """
    state = random.getstate()  # Keras draws seeds for the layers that have none
    # Keras notes what is not allocated yet, and numbers names, by thread: with this one, that is gone.
    with ThreadPoolExecutor(1, "model") as worker:
        try:
            return worker.submit(_build, config, expected, weights).result()
        except Exception:
            random.setstate(state)
            raise


def _build(config: dict[str, Any], expected: Mapping[str, Weight], weights: Callable[[], Path]) -> "keras.Model":
    import keras

    from convlens.models.tensors import check_names

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            initializers = list(_without_initializers(config))
            with keras.StatelessScope(initialize_variables=False):
                model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            _restore_initializers(model, initializers)
            check_names(model)
            _check_tensors(model)
            _check_shapes(model, expected)
            path = weights()
            with keras.StatelessScope():
                pass  # at its end Keras allocates all that it has noted
            model.load_weights(path)
        finite = all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in model.weights)
    except ModelError:
        raise
    except Exception as error:  # Keras raises whatever its layers make of their options
        raise ModelError(f"cannot be built: {cause_of(error)}") from None
    if not finite:
        raise ModelError("has weights that are NaN or infinite in the dtype of their layer")
    return model


def _without_initializers(
    saved: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Replaces each layer's initializers by zeros, and returns them with their places.

    The file has the weights: random ones would be made in vain, and orthogonal ones take the cube of their size.
    """
    for layer in saved["config"].get("layers", []):
        options = layer["config"]
        where = (*path, options["name"])
        for key in [key for key, value in options.items() if key.endswith("_initializer") and value is not None]:
            yield where, key, options[key]
            options[key] = _ZEROS
        yield from _without_initializers(layer, where)


def _restore_initializers(model: "keras.Model", initializers: list[tuple[tuple[str, ...], str, Any]]) -> None:
    import keras

    for where, key, initializer in initializers:
        layer = model
        for name in where:
            layer = layer.get_layer(name)
        setattr(layer, key, keras.initializers.get(initializer))


def _check_tensors(model: "keras.Model") -> None:
    """What layers make of an image: the shapes that the file says may be others, and those of padding are not there."""
    for layer in getattr(model, "operations", model.layers):
        for tensor in (tensor for node in layer._inbound_nodes for tensor in node.output_tensors):
            if math.prod(side for side in tensor.shape[1:] if side) > VALUES_AN_IMAGE:
                raise ModelError(
                    f"makes a tensor of shape {tensor.shape} in layer '{printable(layer.name)}', of more than "
                    f"{VALUES_AN_IMAGE:,} values an image"
                )
        if hasattr(layer, "layers"):
            _check_tensors(layer)


def _check_shapes(model: "keras.Model", expected: Mapping[str, Weight]) -> None:
    """Raises ModelError where Keras left out an unused layer: it would give that layer's weights to the next of its
    kind.
    """
    shapes = sorted(tuple(weight.shape) for weight in model.weights)
    if shapes != sorted(weight.shape for weight in expected.values()):
        raise ModelError(f"has a configuration that makes {len(shapes):,} arrays of weights, of which some are others "
                         f"than the {len(expected):,} that it describes")  # fmt: skip
