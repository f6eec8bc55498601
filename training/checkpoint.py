"""The state of a training on disk: written whole or not at all, proven before it is trusted, plain data inside."""

import hashlib
import itertools
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from convlens.core.errors import UserError
from convlens.core.files import atomic_folder, full_disk_as_user_error, make_folder
from convlens.core.plain_json import parse_json
from convlens.core.program import word
from convlens.core.reading import read_regular

ARRAYS, VALUES, MODEL, MANIFEST = "arrays.safetensors", "values.json", "model.keras", "manifest.json"
VALUES_BYTES, HEADER_BYTES = 2**24, 2**24
MOST_BYTES = 2**40  # of arrays, and of a model: where nobody knows of which network
KEPT = 2  # the newest and the one before, should the newest be damaged later

LAST = 10**9 - 1  # number of a checkpoint
_FOLDER = re.compile(r"[0-9]{1,9}-epoch[0-9]+-step[0-9]+")
_UNFINISHED = re.compile(r"\.[0-9a-f]{8}(\..*)?")  # see core.files

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
    earlier = checkpoints(folder)
    number = _number(earlier[0]) + 1 if earlier else 1
    if number > LAST:
        raise UserError(f"{earlier[0]} has the last number that a checkpoint can have; remove it.")
    path = folder / f"{number:06d}-epoch{state.epoch}-step{state.step}"
    values = {"epoch": state.epoch, "step": state.step, "complete": state.complete, **state.values}
    files: dict[str, list[Bytes]] = {ARRAYS: _packed(state.arrays), VALUES: [_json(values)]}
    if state.best_model:
        files[MODEL] = [state.best_model]
    files[MANIFEST] = [_json({"files": {name: _sum(*pieces) for name, pieces in files.items()}})]
    size = sum(map(len, itertools.chain(*files.values())))
    with full_disk_as_user_error(folder, size):
        make_folder(folder)
    for unfinished in folder.glob(".*"):
        if _UNFINISHED.fullmatch(unfinished.name) and unfinished.is_dir() and not unfinished.is_symlink():
            shutil.rmtree(unfinished)
    atomic_folder(path, lambda temporary: _fill(temporary, files), size=size)
    try:
        read_checkpoint(path)
    except Damaged as damage:
        raise Damaged(
            f"Checkpoint {path} differs from what was just written: {damage}. The disk does not store data "
            "reliably; use another one, with runs_dir=."
        ) from None
    for old in checkpoints(folder)[KEPT:]:
        if old.is_symlink() or not old.is_dir():
            old.unlink()  # of the name alone; what a link leads to is none of ours
        else:
            shutil.rmtree(old)
    return path


def newest_checkpoint(
    folder: Path,
    report: Callable[[str], None],
    fits: Callable[[State], bool] = lambda state: True,
    *,
    most: int = MOST_BYTES,
) -> State | None:
    """The state in the newest whole checkpoint that fits; None if there is no checkpoint yet. Calls `report` with what
    it resumes from.

    One whose arrays or model take more than `most` bytes is none of this network's, and damaged.

    Raises `UserError` when there are checkpoints and not one of them is whole and fits.
    """
    paths = checkpoints(folder)
    for path in paths:
        try:
            state = read_checkpoint(path, most)
        except Damaged as damage:
            report(f"Checkpoint {path} is damaged: {damage}.")
        else:
            if not fits(state):
                continue
            report(f"Continuing {after(state.epoch, state.step)}, from {path}")
            return state
    if paths:
        raise UserError(
            f"No checkpoint in {folder} can be resumed. Start a new run from the best model of this one: "
            f"{word('init_from', folder.parent)}"
        )
    return None


def newest_values(folder: Path) -> dict[str, Any] | None:
    """The values of the newest checkpoint, without its arrays; None if it is damaged or missing."""
    paths = checkpoints(folder)
    try:
        content = _content(paths[0] / VALUES, VALUES_BYTES) if paths else b""
        return parse_json(content) if paths and _sums(paths[0])[VALUES] == _sum(content) else None
    except UserError:
        return None


