"""Ctrl-C, SIGTERM, and the end of the terminal, from the first moment of a command to its last."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from convlens.core.errors import Stopped
from convlens.core.streams import keep_streams

# SIGHUP comes where a terminal is closed, as at the end of an ssh session.
WATCHED = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

_is_command = False


def begin() -> None:
    """Called first in the process of a command: from here on Ctrl-C ends it in one line, even during imports."""
    global _is_command
    if _is_command:
        return
    _is_command = True
    keep_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, lambda number, frame: _leave(2))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside the block Ctrl-C raises KeyboardInterrupt; after it, Ctrl-C ends a command at once."""
    previous = signal.getsignal(signal.SIGINT)
    if not _is_command or previous in (signal.SIG_IGN, None) or not _in_main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def leaving_at_once(stderr: int) -> Iterator[None]:
    """Ctrl-C ends a command at once inside the block, which imports: libraries may swallow a KeyboardInterrupt.

    `stderr`: the file descriptor on which "Stopped." is printed.
    """
    if not _is_command or not _in_main_thread() or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield
        return
    previous = signal.signal(signal.SIGINT, lambda number, frame: _leave(stderr))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def signals_to(handler: Callable) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP call `handler(number, frame)` inside the block, in the main thread.

    SIGHUP that is ignored, as by nohup, stays ignored.
    """
    if not _in_main_thread():
        yield
        return
    watched = [
        number for number in WATCHED if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, handler) for number in watched}
    try:
        yield
    finally:
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)


def stopping_at_once() -> contextlib.AbstractContextManager[None]:
    """Raises `Stopped` inside the block where a signal comes."""
    return signals_to(stop)


def stop(number: int, frame: object) -> None:
    """A handler of signals that raises `Stopped`."""
    raise Stopped(signal.Signals(number))


def _leave(stderr: int) -> None:
    with contextlib.suppress(OSError):
        os.write(stderr, b"\nStopped.\n")
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(128 + signal.SIGINT)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
