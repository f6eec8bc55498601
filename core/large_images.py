"""Limits the memory that images take while they are decoded, over all threads of the process."""

import contextlib
import ctypes
import threading
from collections import deque
from collections.abc import Iterator

# One takes up to 11 bytes meanwhile, as transparent images do, and 19 where it has colours of 16 bits.
MOST_PIXELS = 100_000_000  # decoded at a time
LARGE = 20_000_000
SMALL = 1_000_000  # pixels, below which nothing is counted

_turn = threading.Condition()
_waiting: deque[object] = deque()
_in_work = 0


@contextlib.contextmanager
def memory_to_decode(pixels: int) -> Iterator[None]:
    """Waits until there is memory to decode an image of so many pixels beside those that other threads decode.

    Threads wait in a queue, so that a large image is not overtaken for ever. An image larger than the limit is decoded
    alone.
    """
    global _in_work
    if pixels < SMALL:
        yield
        return
    pixels, ticket = min(pixels, MOST_PIXELS), object()
    with _turn:
        _waiting.append(ticket)
        try:
            _turn.wait_for(lambda: _waiting[0] is ticket and _in_work + pixels <= MOST_PIXELS)
            _in_work += pixels
        finally:
            _waiting.remove(ticket)
            _turn.notify_all()
    try:
        yield
    finally:
        if pixels >= LARGE:
            _return_memory()
        with _turn:
            _in_work -= pixels
            _turn.notify_all()


def _return_memory() -> None:
    """Returns freed memory to the system, which glibc otherwise keeps for this thread alone."""
    with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)