def read_checkpoint(path: Path, most: int = MOST_BYTES) -> State:
    """The state in a checkpoint whose every byte is as it was written. Raises `Damaged` for any other."""
    try:
        sums = _sums(path)
        contents = {name: _content(path / name, VALUES_BYTES if name == VALUES else most) for name in sums}
        for name, content in contents.items():
            if sums[name] != _sum(content):
                raise Damaged(f"{name} has changed since it was written, its SHA-256 sum differs")
        values = parse_json(contents[VALUES])
        moment = {name: values.pop(name, None) for name in ("epoch", "step", "complete")}
        if [type(value) for value in moment.values()] != [int, int, bool] or min(moment["epoch"], moment["step"]) < 0:
            raise Damaged(f"{VALUES} does not say where training stood")
        return State(**moment, arrays=_unpacked(contents[ARRAYS]), values=values, best_model=contents.get(MODEL))
    except Damaged:
        raise
    except UserError as error:
        raise Damaged(f"it {error}") from None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whole or not, newest first."""
    return sorted((path for path in folder.glob("*") if _FOLDER.fullmatch(path.name)), key=_number, reverse=True)


def moment_of(checkpoint: Path) -> str:
    """The moment of training at which a checkpoint was taken, by its name."""
    _, epoch, step = checkpoint.name.split("-")
    return after(int(epoch.removeprefix("epoch")), int(step.removeprefix("step")))


def after(epochs: int, step: int) -> str:
    """Where training stands, for a person, when so many epochs are over and so many steps of the next one.

    Epochs are counted as the lines of a training count them: the first one is epoch 1 while it goes on.
    """
    if step:
        return f"after step {step} of epoch {epochs + 1}"
    return f"after epoch {epochs}" if epochs else "at the start"


def _number(path: Path) -> int:
    return int(path.name.split("-")[0])


def _content(path: Path, most: int) -> bytes:
    try:
        return read_regular(path, most=most, expected="a file of a checkpoint")
    except UserError as error:
        raise Damaged(str(error).removeprefix(f"{path.parent}/").removesuffix(".")) from None


def _sums(path: Path) -> dict[str, Any]:
    """The SHA-256 sums of a checkpoint's files, as its manifest says. Raises `UserError`."""
    manifest = parse_json(_content(path / MANIFEST, VALUES_BYTES))
    sums = manifest.get("files")
    if (
        set(manifest) != {"files"}
        or not isinstance(sums, dict)
        or not {ARRAYS, VALUES} <= set(sums) <= {ARRAYS, VALUES, MODEL}
    ):
        raise Damaged(f"{MANIFEST} does not list what a checkpoint holds")
    return sums


def _fill(folder: Path, files: dict[str, list[Bytes]]) -> None:
    for name, pieces in files.items():
        with (folder / name).open("wb") as file:
            file.writelines(pieces)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1, allow_nan=False).encode()


def _sum(*pieces: Bytes) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _packed(arrays: dict[str, np.ndarray]) -> list[Bytes]:
    """Arrays in the safetensors format: the length of a JSON header, the header, and the values one after another.

    In pieces, of which the values are the arrays' own memory.
    """
    header, offset = {}, 0
    for name, array in arrays.items():
        span = [offset, offset + array.nbytes]
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": span}
        offset = span[1]
    text = json.dumps(header).encode()
    values = (np.ascontiguousarray(array).reshape(-1).view("uint8").data for array in arrays.values())
    return [len(text).to_bytes(8, "little"), text, *values]


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The arrays in safetensors, which lie one after another and fill the file. Raises `UserError`."""
    length = int.from_bytes(content[:8], "little")
    if length > HEADER_BYTES:
        raise UserError(f"has a header of more than {HEADER_BYTES:,} bytes")
    arrays, values, offset = {}, memoryview(content)[8 + length :], 0
    for name, about in parse_json(content[8 : 8 + length], depth=4).items():
        dtype, shape = _array_of(about)
        end = offset + math.prod(shape) * dtype.itemsize
        if about["data_offsets"] != [offset, end] or end > len(values):
            raise UserError(f"has an array at the wrong position, {name[:80]!r}")
        arrays[name] = np.frombuffer(values[offset:end], dtype).reshape(shape)
        offset = end
    if offset != len(values):
        raise UserError("holds more than its arrays")
    return arrays


def _array_of(about: Any) -> tuple[np.dtype, list[int]]:
    known = isinstance(about, dict) and set(about) == {"dtype", "shape", "data_offsets"}
    if known and isinstance(about["dtype"], str) and about["dtype"] in _DTYPES and isinstance(about["shape"], list):
        shape = about["shape"]
        if len(shape) <= 16 and all(type(side) is int and 0 <= side < 2**40 for side in shape):
            return _DTYPES[about["dtype"]], shape
    raise UserError("has an array of no shape or dtype")


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind in "iub" or bool(np.isfinite(array).all())
