"""The weights inside a `.keras` file: checked by their headers before anything is allocated, then copied for Keras."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from convlens.core.errors import ModelError
from convlens.models.keras_file.archive import printable
from convlens.models.keras_file.configuration import Weight
from convlens.models.keras_file.hdf5 import Array, arrays

TRAINING_STATE = "optimizer"  # what a compiled model is saved with besides its weights
_PIECE = 2**20  # values


def checked_weights(path: Path, expected: Mapping[str, Weight]) -> dict[str, Array]:
    """Where each expected weight lies in the file.

    Raises ModelError unless the file holds exactly these, in their shapes and dtypes, all of them finite.
    """
    stored = arrays(path, without=TRAINING_STATE)
    for name, weight in expected.items():
        if name not in stored:
            raise ModelError(f"lacks weights of layer '{weight.layer}': no '{name}' of shape {weight.shape}")
    for name in stored:
        if name not in expected:
            raise ModelError(f"holds weights that no layer has: '{printable(name)}'")
    for name, weight in expected.items():
        _check(stored[name], weight, path)
    return stored


def copy_weights(path: Path, stored: Mapping[str, Array], target: Path) -> None:
    """Writes the weights to a new HDF5 file: the HDF5 library never parses headers from an untrusted file."""
    import h5py
    import ml_dtypes

    with h5py.File(target, "w") as file:
        for name, array in stored.items():
            bfloat16 = array.dtype == "bfloat16"
            dtype = ml_dtypes.bfloat16 if bfloat16 else array.dtype
            dataset = file.create_dataset(name, data=np.memmap(path, dtype, "r", array.offset, array.shape))
            if bfloat16:
                dataset.attrs["dtype"] = "bfloat16"  # as Keras marks it


def _check(array: Array, weight: Weight, path: Path) -> None:
    if array.shape != weight.shape:
        raise ModelError(f"has weights of shape {array.shape} for layer '{weight.layer}', which has {weight.shape}")
    # A count is int64 on TensorFlow and int32 on JAX; some layers keep float32 where their policy says less.
    choices = ("int32", "int64") if weight.dtype is None else (weight.dtype, "float32")
    if array.dtype not in choices:
        raise ModelError(f"has weights of dtype {array.dtype} for layer '{weight.layer}', which has {choices[0]}")
    if weight.dtype is not None and not all(_finite(piece, array.dtype) for piece in _pieces(array, path)):
        raise ModelError(f"has weights that are NaN or infinite in layer '{weight.layer}'")


def _finite(values: np.ndarray, dtype: str) -> bool:
    # bfloat16 comes as whole numbers: the exponent of NaN and infinity is all ones.
    return bool(((values & 0x7F80) != 0x7F80).all() if dtype == "bfloat16" else np.isfinite(values).all())


def _pieces(array: Array, path: Path) -> Iterator[np.ndarray]:
    dtype = np.dtype("<u2" if array.dtype == "bfloat16" else array.dtype)
    left = array.bytes // dtype.itemsize
    with path.open("rb") as file:
        file.seek(array.offset)
        while left:
            piece = np.fromfile(file, dtype, min(left, _PIECE))
            left -= len(piece)
            yield piece
