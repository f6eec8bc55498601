"""Decoded images in a file: an .npy file that is whole or is not used, from which any images can be read.

It is written in place under another name, locked, so that other processes wait for it or notice that its writer ended.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from math import prod
from pathlib import Path
from typing import NoReturn

import numpy as np

from convlens.core.errors import UserError
from convlens.core.files import sync
from convlens.core.locks import lock
from convlens.data.cache.disk_space import DRAFT_SUFFIX, DiskCacheError, is_named

Shape = tuple[int, int, int, int]
BYTES = np.dtype(np.uint8)
_POLL = 0.5  # seconds between two looks at a file that another process is writing


class PixelFile:
    """A file of decoded images, open for reading; no process removes it as long as it is.

    Attributes: shape, (images, height, width, channels); dtype.
    """

    def __init__(self, file: int, path: Path, shape: Shape, dtype: np.dtype):
        self.shape, self.dtype = shape, dtype
        self._file, self._path = file, path
        self._start, self._row = len(_header(shape, dtype)), prod(shape[1:]) * dtype.itemsize
        with suppress(OSError):
            os.utime(file)  # the entry that was not used for the longest time goes first

    def __del__(self):
        os.close(self._file)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Some images, (n, height, width, channels).

        They are read, not mapped: of a file that is larger than memory, all images of a batch are asked for at once
        and come several times as fast, and a disk that fails is an error and no signal.
        """
        offsets = [self._start + int(index) * self._row for index in indices]
        with suppress(AttributeError, OSError):  # not every system knows how to read ahead
            for offset in offsets:
                os.posix_fadvise(self._file, offset, self._row, os.POSIX_FADV_WILLNEED)
        images = np.empty((len(offsets), self._row), np.uint8)
        for image, offset in zip(images, offsets, strict=True):
            self._read_into(image.data, offset)
        return images.view(self.dtype).reshape(-1, *self.shape[1:])

    def all(self) -> np.ndarray:
        """Every image, mapped into memory."""
        return np.memmap(self._path_of_descriptor(), self.dtype, "r", self._start, self.shape)

    def _read_into(self, image: memoryview, offset: int) -> None:
        while image:
            try:
                count = os.preadv(self._file, [image], offset)
            except OSError as error:
                self._refuse(error.strerror or str(error))
            if not count:
                self._refuse("it was cut short")
            image, offset = image[count:], offset + count

    def _refuse(self, reason: str) -> NoReturn:
        raise UserError(f"{self._path} cannot be read: {reason}; delete {self._path.parent}.") from None

    def _path_of_descriptor(self) -> str | Path:
        """The open file, also where its name is gone."""
        opened = Path("/proc/self/fd", str(self._file))
        return opened if opened.exists() else self._path


def open_pixels(path: Path, shape: Shape, dtype: np.dtype = BYTES) -> PixelFile | None:
    """The file of images of this shape; None where there is none, or none that is whole."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    with suppress(OSError):  # where files cannot be locked, one that is removed can still be read
        lock(file, shared=True)
    if is_named(file, path) and _is_whole(file, shape, dtype):
        return PixelFile(file, path, shape, dtype)
    os.close(file)
    return None


def is_complete(path: Path, shape: Shape, dtype: np.dtype = BYTES) -> bool:
    """Whether `open_pixels` would succeed; does not count as a use of the file."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _is_whole(file, shape, dtype)
    finally:
        os.close(file)


def size_of(shape: Shape, dtype: np.dtype = BYTES) -> int:
    """Bytes of a file of images of this shape."""
    return len(_header(shape, dtype)) + prod(shape) * dtype.itemsize


