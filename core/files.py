"""Files, folders and links that are either whole or absent, whatever happens while they are written."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from convlens.core.errors import UserError, one_line


def atomic_write(path: Path, content: str | bytes | Callable[[Path], object], *, size: int | None = None) -> None:
    """Writes a file so that a reader, or a crash at any moment, meets the old file or the new one, never a mixture.

    `content` is the text, the bytes, or a function that writes to the path that it is given, whose suffix is
    `path`'s own; `size` says about how many bytes such a function will write. Raises `UserError` when the disk
    is full, saying how much space was missing; the file that was there before is untouched.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")  # a class may be named after a folder of any bytes
    if isinstance(content, bytes):
        size = len(content)

    with full_disk_as_user_error(path, size), _replacing(path) as temporary:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content)
        sync(temporary)


def atomic_folder(path: Path, fill: Callable[[Path], object], *, size: int | None = None) -> None:
    """Makes a folder that a reader, or a crash at any moment, meets with everything in it or not at all.

    `fill` puts files, about `size` bytes of them, into the folder that it is given. `path` must not exist, or be an
    empty folder. Raises `UserError` when the disk is full, saying how much space was missing.
    """
    with full_disk_as_user_error(path, size), _replacing(path) as temporary:
        temporary.mkdir()
        fill(temporary)
        for content in temporary.rglob("*"):
            sync(content)
        sync(temporary)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, where there is none. Raises `UserError` where something is in its way."""
    with _obstacle_as_user_error(path):
        path.mkdir(parents=True, exist_ok=True)


def atomic_symlink(link: Path, target: str) -> None:
    """Makes `link` point to `target`; a link that was there before is replaced in one step.

    Raises `UserError` when the disk is full.
    """
    with full_disk_as_user_error(link), _replacing(link) as temporary:
        temporary.symlink_to(target)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`: what the block writes there replaces `path`, or is removed if the block fails."""
    temporary = _beside(path, secrets.token_hex(4))
    try:
        yield temporary
        with _obstacle_as_user_error(path):
            os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        if temporary.is_dir() and not temporary.is_symlink():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _obstacle_as_user_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"{path} cannot be written: {error.strerror}; move away what is there.") from None


def unfinished_writes(path: Path) -> list[Path]:
    """What killed processes left beside a file or folder that they were writing; its name may be a pattern."""
    return list(path.parent.glob(_beside(path, "[0-9a-f]" * 8).name))


def _beside(path: Path, token: str) -> Path:
    # Of the name only the end, with the suffix by which Keras knows a format: a whole name may be as long as can be.
    return path.with_name(f".{token}.{path.name[-40:]}")


@contextlib.contextmanager
def full_disk_as_user_error(path: Path, size: int | None = None) -> Iterator[None]:
    """Turns a full disk inside the block into a `UserError` that says how much space is missing for `size` bytes.

    A write beyond the limit of a file's size (ulimit -f) becomes a `UserError` too.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # Whoever writes in pieces may fail once more while it closes the file, in its own way.
        fault = next((cause for cause in _causes(error) if isinstance(cause, OSError) and _is_full(cause)), None)
        if fault is None:
            raise
        line = _too_large(path, size) if fault.errno == errno.EFBIG else _disk_full(path, size, fault)
        raise UserError(line) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


_OUTSIDE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
)


def outside_reason(error: OSError) -> str:
    """One line for an error caused by the disk, its permissions or its limits; an empty string for any other error."""
    if error.errno not in _OUTSIDE:
        return ""
    named = isinstance(error.filename, str | bytes | os.PathLike)
    # A file that is being written has a token before its name.
    where = re.sub(r"\.[0-9a-f]{8}\.(?=[^/]*$)", "", os.fsdecode(error.filename)) + ": " if named else ""
    return one_line(f"{where}{error.strerror}.")


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_full(path: Path, size: int | None, fault: OSError) -> str:
    line = f"The disk is full, {path} was not written"
    if fault.errno == errno.EDQUOT:
        return f"{line}: your quota of this disk is used up. Free some space."
    free, block, names_left = _free_space(path)
    if not names_left:
        return f"{line}: it holds as many files as it can. Remove some files."
    if not size or free > size + 1_000_000:  # what a disk keeps for others, perhaps: nobody knows what is missing
        return f"{line} ({_megabytes(free)} are free). Free some space."
    # A disk gives whole blocks, and what has just failed to fit does not fit.
    needed = max(-(-size // block) * block, free + block)
    return (
        f"{line}: about {_megabytes(needed - free)} are missing (it takes about {_megabytes(needed)}, "
        f"{_megabytes(free)} are free). Free some space."
    )


def _free_space(path: Path) -> tuple[int, int, bool]:
    """Free bytes on the disk of `path`, the bytes of one block there, and whether the disk can hold more files."""
    existing = next((folder for folder in path.parents if folder.exists()), Path())
    disk = os.statvfs(existing)
    return shutil.disk_usage(existing).free, disk.f_frsize, disk.f_files == 0 or disk.f_favail > 0


def _too_large(path: Path, size: int | None) -> str:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    need = f"; it takes about {_megabytes(size)}" if size else ""
    allowed = f", {_megabytes(limit)}" if limit != resource.RLIM_INFINITY else ""
    return (
        f"{path} was not written: it is larger than the limit for one file{allowed} (ulimit -f){need}. Raise the limit."
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
