"""The files in which TFDS keeps records: which one is damaged, and whether they are what was once written."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from convlens.core.errors import UserError

# What TensorFlow puts around a reason: which of its own functions found it.
_WRAPPING = re.compile(
    r"\{\{function_node [^}]*\}\}|Error in user-defined function passed to \S+ transformation with iterator: \S+"
    r"|\[\[\{\{node .*|\[Op:.*"
)
_FRAME = 16  # bytes that a TFRecord file adds to each record: its length and, of both, a check
_FILES_IN_TURN = _RECORDS_IN_TURN = 16  # as TFDS has it, tfds.ReadConfig


def shard_paths(builder: tfds.core.DatasetBuilder) -> list[Path]:
    """Every file of records of a prepared dataset."""
    return sorted(Path(path) for path in builder.data_path.glob("*record*"))


def edge_bytes(shard: Path) -> bytes:
    """A file's length with its first and last 4 KiB, enough to notice that it was replaced."""
    with _reading(shard) as file:
        start = file.read(4096)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(len(start), length - 4096))
        return length.to_bytes(8, "big") + start + file.read()


def serialized_records(builder: tfds.core.DatasetBuilder, expression: str) -> tf.data.Dataset | None:
    """Every record of a split as its file holds it, in TFDS' own order; None where the files are no TFRecords.

    TFDS parses and decodes record by record, which takes longer than to decode a small image.
    """
    if builder.info.file_format is not tfds.core.FileFormat.TFRECORD:
        return None
    instructions = builder.info.splits[expression].file_instructions
    parts = (
        [str(part.filename) for part in instructions],
        np.array([part.skip for part in instructions], np.int64),
        np.array([part.take for part in instructions], np.int64),
    )
    return tf.data.Dataset.from_tensor_slices(parts).interleave(
        lambda file, skip, take: tf.data.TFRecordDataset(file).skip(skip).take(take),
        cycle_length=1 if builder.info.disable_shuffling else _FILES_IN_TURN,
        block_length=_RECORDS_IN_TURN,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


@contextmanager
def naming_damaged_shard(builder: tfds.core.DatasetBuilder, expression: str) -> Iterator[None]:
    """Turns records that cannot be read inside the block into a `UserError` that names their shard."""
    try:
        yield
    except (tf.errors.OpError, OSError, UnicodeDecodeError) as error:
        # TensorFlow's own text quotes the bytes of a record that it cannot parse, which need not be text.
        quoted = isinstance(error, UnicodeDecodeError)
        reason = "its records are not as TFDS writes them" if quoted else one_line_reason(error)
        fault = faulty_shard(builder, expression) or f"{builder.info.full_name} cannot be read ({reason})"
        raise UserError(f"{fault}; {how_to_prepare_again(builder)}") from None


def faulty_shard(builder: tfds.core.DatasetBuilder, expression: str) -> str:
    """Which file of a split cannot be read, or does not hold what is listed."""
    for instruction in builder.info.splits[expression].file_instructions:
        shard, listed = instruction.filename, instruction.examples_in_shard
        try:
            held = sum(1 for _ in tf.data.TFRecordDataset(str(shard)))
        except tf.errors.OpError:
            return f"{shard} is missing or damaged"
        if held != listed:
            return f"{shard} holds {held:,} records, but {listed:,} are listed"
    return ""


def refuse_endless_records(builder: tfds.core.DatasetBuilder) -> None:
    """Raises `UserError` where a file says of a record that it is longer than the file, or has nothing in it.

    To be called before TensorFlow reads any: it takes as much memory as a record is said to have, or ends the process.
    """
    if builder.info.file_format is not tfds.core.FileFormat.TFRECORD:
        return
    for split in builder.info.splits.values():
        for path in map(Path, split.filepaths):
            if path.is_file() and not _holds_whole_records(path):
                raise UserError(f"{path} is missing or damaged; {how_to_prepare_again(builder)}")


def _holds_whole_records(path: Path) -> bool:
    """Whether each record's length, its first eight bytes, leads to the next one, and the last one's to the end."""
    position, size = 0, path.stat().st_size
    with _reading(path) as file:
        while position + _FRAME <= size:
            length = int.from_bytes(os.pread(file.fileno(), 8, position), "little")
            if not length:  # where a file has holes, there is no end of them
                return False
            position += _FRAME + length
    return position == size


@contextmanager
def _reading(shard: Path) -> Iterator[BinaryIO]:
    try:
        with shard.open("rb") as file:
            yield file
    except OSError as error:
        raise UserError(
            f"{shard} cannot be read: {error.strerror or error}. Make it readable, or give another data.data_dir."
        ) from None


def refuse_copied_shards(builder: tfds.core.DatasetBuilder) -> None:
    """A shard that was replaced by a copy of another one looks whole; but no two shards are alike."""
    seen: dict[bytes, Path] = {}
    for shard in shard_paths(builder):
        other = seen.setdefault(edge_bytes(shard), shard)
        if other != shard:
            raise UserError(f"{shard} is a copy of {other.name}; {how_to_prepare_again(builder)}")


def exchanged_shard_notes(builder: tfds.core.DatasetBuilder) -> list[str]:
    """A line for each split whose shards do not have the length that was noted when they were written."""
    lines = []
    for name, split in builder.info.splits.items():
        paths = [Path(path) for path in split.filepaths]
        length = sum(path.stat().st_size for path in paths if path.exists())
        # Some of TFDS' writers count the frames around the records, others do not.
        if split.num_bytes and length not in (split.num_bytes, split.num_bytes + _FRAME * split.num_examples):
            lines.append(
                f"{paths[0]}{' and others' if len(paths) > 1 else ''}: {length:,} bytes do not match what was written "
                f"as the {name} split of {builder.info.full_name}. If you did not change it, "
                f"{how_to_prepare_again(builder)}"
            )
    return lines


def refuse_overlapping_splits(builder: tfds.core.DatasetBuilder, expressions: Mapping[str, str]) -> None:
    """Raises `UserError` where two roles have records in common."""
    taken: dict[str, list[tuple[int, int, str]]] = {}
    for role, expression in expressions.items():
        for part in builder.info.splits[expression].file_instructions:
            start, stop = part.skip, part.examples_in_shard if part.take < 0 else part.skip + part.take
            for other_start, other_stop, other in taken.get(part.filename, []):
                if other != role and start < other_stop and other_start < stop:
                    raise UserError(
                        f"data.splits.{other}={expressions[other]} and data.splits.{role}={expression} overlap: the "
                        "same images would be in both. Give parts without common images, such as train[:80%] and "
                        "train[80%:], or leave one out."
                    )
            taken.setdefault(part.filename, []).append((start, stop, role))


def how_to_prepare_again(builder: tfds.core.DatasetBuilder) -> str:
    """What to do about files that are not what was written."""
    return f"delete {builder.data_path} and let it be prepared again."


def one_line_reason(error: Exception) -> str:
    """An error of TFDS in one line, without the arguments that it puts before the reason."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = _WRAPPING.sub("", text.split('}": ')[-1]).strip(" .")
    return text if len(text) <= 300 else text[:300] + " ..."
