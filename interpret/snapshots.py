"""What a network looked like after an epoch, small enough to keep for every epoch."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.core.errors import UserError
from convlens.core.plain_arrays import bytes_of_arrays, parse_arrays

if TYPE_CHECKING:
    import keras

MOST_UNITS, MOST_INPUTS = 64, 16  # what pictures of a layer have room for
MOST_SIDE = 64  # pixels of a feature map
MOST_WHOLE = 2**20  # weights of a layer that is kept whole
MOST_BYTES = 2**28  # of all arrays of a snapshot, in half precision
FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """Kernels (height, width, inputs, units) and maps (n, height, width, units), float32, by layer."""

    epoch: int
    kernels: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]


@dataclass(frozen=True)
class Evolution:
    """A layer's kernels and its maps of one image over e epochs, as far as snapshots hold them."""

    layer: str
    epochs: tuple[int, ...]  # 0 is before training
    kernels: np.ndarray  # (e, height, width, inputs, units)
    maps: np.ndarray | None = None  # (e, rows, columns, units)
    changed: np.ndarray | None = None  # (e,) median cosine of the kernels with the untrained ones; None: not known
    shape: tuple[int, ...] | None = None  # of the layer's whole kernel, where snapshots hold only the first units
    reads_colour: bool = False  # whether kernels read the red, green and blue of the image itself
    image: np.ndarray | None = None  # (height, width, channels) in [0, 255], what the maps are of
    inside: np.ndarray | None = None  # (rows, columns) booleans: cells of the maps that no padding reaches

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `epochs` and `kernels` and, where they are known, `maps` and `changed`."""
        known = {"maps": self.maps, "changed": self.changed}
        arrays = {"epochs": np.array(self.epochs), "kernels": self.kernels}
        return arrays | {name: array for name, array in known.items() if array is not None}


def evolution(snapshots: Iterable[Snapshot], layer: str) -> Evolution:
    """How a layer came to be: its kernels and its maps of the first image in each snapshot.

    Raises UserError where a snapshot lacks the layer, or its shape changed.
    """
    snapshots = list(snapshots)
    epochs, kernels = stack_snapshots(snapshots, "kernels", layer)
    has_maps = any(layer in snapshot.maps for snapshot in snapshots)
    maps = stack_snapshots(snapshots, "maps", layer)[1][:, 0] if has_maps else None
    changed = np.array([_median_cosine(kernel, kernels[0]) for kernel in kernels]) if epochs[0] == 0 else None
    return Evolution(layer, tuple(epochs), kernels, maps, changed)


def pack_snapshot(
    epoch: int,
    kernels: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray] | None = None,
    *,
    whole: bool = False,
) -> bytes:
    """An epoch's kernels and feature maps as the bytes of an `.npz` file, to be kept where the caller likes.

    `kernels` are (height, width, inputs, units) and `maps` (n, height, width, units), by layer. The first 64 units
    and 16 inputs are kept, always the same ones, and maps are thinned to at most 64 places a side; as float16 of their
    share of the largest magnitude, which is kept exactly: at most 0.05% off each value, or 6e-8 of the largest. Values
    that are not finite stay what they are. `unpack_snapshot` gives them back. `whole` keeps every unit and input of
    kernels of up to a million weights: what they began as, with which they are compared later.
    """
    arrays: dict[str, Any] = {"format": np.array(FORMAT), "epoch": np.array(epoch)}
    for layer, kernel in kernels.items():
        kernel = np.asarray(kernel)
        kept = kernel if whole and kernel.size <= MOST_WHOLE else kernel[:, :, :MOST_INPUTS, :MOST_UNITS]
        _pack(arrays, f"kernels/{layer}", kept)
    for layer, values in (maps or {}).items():
        step = max(1, -(-max(values.shape[1:3]) // MOST_SIDE))
        _pack(arrays, f"maps/{layer}", np.asarray(values)[:, ::step, ::step, :MOST_UNITS])
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack_snapshot(content: bytes) -> Snapshot:
    """Unpacks the bytes of `pack_snapshot`. Raises UserError if they are not a complete snapshot."""
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
        raise UserError(f"has no valid '{name}'")
    return int(number)


def unpacked_bytes(content: bytes) -> int:
    """About how many bytes of memory a snapshot will take. Raises UserError if the bytes are not a snapshot."""
    try:
        return 2 * bytes_of_arrays(content)
    except UserError as error:
        raise UserError(f"not a snapshot of an epoch, or a damaged one: it {error}") from None


def stack_snapshots(snapshots: Iterable[Snapshot], kind: str, layer: str) -> tuple[list[int], np.ndarray]:
    """The epochs, in order, and a layer's arrays of them, (epochs, ...). `kind` is "kernels" or "maps".

    Of kernels, what all of them hold: the first may have more inputs and units than the later ones.
    Raises UserError where a snapshot lacks the layer, or its shape changed.
    """
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.epoch)
    arrays = []
    for snapshot in ordered:
        by_layer = getattr(snapshot, kind)
        if layer not in by_layer:
            raise UserError(f"epoch {snapshot.epoch} has no {kind} of layer '{layer}'; it has {', '.join(by_layer)}")
        arrays.append(by_layer[layer])
    if kind == "kernels" and len({array.shape[:2] for array in arrays}) == 1:
        inputs, units = np.min([array.shape[2:] for array in arrays], axis=0)
        arrays = [array[:, :, :inputs, :units] for array in arrays]
    if len({array.shape for array in arrays}) != 1:
        raise UserError(f"the {kind} of layer '{layer}' have the shapes {sorted({array.shape for array in arrays})}")
    return [snapshot.epoch for snapshot in ordered], np.stack(arrays)


def cosine_with_start(kernel: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The cosine of each kernel with its initial weights, (units,) in [-1, 1]: 1 if at most its size changed.

    `kernel` is (height, width, inputs, units), `start` the same or, as in a snapshot, its first inputs and units; the
    part that both hold is compared. NaN for a kernel of zeros.
    """
    kernel, start = np.asarray(kernel, np.float64), np.asarray(start, np.float64)
    inputs, units = start.shape[2:]
    if kernel.shape[:2] != start.shape[:2] or inputs > kernel.shape[2] or units > kernel.shape[3]:
        raise UserError(f"kernels of shape {kernel.shape} did not begin as kernels of shape {start.shape}")
    kernel = kernel[:, :, :inputs, :units]
    sizes = np.sqrt((kernel**2).sum(axis=(0, 1, 2)) * (start**2).sum(axis=(0, 1, 2)))
    dots = (kernel * start).sum(axis=(0, 1, 2))
    return np.divide(dots, sizes, out=np.full(units, np.nan), where=sizes > 0)


