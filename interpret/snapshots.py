"""What a network looked like after an epoch, small enough to keep for every epoch."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from convlens.core.errors import UserError
from convlens.core.plain_arrays import bytes_of_arrays, parse_arrays

MOST_UNITS, MOST_INPUTS = 64, 16  # what pictures of a layer have room for
MOST_SIDE = 64  # pixels of a feature map
MOST_BYTES = 2**27  # of all arrays, in half precision
FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """Kernels (height, width, inputs, units) and maps (n, height, width, units), float32, by layer."""

    epoch: int
    kernels: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]


def pack_snapshot(epoch: int, kernels: Mapping[str, np.ndarray], maps: Mapping[str, np.ndarray] | None = None) -> bytes:
    """An epoch's kernels and feature maps as the bytes of an `.npz` file, to be kept where the caller likes.

    `kernels` are (height, width, inputs, units) and `maps` (n, height, width, units), by layer. The first 64 units
    and 16 inputs are kept, always the same ones, and maps are thinned to at most 64 places a side; as float16 of their
    share of the largest magnitude, which is kept exactly: at most 0.05% off each value, or 6e-8 of the largest. Values
    that are not finite stay what they are. `unpack_snapshot` gives them back.
    """
    arrays = {"format": np.array(FORMAT), "epoch": np.array(epoch)}
    for layer, kernel in kernels.items():
        _pack(arrays, f"kernels/{layer}", np.asarray(kernel)[:, :, :MOST_INPUTS, :MOST_UNITS])
    for layer, values in (maps or {}).items():
        step = max(1, -(-max(values.shape[1:3]) // MOST_SIDE))
        _pack(arrays, f"maps/{layer}", np.asarray(values)[:, ::step, ::step, :MOST_UNITS])
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack_snapshot(content: bytes) -> Snapshot:
    """What `pack_snapshot` packed. Raises UserError for bytes that are not a whole snapshot."""
    try:
        arrays = parse_arrays(content, dtypes=("<f2", "<f4", "<i8"), most=MOST_BYTES)
        if _whole_number(arrays, "format") != FORMAT:
            raise UserError(f"is of format {_whole_number(arrays, 'format')}, expected {FORMAT}")
        layers: dict[str, dict[str, np.ndarray]] = {"kernels": {}, "maps": {}}
        for name in arrays:
            kind, _, layer = name.partition("/")
            if kind in layers:
                layers[kind][layer] = _unpacked(arrays, name)
        return Snapshot(_whole_number(arrays, "epoch"), **layers)
    except UserError as error:
        raise UserError(f"not a snapshot of an epoch, or a damaged one: it {error}") from None


def _unpacked(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    values, limit = arrays[name], arrays.get(f"limits/{name}")
    if values.ndim != 4 or values.dtype != np.float16 or limit is None or limit.shape or limit.dtype != np.float32:
        raise UserError(f"has an array {name[:80]!r} that is no kernel and no feature map")
    return values.astype(np.float32) * limit


def _whole_number(arrays: Mapping[str, np.ndarray], name: str) -> int:
    number = arrays.get(name)
    if number is None or number.shape or number.dtype != np.int64 or not 0 <= number < 10**9:
        raise UserError(f"has no '{name}', or one that cannot be")
    return int(number)


def unpacked_bytes(content: bytes) -> int:
    """About how much memory a snapshot will take. Raises UserError for bytes that are not a snapshot."""
    try:
        return 2 * bytes_of_arrays(content)
    except UserError as error:
        raise UserError(f"not a snapshot of an epoch, or a damaged one: it {error}") from None


def stack_snapshots(snapshots: Iterable[Snapshot], kind: str, layer: str) -> tuple[list[int], np.ndarray]:
    """The epochs, in order, and a layer's arrays of them, (epochs, ...). `kind` is "kernels" or "maps".

    Raises UserError where a snapshot lacks the layer, or its shape changed.
    """
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.epoch)
    arrays = []
    for snapshot in ordered:
        by_layer = getattr(snapshot, kind)
        if layer not in by_layer:
            raise UserError(f"epoch {snapshot.epoch} has no {kind} of layer '{layer}'; it has {', '.join(by_layer)}")
        arrays.append(by_layer[layer])
    if len({array.shape for array in arrays}) != 1:
        raise UserError(f"the {kind} of layer '{layer}' have the shapes {sorted({array.shape for array in arrays})}")
    return [snapshot.epoch for snapshot in ordered], np.stack(arrays)


def _pack(arrays: dict[str, np.ndarray], name: str, values: np.ndarray) -> None:
    magnitudes = np.abs(values.astype(np.float64))
    limit = np.float32(magnitudes.max(initial=0.0, where=np.isfinite(magnitudes)) or 1.0)
    arrays[name] = (values / limit).astype(np.float16)
    arrays[f"limits/{name}"] = np.array(limit)
