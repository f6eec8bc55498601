"""Files that others may have made, read within limits."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from convlens.core.errors import UserError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


LINKS = 1_000  # symbolic links that are followed in one folder


class NotRegular(Exception):
    """A path that is no regular file; the message says what it is instead, such as "a FIFO"."""


@contextlib.contextmanager
def regular_file(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file, open, and its size in bytes; whatever happens to its name, that very file is read.

    Raises `NotRegular` for a folder, a FIFO or a device, `OSError` or `ValueError` where nothing can be opened.
    """
    # Before opening: opening a FIFO waits for its writer, and opening some devices changes them.
    _check_kind(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_kind(status)
        yield file, status.st_size


def read_regular(path: Path, *, most: int, expected: str) -> bytes:
    """The content of a regular file of at most `most` bytes; of a larger one, nothing is read.

    Raises `UserError` for a file that is larger, that is missing or cannot be read, and for anything else that has a
    name, such as a folder, a FIFO or a device; `expected` says what should have been there.
    """
    try:
        with regular_file(path) as (file, size):
            content = file.read(size + 1) if size <= most else None
    except NotRegular:
        raise UserError(f"{path} is not a regular file; expected {expected}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; expected {expected}.") from None
    if content is None:
        raise UserError(f"{path} has more than {most:,} bytes; expected {expected}.")
    if len(content) != size:
        raise UserError(f"{path} changed while it was read; expected {expected}.")
    return content


def refuse_links_outside(folder: Path, most: int = 100_000) -> None:
    """Raises `UserError` unless a folder holds only folders, regular files, and links to targets inside it.

    Reading and writing below a folder that passed touches nothing outside it. A folder of `most` names or more is
    refused.
    """
    root, waiting, seen, links = os.path.realpath(folder), [os.fspath(folder)], 0, 0
    while waiting:
        try:
            entries = list(_entries(waiting.pop(), most - seen))
        except OSError as error:
            raise UserError(f"Folder {_short(error.filename)} cannot be read: {error.strerror}.") from None
        seen += len(entries)
        if seen >= most:
            raise UserError(f"{folder} holds {most:,} files or more, too many to check.")
        for entry in entries:
            if entry.is_symlink():
                links += 1
                if links > LINKS:
                    raise UserError(f"{folder} holds more than {LINKS:,} symbolic links; they are not all followed.")
                _check_link(entry.path, root)
            elif entry.is_dir():
                waiting.append(entry.path)
            elif not entry.is_file():
                raise UserError(f"{_short(entry.path)} is not a regular file; expected files and folders.")


def _entries(folder: str, most: int) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        for _, entry in zip(range(most), entries, strict=False):
            yield entry


def _check_link(link: str, root: str) -> None:
    try:
        os.stat(link)  # the system follows 40 links in a row; Python's own way has no end
    except FileNotFoundError:
        pass  # it is broken, and might lead somewhere later
    except OSError as error:
        raise UserError(f"{_short(link)} is a link that cannot be followed: {error.strerror}.") from None
    target = os.path.realpath(link)
    if os.path.commonpath([root, target]) != root:
        raise UserError(
            f"{_short(link)} is a link to {_short(target)}, outside of {root}; copy its target there, or remove it."
        )


def _short(path: str) -> str:
    return path if len(path) <= 250 else f"{path[:250]}..."


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(_KINDS.get(stat.S_IFMT(status.st_mode), "no regular file"))