def _median_cosine(kernel: np.ndarray, start: np.ndarray) -> float:
    cosines = cosine_with_start(kernel, start)
    return float(np.median(cosines[np.isfinite(cosines)])) if np.isfinite(cosines).any() else float("nan")


def _pack(arrays: dict[str, np.ndarray], name: str, values: np.ndarray) -> None:
    magnitudes = np.abs(values.astype(np.float64))
    limit = np.float32(magnitudes.max(initial=0.0, where=np.isfinite(magnitudes)) or 1.0)
    arrays[name] = (values / limit).astype(np.float16)
    arrays[f"limits/{name}"] = np.array(limit)


def first_layer_cosine(model: "keras.Model", start: Snapshot | None) -> tuple[str, float | None]:
    """The first convolution that was trained, and the median of the cosines of its kernels with those of `start`.

    `start` is a snapshot of the model before its training. The cosine is None where the layer's kernels are not in it,
    or have another shape there; the name is empty where no convolution was trained.
    """
    from convlens.models import conv_layers

    trained = {layer.name for layer in model.layers if layer.trainable}
    first = next((info for info in conv_layers(model) if info.name in trained), None)
    if first is None or start is None:
        return "", None
    kernels = start.kernels.get(first.name)
    try:
        cosines = np.array([]) if kernels is None else cosine_with_start(first.kernel, kernels)
    except UserError:  # the start of another network
        cosines = np.array([])
    known = cosines[np.isfinite(cosines)]
    return first.name, float(np.median(known)) if len(known) else None
