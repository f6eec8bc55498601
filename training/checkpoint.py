"""The state of a training on disk: written whole or not at all, proven before it is trusted, plain data inside."""

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from convlens.core.errors import UserError
from convlens.core.files import atomic_folder, telling_full_disk
from convlens.core.program import word

ARRAYS, VALUES, MODEL, MANIFEST = "arrays.safetensors", "values.json", "model.keras", "manifest.json"
KEPT = 2  # the newest and the one before, should the newest be damaged later

Bytes = bytes | memoryview

_DTYPES = {
    "F64": np.dtype("float64"),
    "F32": np.dtype("float32"),
    "F16": np.dtype("float16"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("int64"),
    "I32": np.dtype("int32"),
    "U64": np.dtype("uint64"),
    "U32": np.dtype("uint32"),
    "U8": np.dtype("uint8"),
    "BOOL": np.dtype("bool"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class Damaged(UserError):
    """A checkpoint that is not whole, or not as it was written."""


@dataclass(frozen=True)
class State:
    """Where a training stands: between two steps, with everything that the next step depends on."""

    epoch: int  # epochs that are complete
    step: int  # steps of the next epoch that are done
    complete: bool  # whether training has come to its end
    arrays: dict[str, np.ndarray]  # variables of the model, the optimizer and, within an epoch, the metrics
    values: dict[str, Any] = field(default_factory=dict)  # plain values of callbacks, rows of metrics, sizes of logs
    best_model: bytes | None = None  # the content of the best model's file

    def not_finite(self) -> str:
        """The name of the first array with a NaN or an infinity; an empty string for none."""
        return next((name for name, array in self.arrays.items() if not _is_finite(array)), "")


def write_checkpoint(folder: Path, state: State) -> Path:
    """Adds a checkpoint to the folder and removes the ones that it makes superfluous.

    A crash at any moment leaves the checkpoints before it as they were. Raises `UserError` when the disk is full,
    saying how much space is missing, and `Damaged` when what the disk gives back is not what was written.
    """
    before = checkpoints(folder)
    number = _number(before[0]) + 1 if before else 1
    path = folder / f"{number:06d}-epoch{state.epoch}-step{state.step}"
    values = {"epoch": state.epoch, "step": state.step, "complete": state.complete, **state.values}
    files = {ARRAYS: _packed(state.arrays), VALUES: [_json(values)]}
    if state.best_model:
        files[MODEL] = [state.best_model]
    files[MANIFEST] = [_json({"files": {name: _sum(*pieces) for name, pieces in files.items()}})]
    size = sum(map(len, itertools.chain(*files.values())))
    with telling_full_disk(folder, size):
        folder.mkdir(parents=True, exist_ok=True)
    for unfinished in (path for path in folder.glob(".*") if path.is_dir()):
        shutil.rmtree(unfinished)
    atomic_folder(path, lambda temporary: _fill(temporary, files), size=size)
    try:
        read_checkpoint(path)
    except Damaged as damage:
        raise Damaged(
            f"Checkpoint {path} is not what was written a moment ago: {damage}. The disk does not keep what it is "
            "given; train on another one, with runs_dir=."
        ) from None
    for old in checkpoints(folder)[KEPT:]:
        shutil.rmtree(old)
    return path


def newest_checkpoint(
    folder: Path, tell: Callable[[str], None], fits: Callable[[State], bool] = lambda state: True
) -> State | None:
    """The state in the newest whole checkpoint that fits, None where there is no checkpoint yet; tells where it stands.

    Raises `UserError` when there are checkpoints and not one of them is whole and fits.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            state = read_checkpoint(path)
        except Damaged as damage:
            tell(f"Checkpoint {path} is damaged: {damage}.")
        else:
            if not fits(state):
                continue
            tell(f"Going on after epoch {state.epoch}, step {state.step}, from {path}")
            return state
    if found:
        raise UserError(
            f"No checkpoint in {folder} can be gone on from. Start a new run from the best model of this one: "
            f"{word('init_from', folder.parent)}"
        )
    return None


def read_checkpoint(path: Path) -> State:
    """The state in a checkpoint whose every byte is as it was written. Raises `Damaged` for any other."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        sums = manifest["files"]
        if set(manifest) != {"files"} or not {ARRAYS, VALUES} <= set(sums) <= {ARRAYS, VALUES, MODEL}:
            raise Damaged(f"{MANIFEST} does not list what a checkpoint holds")
        parts = {name: (path / name).read_bytes() for name in sums}
        for name, content in parts.items():
            if sums[name] != _sum(content):
                raise Damaged(f"{name} is not as it was written, its SHA-256 sum is another one")
        values = json.loads(parts[VALUES])
        place = {name: values.pop(name) for name in ("epoch", "step", "complete")}
        return State(**place, arrays=_unpacked(parts[ARRAYS]), values=values, best_model=parts.get(MODEL))
    except OSError as error:
        raise Damaged(f"{Path(error.filename or path).name} cannot be read, {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged(f"it is not readable, {type(error).__name__}: {str(error)[:100]}") from None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whole or not, newest first."""
    return sorted(folder.glob("[0-9]*-epoch*-step*"), key=_number, reverse=True)


def place_of(checkpoint: Path) -> str:
    """Where training stood, by a checkpoint's name."""
    _, epoch, step = checkpoint.name.split("-")
    return f"after {epoch.replace('epoch', 'epoch ')}, {step.replace('step', 'step ')}"


def _number(path: Path) -> int:
    return int(path.name.split("-")[0])


def _fill(folder: Path, files: dict[str, list[Bytes]]) -> None:
    for name, pieces in files.items():
        with (folder / name).open("wb") as file:
            file.writelines(pieces)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1, allow_nan=False).encode()


def _sum(*pieces: Bytes) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _packed(arrays: dict[str, np.ndarray]) -> list[Bytes]:
    """Arrays in the safetensors format: the length of a JSON header, the header, and the values one after another.

    In pieces, of which the values are the arrays' own memory.
    """
    header, place = {}, 0
    for name, array in arrays.items():
        span = [place, place + array.nbytes]
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": span}
        place = span[1]
    text = json.dumps(header).encode()
    values = (np.ascontiguousarray(array).reshape(-1).view("uint8").data for array in arrays.values())
    return [len(text).to_bytes(8, "little"), text, *values]


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    start = 8 + int.from_bytes(content[:8], "little")
    arrays = {}
    for name, about in json.loads(content[8:start]).items():
        first, last = about["data_offsets"]
        values = np.frombuffer(content[start + first : start + last], _DTYPES[about["dtype"]])
        arrays[name] = values.reshape(about["shape"])
    return arrays


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind in "iub" or bool(np.isfinite(array).all())
