"""The only way a model file is read: it is checked from the outside in, and Keras sees it last."""

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlens.core.errors import ModelError
from convlens.models.keras_file.archive import CONFIG, MB, METADATA, Archive, opened, printable, size_of
from convlens.models.keras_file.building import built
from convlens.models.keras_file.configuration import Weight, expected_weights
from convlens.models.keras_file.other_formats import other_format
from convlens.models.keras_file.weights import checked_weights, copy_weights

if TYPE_CHECKING:
    import keras

_BYTES = {"float16": 2, "bfloat16": 2}  # all others take 4 at least: JAX stores float64 as float32
# Bytes of a weights file for one of weights: an optimizer keeps a few numbers for each; headers take the rest.
_STATE, _HEADERS = 8, 64 * MB


def read_model(path: str | os.PathLike, *, sha256: str | None = None) -> "keras.Model":
    """Reads the model in a `.keras` file, not compiled; it is safe whoever wrote the file.

    Only built-in layers are read (models/keras_file/allowed.py), no code in the file is run, and memory is allocated
    only for weights that the file really holds, after everything else has been checked. With `sha256`, the file must
    have that SHA-256 sum (hexadecimal).

    Raises ModelError, with a one-line reason, if the file is damaged, hostile or not a model.
    """
    path = Path(path)
    with _checked_archive(path) as (archive, config, expected):
        if sha256 is not None:
            archive.check_sum(sha256)
        with tempfile.TemporaryDirectory(prefix="convlens-") as folder:
            return built(config, expected, lambda: _weights(archive, expected, Path(folder)))


def read_description(path: str | os.PathLike) -> dict[str, Any]:
    """What a `.keras` file says of its layers, judged; its weights are not read. Raises ModelError as `read_model`."""
    with _checked_archive(Path(path)) as (_, config, _):
        return config


def has_sum(path: str | os.PathLike, sha256: str) -> bool:
    """Whether a model file has this SHA-256 sum; what `read_model` would refuse unread has none."""
    try:
        with _checked_archive(Path(path)) as (archive, _, _):
            return archive.has_sum(sha256)
    except ModelError:
        return False


@contextmanager
def _checked_archive(path: Path) -> Iterator[tuple[Archive, dict[str, Any], dict[str, Weight]]]:
    """An open file with its configuration and the weights it must hold, all checked."""
    if other_format(path):
        raise ModelError(other_format(path))
    try:
        with opened(path) as archive:
            _check_version(archive.json(METADATA))
            config = archive.json(CONFIG)
            expected = _expected(config)
            _check_budget(expected, archive.weights_bytes)
            yield archive, config, expected
    except ModelError as error:
        raise ModelError(f"Model file {printable(path, 200)} {error}.") from None
    except OSError as error:
        raise ModelError(f"Model file {printable(path, 200)} cannot be unpacked: {error.strerror or error}.") from None


def _check_version(metadata: dict[str, Any]) -> None:
    version = metadata.get("keras_version")
    if not isinstance(version, str) or not version.startswith("3."):
        raise ModelError(f"was saved by Keras {printable(version, 20)}; only files of Keras 3 are read")


def _expected(config: dict[str, Any]) -> dict[str, Weight]:
    try:
        return expected_weights(config)
    except ModelError:
        raise
    # A value of a kind that nobody thought of is refused like any other.
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(
            f"has a configuration that is not understood ({type(error).__name__}: {printable(error)})"
        ) from None


def _check_budget(expected: Mapping[str, Weight], weights_bytes: int) -> None:
    """Refuses a configuration that asks for more memory than the weights of the file would fill, or for far less."""
    sizes: dict[str, int] = {}
    for weight in expected.values():
        sizes[weight.layer] = sizes.get(weight.layer, 0) + math.prod(weight.shape) * _BYTES.get(weight.dtype or "", 4)
    total = sum(sizes.values())
    if total > weights_bytes:
        largest = max(sizes, key=sizes.__getitem__)
        raise ModelError(
            f"asks for {size_of(total)} of weights ({size_of(sizes[largest])} in layer '{printable(largest)}'), "
            f"and its weights file has {size_of(weights_bytes)}"
        )
    if weights_bytes > _STATE * total + _HEADERS:
        raise ModelError(f"has a weights file of {size_of(weights_bytes)}, and asks for {size_of(total)} of weights")


def _weights(archive: Archive, expected: Mapping[str, Weight], folder: Path) -> Path:
    """A file of the checked weights. A copy, so that Keras reads what was checked, whatever happens to the file."""
    unpacked, weights = folder / "unpacked.h5", folder / "checked.weights.h5"
    archive.unpack_weights(unpacked)
    copy_weights(unpacked, checked_weights(unpacked, expected), weights)
    return weights