def write_pixels(
    path: Path,
    shape: Shape,
    dtype: np.dtype,
    fill: Callable[[Callable[[int, np.ndarray], None]], None],
    waiting: Callable[[], None],
) -> PixelFile:
    """The file of images of this shape, written if it does not exist; if several processes want it, one writes and the
    others wait.

    Args:
        fill: is given `put(index, image)`, which it calls once for every image, in any order and from any thread.
        waiting: is called, once, when another process is writing the file.

    Raises:
        DiskCacheError: the file cannot be written.
    """
    announced = False
    while True:
        draft = _Draft.begin(path, shape, dtype)
        # Looked for only now: another process may have finished it just before.
        finished = open_pixels(path, shape, dtype)
        if finished:
            if draft:
                draft.discard()
            return finished
        if draft:
            break
        if not announced:
            waiting()
        announced = True
        time.sleep(_POLL)
    try:
        draft.prepare()
        fill(draft.put)
        return draft.publish()
    except BaseException:
        draft.discard()
        raise


class _Draft:
    """A file that is being written under another name, locked by us."""

    def __init__(self, file: int, path: Path, shape: Shape, dtype: np.dtype):
        self._file, self._path, self._shape, self._dtype = file, path, shape, dtype
        self._header, self._row = _header(shape, dtype), prod(shape[1:]) * dtype.itemsize
        self._written = np.zeros(shape[0], bool)

    @classmethod
    def begin(cls, path: Path, shape: Shape, dtype: np.dtype) -> "_Draft | None":
        """None where another process writes the file, or is just removing it."""
        draft = path.with_suffix(DRAFT_SUFFIX)
        with _disk_cache_errors(draft):
            draft.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:  # the folder was removed to make space
                return None
            try:
                lock(file)
                if is_named(file, draft):
                    return cls(file, path, shape, dtype)
            except BlockingIOError:
                pass
            except OSError:
                os.close(file)
                raise
        os.close(file)
        return None

    def prepare(self) -> None:
        """All of its bytes, zero; a killed process may have left others."""
        with _disk_cache_errors(self._path):
            os.ftruncate(self._file, 0)
            os.ftruncate(self._file, size_of(self._shape, self._dtype))
        self._write(self._header, 0)

    def put(self, index: int, image: np.ndarray) -> None:
        if image.shape != self._shape[1:] or image.dtype != self._dtype:
            raise ValueError(f"image {index} is {image.shape} {image.dtype}, not {self._shape[1:]} {self._dtype}")
        self._write(image.tobytes(), len(self._header) + index * self._row)
        self._written[index] = True

    def publish(self) -> PixelFile:
        """Gives the file, which is complete, its name, once it lies on the disk."""
        if not self._written.all():
            raise ValueError(f"{(~self._written).sum()} of {len(self._written)} images were not given")
        with _disk_cache_errors(self._path):
            draft = self._path.with_suffix(DRAFT_SUFFIX)
            sync(draft)
            os.replace(draft, self._path)
            sync(self._path.parent)
            lock(self._file, shared=True)
        return PixelFile(self._file, self._path, self._shape, self._dtype)

    def discard(self) -> None:
        draft = self._path.with_suffix(DRAFT_SUFFIX)
        with suppress(OSError):
            if is_named(self._file, draft):
                draft.unlink()
                draft.parent.rmdir()
        os.close(self._file)

    def _write(self, content: bytes, offset: int) -> None:
        rest = memoryview(content)
        with _disk_cache_errors(self._path):
            while rest:
                count = os.pwrite(self._file, rest, offset)
                rest, offset = rest[count:], offset + count


@contextmanager
def _disk_cache_errors(path: Path) -> Iterator[None]:
    """Turns an error of the file system inside the block into `DiskCacheError`."""
    try:
        yield
    except OSError as error:
        raise DiskCacheError(f"{path} cannot be written: {error.strerror or error}") from error


def _is_whole(file: int, shape: Shape, dtype: np.dtype) -> bool:
    header = _header(shape, dtype)
    return os.fstat(file).st_size == size_of(shape, dtype) and os.pread(file, len(header), 0) == header


def _header(shape: Shape, dtype: np.dtype) -> bytes:
    """What stands at the start of an .npy file."""
    header = BytesIO()
    fields = {"descr": dtype.str, "fortran_order": False, "shape": tuple(int(side) for side in shape)}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()
