"""Space on disk for decoded images: how much they may take together, and which are removed for new ones.

They lie in `images` in the cache folder, an entry for each dataset, size and way of resizing: a folder named by a
digest of what its pixels depend on. Whoever reads a file in it holds a shared lock on that file, whoever writes one an
exclusive lock. Locks end with their process, however it ends.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from convlens.core.caching import cache_folder
from convlens.core.locks import lock

DRAFT_SUFFIX = ".part"  # of a file that is being written
_SHARE = 4  # all images together take at most a quarter


class DiskCacheError(Exception):
    """Images cannot be kept on disk; the text says why."""


def images_folder() -> Path:
    """Where decoded images are kept; it need not exist yet."""
    return cache_folder() / "images"


def allowance() -> int:
    """Bytes that all entries together may take: a quarter of what is free or taken by them."""
    return (free() + sum(map(_size, _entries()))) // _SHARE


def free() -> int:
    """Bytes that are free where the images lie, or would lie."""
    folder = images_folder()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if os.path.exists(path))).free


def make_space(needed: int, own: Path, *, bounded: bool) -> None:
    """Removes what killed processes left, then entries that no process uses, the longest unused first.

    Args:
        needed: bytes that are to be written.
        own: the entry in which they will lie; it stays.
        bounded: write them only where `allowance()` holds; otherwise they need only fit on the disk.

    Raises:
        DiskCacheError: there is not enough space, or the entry cannot be made.
    """
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskCacheError(f"{own} cannot be written: {error.strerror or error}") from error
    for draft in images_folder().glob(f"*/*{DRAFT_SUFFIX}"):
        with locked(draft) as ours, suppress(OSError):
            if ours:
                draft.unlink()
                draft.parent.rmdir()
    older = sorted((entry for entry in _entries() if entry != own), key=_last_use)
    begun = _size(own, DRAFT_SUFFIX)  # by another process, which writes the same
    allowed, own_size = allowance(), _size(own) - begun + needed
    held = sum(map(_size, older))
    for entry in older:
        if held + own_size <= allowed:
            break
        _remove(entry)
        held = sum(map(_size, older))
    if bounded and held + own_size > allowed:
        raise DiskCacheError(
            f"with {readable_size(held)} of other images, which are in use, they would take more than a quarter of the "
            f"disk's free space, {readable_size(allowed)}"
        )
    if needed - begun > free():
        raise DiskCacheError(
            f"they need {readable_size(needed)} but only {readable_size(free())} are free in {images_folder()}"
        )


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Yields whether this process holds the file alone: it exists, and no other process reads or writes it."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        try:
            lock(file)
            ours = is_named(file, path)
        except OSError:
            ours = False
        yield ours
    finally:
        os.close(file)


def is_named(file: int, path: Path) -> bool:
    """Whether this open file is still the one of that name: another process may have removed or replaced it."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def readable_size(count: int) -> str:
    """Bytes as a user reads them."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _remove(entry: Path) -> None:
    """Removes an entry unless a process uses a file of it."""
    files = _files(entry)
    with ExitStack() as stack:
        if all([stack.enter_context(locked(file)) for file in files]):
            with suppress(OSError):
                for file in files:
                    file.unlink(missing_ok=True)
                entry.rmdir()  # fails where another process has begun to write a file there


def _entries() -> list[Path]:
    with suppress(OSError):
        return [entry for entry in images_folder().iterdir() if entry.is_dir()]
    return []


def _files(entry: Path) -> list[Path]:
    with suppress(OSError):
        return list(entry.iterdir())
    return []


def _size(entry: Path, ending: str = "") -> int:
    """Bytes that an entry's files of names with this ending have or, where one is being written, will have."""
    total = 0
    for file in _files(entry):
        with suppress(OSError):
            total += file.stat().st_size if file.name.endswith(ending) else 0
    return total


def _last_use(entry: Path) -> float:
    """When a file of an entry was last opened by us, which is recorded as its modification time."""
    times = [0.0]
    for file in _files(entry):
        with suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(times)
