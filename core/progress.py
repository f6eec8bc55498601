"""Progress of long tasks: one protocol for the code that does the work, one display on the terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol

from convlens.core.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars


@cache
def _console() -> "Console":
    """Stderr. Rich is imported only when something is printed, so that importing this module stays cheap."""
    from rich.console import Console

    return Console(stderr=True)


class Progress(Protocol):
    """Called with how much is done and, where that is known, of how much; may be called as often as one likes."""

    def __call__(self, done: int, total: int | None = None, /) -> object: ...


class _Display:
    """The bars that are open now, on stderr; it appears with the first of them and goes with the last."""

    def __init__(self):
        self.bars: Bars | None = None
        self.open = 0

    def __enter__(self) -> "Bars":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bars, TextColumn, TimeRemainingColumn

        bars = self.bars
        if bars is None:
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            # What is printed meanwhile stands above the bars; but what goes into a file or a pipe belongs there.
            above = sys.stdout is not None and sys.stdout.isatty()
            bars = Bars(*columns, console=_console(), transient=True, redirect_stdout=above)
            bars.start()
            self.bars = bars
        self.open += 1
        return bars

    def __exit__(self, *_: object) -> None:
        self.open -= 1
        if self.bars is not None and not self.open:
            self.bars.stop()
            self.bars = None


_display = _Display()


@contextmanager
def progress_bar(description: str, total: int | None = None, *, shown: bool = True) -> Iterator[Progress]:
    """A bar with the time left while the block runs, on stderr where that is a terminal; bars may be nested.

    Yields the function that moves it: `progress(done, total)`. Nothing is drawn where `shown` is false.
    """
    if not (shown and _console().is_terminal):
        yield lambda done, total=None, /: None
        return
    with _display as bars:
        task = bars.add_task(description, total=total)

        def progress(done: int, of: int | None = None, /) -> None:
            bars.update(task, completed=done, total=of if of is not None else total)

        try:
            yield progress
        finally:
            bars.remove_task(task)


def print_note(note: str) -> None:
    """Prints one line on stderr, above the progress bars."""
    _console().print(one_line(note), markup=False, highlight=False, soft_wrap=True)
