"""A `.keras` file taken apart with care: an ordinary file, a zip of three members, each within its budget."""

import hashlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from convlens.core.errors import ModelError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MB = 2**20
FILE_BYTES = 2048 * MB
MEMBER_BYTES = {CONFIG: 4 * MB, METADATA: MB // 16, WEIGHTS: FILE_BYTES}
EXPANSION = 100  # unpacked bytes for a stored one; Keras itself stores members as they are
EXPANSION_FLOOR = 16 * MB  # below this a member may expand as it likes
BRACKETS = 500_000  # lists and groups in a JSON text; NASNetLarge, the largest of keras.applications, has 20,000
DEPTH = 60
_CHUNK = MB
_END = b"PK\x05\x06"
_END_BYTES = 22
_DIRECTORY_BYTES = 4096  # a directory of three members takes about 200
_OTHER_FORMATS = {
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file (.h5) by another name",
    b"\x80": "is a Python pickle by another name, which would run code",
    b"\x1f\x8b": "is a gzip file by another name",
    b"7z\xbc\xaf": "is a 7z archive by another name",
    b"<": "is a web page or other text by another name",
    b"{": "is JSON text by another name",
}


def shown(text: object, limit: int = 80) -> str:
    """What a stranger wrote, made fit for one line of a terminal: no control characters, no endless names."""
    text = str(text)
    safe = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[: limit + 1]
    )
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


def size_of(count: float) -> str:
    """Bytes for a reader: "11.0 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


class Archive:
    """An open `.keras` file whose directory has been checked; its members are read once, and their CRC with them."""

    def __init__(self, file: BinaryIO, size: int):
        _check_ends(file, size)
        try:
            self._zip = zipfile.ZipFile(file)
            members = self._zip.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise ModelError(f"is damaged: its zip directory cannot be read ({shown(error)})") from None
        _check_members(members)
        self._members = {member.filename: member for member in members}
        self.weights_bytes = self._members[WEIGHTS].file_size

    def json(self, name: str) -> dict[str, Any]:
        """A member's JSON: UTF-8, one value a key, finite numbers, bounded in size and depth."""
        return _parsed(b"".join(self._chunks(name)), name)

    def unpack_weights(self, path: Path) -> None:
        """Writes the weights to `path`, a piece at a time."""
        with path.open("xb") as file:
            for chunk in self._chunks(WEIGHTS):
                file.write(chunk)

    def _chunks(self, name: str) -> Iterator[bytes]:
        member, length = self._members[name], 0
        try:
            with self._zip.open(member) as file:
                while chunk := file.read(_CHUNK):
                    length += len(chunk)
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ModelError(f"is damaged: {name} cannot be read ({shown(error)})") from None
        if length != member.file_size:
            raise ModelError(f"is damaged: {name} has {length:,} bytes, its directory says {member.file_size:,}")


@contextmanager
def opened(path: Path, sha256: str | None) -> Iterator[Archive]:
    """The archive at `path`, or at the end of a symbolic link.

    Raises ModelError with a reason that begins with a verb ("is a folder, ..."), for a file that is not a model's or
    is not the one whose SHA-256 sum was given.
    """
    try:
        # Before opening: opening a FIFO waits for its writer, and opening some devices changes them.
        _check_kind(os.stat(path), path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ModelError("does not exist" + (": it is a broken link" if path.is_symlink() else "")) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_kind(status, path)
        if path.suffix != ".keras":
            raise ModelError(f"ends in '{shown(path.suffix)}'; only the .keras format is read, and no .h5 or pickle")
        if status.st_size > FILE_BYTES:
            raise ModelError(f"takes {size_of(status.st_size)}; at most {size_of(FILE_BYTES)} is read")
        if sha256 is not None and _sha256(file) != sha256.lower():
            raise ModelError("is not the file that was saved: its SHA-256 sum is another one")
        yield Archive(file, status.st_size)


def _check_kind(status: os.stat_result, path: Path) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        kind = "a SavedModel folder" if (path / "saved_model.pb").exists() else "a folder"
    else:
        kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "not a regular file")
    raise ModelError(f"is {kind}; expected a .keras file")


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def _check_ends(file: BinaryIO, size: int) -> None:
    """Finds out, from the first and the last bytes, what else a file is, or that its end is missing."""
    head = file.read(8)
    if size == 0:
        raise ModelError("is empty: it has 0 bytes")
    if not head.startswith(b"PK\x03\x04"):
        if not head.strip(b"\0"):
            raise ModelError("is damaged: it begins with zero bytes")
        kinds = (reason for magic, reason in _OTHER_FORMATS.items() if head.startswith(magic))
        raise ModelError(next(kinds, "is not a .keras file: it does not begin as a zip archive does"))
    file.seek(max(0, size - _END_BYTES))
    end = file.read(_END_BYTES)
    if size < 2 * _END_BYTES or not end.startswith(_END):
        raise ModelError("is truncated or has something after its end: the zip directory is not the last thing in it")
    count, directory = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if count > len(MEMBER_BYTES) or directory > _DIRECTORY_BYTES:
        raise ModelError(f"has a zip directory of {count:,} members; a model has {len(MEMBER_BYTES)}")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    for name in names:
        if name not in MEMBER_BYTES:
            raise ModelError(f"holds '{shown(name)}'; a model holds {', '.join(MEMBER_BYTES)} and nothing else")
        if names.count(name) > 1:
            raise ModelError(f"holds {name} {names.count(name)} times")
    for name in MEMBER_BYTES:
        if name not in names:
            raise ModelError(f"holds no {name}")
    for member in members:
        if member.flag_bits & 0b1000001:
            raise ModelError(f"is encrypted: {member.filename} has a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"is compressed in a way that Keras does not use (method {member.compress_type})")
        limit = MEMBER_BYTES[member.filename]
        if member.file_size > limit:
            raise ModelError(
                f"takes {size_of(member.file_size)} once unpacked: {member.filename} may have {size_of(limit)}"
            )
        if member.file_size > max(EXPANSION_FLOOR, EXPANSION * member.compress_size):
            raise ModelError(
                f"takes {size_of(member.file_size)} once unpacked, from {size_of(member.compress_size)}: "
                f"{member.filename} is a decompression bomb"
            )


def _parsed(raw: bytes, name: str) -> dict[str, Any]:
    # What JSON costs in memory is decided by its lists and groups, not by its length.
    if raw.count(b"[") + raw.count(b"{") > BRACKETS:
        raise ModelError(f"has more than {BRACKETS:,} lists and groups in {name}")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ModelError(f"is damaged: {name} is not UTF-8 text (byte {error.start:,})") from None
    except RecursionError:
        raise ModelError(f"is nested too deeply: {name} goes below {DEPTH} levels") from None
    except ModelError as error:
        raise ModelError(f"{error} in {name}") from None
    except ValueError as error:
        raise ModelError(f"is damaged: {name} is not JSON ({shown(error)})") from None
    if not isinstance(value, dict):
        raise ModelError(f"is no model: {name} holds {type(value).__name__}, expected a group of keys")
    _check_depth(value, name)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    group = dict(pairs)
    if len(group) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1) if len(keys) < 1000 else "..."
        raise ModelError(f"says '{shown(twice)}' twice in one group")
    return group


def _no_constant(name: str) -> None:
    raise ModelError(f"says {name} where a finite number belongs")


def _check_depth(value: Any, name: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise ModelError(f"is nested too deeply: {name} goes below {DEPTH} levels")
        groups = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for group in groups for item in group if isinstance(item, dict | list)]
