"""The one gate by which a model file is read: judged from the outside in, and given to Keras last."""

import math
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlens.core.errors import ModelError
from convlens.models.keras_file.archive import CONFIG, METADATA, opened, shown, size_of
from convlens.models.keras_file.configuration import Weight, expected_weights
from convlens.models.keras_file.other_formats import other_format
from convlens.models.keras_file.weights import checked_weights, copy_weights

if TYPE_CHECKING:
    import keras

_BYTES = {"float16": 2, "bfloat16": 2}  # all others take 4 at least: JAX stores float64 as float32


def read_model(path: str | os.PathLike, *, sha256: str | None = None) -> "keras.Model":
    """A `.keras` file's model, not compiled, whoever wrote the file.

    Only built-in layers are read (models/keras_file/allowed.py), nothing in the file is run, and memory is taken only
    for weights that the file really holds. Keras is imported after everything else has been checked. With `sha256`,
    the file must have that SHA-256 sum (hexadecimal).

    Raises ModelError, one line with the reason, for a file that is damaged, hostile or not a model.
    """
    path = Path(path)
    if other_format(path):
        raise ModelError(other_format(path))
    try:
        with opened(path, sha256) as archive, tempfile.TemporaryDirectory(prefix="convlens-") as folder:
            _check_version(archive.json(METADATA))
            config = archive.json(CONFIG)
            expected = expected_weights(config)
            _check_budget(expected, archive.weights_bytes)
            # Copies, so that Keras reads what was checked, whatever happens to the file meanwhile.
            unpacked, weights = Path(folder, "unpacked.h5"), Path(folder, "checked.weights.h5")
            archive.unpack_weights(unpacked)
            copy_weights(unpacked, checked_weights(unpacked, expected), weights)
            return _built(config, weights)
    except ModelError as error:
        raise ModelError(f"Model file {shown(path, 200)} {error}.") from None
    except OSError as error:
        raise ModelError(f"Model file {shown(path, 200)} cannot be unpacked: {error.strerror or error}.") from None


def _check_version(metadata: dict[str, Any]) -> None:
    version = metadata.get("keras_version")
    if not isinstance(version, str) or not version.startswith("3."):
        raise ModelError(f"was saved by Keras {shown(version, 20)}; files of Keras 3 are read")


def _check_budget(expected: Mapping[str, Weight], weights_bytes: int) -> None:
    """Refuses a configuration that asks for more memory than the weights of the file would fill."""
    sizes: dict[str, int] = {}
    for weight in expected.values():
        sizes[weight.layer] = sizes.get(weight.layer, 0) + math.prod(weight.shape) * _BYTES.get(weight.dtype, 4)
    if sum(sizes.values()) > weights_bytes:
        largest = max(sizes, key=sizes.__getitem__)
        raise ModelError(
            f"asks for {size_of(sum(sizes.values()))} of weights ({size_of(sizes[largest])} in layer '{largest}'), "
            f"and its weights file has {size_of(weights_bytes)}"
        )


def _built(config: dict[str, Any], weights: Path) -> "keras.Model":
    import keras

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            model.load_weights(weights)
        finite = all(keras.ops.all(keras.ops.isfinite(weight)) for weight in model.weights)
    except Exception as error:  # Keras raises whatever its layers make of their options
        raise ModelError(f"cannot be built: {_cause(error)}") from None
    if not finite:
        raise ModelError("has weights that are NaN or infinite in the dtype of their layer")
    return model


def _cause(error: BaseException) -> str:
    """Where Keras wraps one exception in another, the first of them, without its colours."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {shown(text, 300)}"
