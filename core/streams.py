"""Standard output and error that keep working when the terminal closes, the disk is full or the reader is gone."""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any


class _Lasting(io.FileIO):
    """Standard output or error that drops what can no longer be written, so that a lost terminal ends no training."""

    fault: OSError | None = None  # of the first write that failed

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
            while written is None:  # another program that shares the terminal may have set it not to wait
                select.select([], [self], [])
                written = super().write(data)
            return written
        except OSError as error:
            self.fault = self.fault or error
            return size


_lasting: dict[str, _Lasting] = {}
_closed: set[str] = set()


def keep_streams() -> None:
    """Makes standard output and error drop what they cannot write, for a whole process; called as its first thing.

    One that is closed (`>&-`) is opened to nowhere, so that no file gets its number and is then written to.
    """
    _forget_no_size()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            _closed.add(name)
            number = os.open(os.devnull, os.O_WRONLY)
        elif not _writes_to(stream, number):
            continue  # somebody's own, as a notebook's
        elif isinstance(getattr(stream.buffer, "raw", stream.buffer), _Lasting):
            continue
        else:
            stream.flush()
        _lasting[name] = _Lasting(number, "w", closefd=False)
        unbuffered = stream is not None and stream.write_through  # as python -u and PYTHONUNBUFFERED have it
        writer = io.TextIOWrapper(
            _lasting[name] if unbuffered else io.BufferedWriter(_lasting[name]),
            encoding=getattr(stream, "encoding", None) or "utf-8",
            errors="backslashreplace",  # a file's name may be none that can be written as text
            line_buffering=name == "stderr" or _lasting[name].isatty(),
            write_through=unbuffered,
        )
        setattr(sys, name, writer)


def _forget_no_size() -> None:
    """A terminal that does not know its size may give none, and into no columns nothing would be printed."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if size and not (size.isascii() and size.isdecimal() and int(size[:9])):
            del os.environ[name]


def _writes_to(stream: Any, number: int) -> bool:
    """Whether a stream is Python's own, on the file descriptor of this number."""
    try:
        return type(stream) is io.TextIOWrapper and stream.fileno() == number
    except (OSError, ValueError):  # it writes to memory, or is closed
        return False


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Does what `keep_streams` does, only while the block runs; for use inside another program."""
    previous = sys.stdout, sys.stderr
    keep_streams()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = previous


def lost(name: str = "stdout") -> str:
    """Why printed output did not arrive on a stream; an empty string if it did, as far as is known."""
    if name in _closed:
        return "it is closed"
    fault = _lasting[name].fault if name in _lasting else None
    return fault.strerror or str(fault) if fault else ""


def closed_by_reader(name: str = "stdout") -> bool:
    """Whether the program that read the stream has closed it, as `head` does after its lines."""
    fault = _lasting[name].fault if name in _lasting else None
    return fault is not None and fault.errno == errno.EPIPE


def is_closed(name: str = "stdout") -> bool:
    """Whether the stream was closed before the process began."""
    return name in _closed
