"""A `.keras` file taken apart with care: an ordinary file, a zip of three members, each within its budget."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from convlens.core.errors import ModelError, UserError
from convlens.core.plain_json import parse_json
from convlens.core.plain_zip import START, PlainZip
from convlens.core.reading import NotRegular, regular_file

if TYPE_CHECKING:
    from zipfile import ZipInfo

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MB = 2**20
FILE_BYTES = 2048 * MB
MEMBER_BYTES = {CONFIG: 4 * MB, METADATA: MB // 16, WEIGHTS: FILE_BYTES}
EXPANSION = 20  # unpacked bytes for a stored one; Keras itself stores members as they are
EXPANSION_FLOOR = 16 * MB  # below this a member may expand as it likes
_OTHER_FORMATS = {
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file (.h5) by another name",
    b"\x80": "is a Python pickle by another name, which would run code",
    b"\x1f\x8b": "is a gzip file by another name",
    b"7z\xbc\xaf": "is a 7z archive by another name",
    b"<": "is a web page or other text by another name",
    b"{": "is JSON text by another name",
}


def printable(text: object, limit: int = 80) -> str:
    """Text from an untrusted file, made safe for one line of a terminal: no control characters, limited length."""
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
        _check_start(file, size)
        self._file = file
        with _as_model_errors():
            self._zip = PlainZip(file, size, len(MEMBER_BYTES))
        _check_members(self._zip.members)
        self.weights_bytes = self._zip.members[WEIGHTS].file_size

    def json(self, name: str) -> dict[str, Any]:
        """A member's JSON: UTF-8, one value a key, finite numbers, bounded in size and depth."""
        with _as_model_errors():
            content = b"".join(self._zip.chunks(name))
        with _as_model_errors(f"is not a model: {name} "):
            return parse_json(content)

    def check_sum(self, sha256: str) -> None:
        """Raises ModelError if the file's SHA-256 sum is not this one."""
        if not self.has_sum(sha256):
            raise ModelError("is not the file that was saved: its SHA-256 sum differs")

    def has_sum(self, sha256: str) -> bool:
        self._file.seek(0)
        # Every open file has readinto, only the type BinaryIO lacks it.
        digest = hashlib.file_digest(self._file, "sha256")  # type: ignore[arg-type]
        return digest.hexdigest() == sha256.lower()

    def unpack_weights(self, path: Path) -> None:
        """Writes the weights to `path`, a piece at a time."""
        with path.open("xb") as file, _as_model_errors():
            for chunk in self._zip.chunks(WEIGHTS):
                file.write(chunk)


@contextmanager
def _as_model_errors(prefix: str = "") -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise ModelError(f"{prefix}{printable(error, 300)}") from None


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive at `path`, or at the end of a symbolic link.

    Raises ModelError with a reason that begins with a verb ("is a folder, ..."), for a file that is not a model's.
    """
    with ExitStack() as stack:
        try:
            file, size = stack.enter_context(regular_file(path))
        except NotRegular as kind:
            raise ModelError(f"is {_kind(path, kind)}; expected a .keras file") from None
        except FileNotFoundError:
            raise ModelError("does not exist" + (": it is a broken link" if path.is_symlink() else "")) from None
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from None
        if path.suffix != ".keras":
            raise ModelError(f"ends in '{printable(path.suffix)}'; only .keras files are read, no .h5 or pickle files")
        if size > FILE_BYTES:
            raise ModelError(f"takes {size_of(size)}; at most {size_of(FILE_BYTES)} is read")
        yield Archive(file, size)


def _kind(path: Path, kind: NotRegular) -> str:
    return "a SavedModel folder" if (path / "saved_model.pb").exists() else str(kind)


def _check_start(file: BinaryIO, size: int) -> None:
    """Recognizes, from its first bytes, a file of another format."""
    head = file.read(8)
    if size == 0:
        raise ModelError("is empty: it has 0 bytes")
    if not head.startswith(START):
        if not head.strip(b"\0"):
            raise ModelError("is damaged: it begins with zero bytes")
        kinds = (reason for magic, reason in _OTHER_FORMATS.items() if head.startswith(magic))
        raise ModelError(next(kinds, "is not a .keras file: it does not begin like a zip archive"))


def _check_members(members: "dict[str, ZipInfo]") -> None:
    for name in members:
        if name not in MEMBER_BYTES:
            raise ModelError(f"holds '{printable(name)}'; a model holds {', '.join(MEMBER_BYTES)} and nothing else")
    for name, limit in MEMBER_BYTES.items():
        if name not in members:
            raise ModelError(f"holds no {name}")
        size, stored = members[name].file_size, members[name].compress_size
        if size > limit:
            raise ModelError(f"takes {size_of(size)} once unpacked: {name} may have {size_of(limit)}")
        if size > max(EXPANSION_FLOOR, EXPANSION * stored):
            raise ModelError(
                f"takes {size_of(size)} once unpacked, from {size_of(stored)}: {name} is a decompression bomb"
            )
