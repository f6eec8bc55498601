"""How far drawing is, and what takes so long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Told = Callable[..., None]  # is told how much is done and, where that was not known before, of how much


class Bars:
    """Progress bars with the time left, on stderr where that is a terminal, and gone when they are full."""

    def __init__(self):
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    @contextmanager
    def bar(self, description: str, total: int | None = None) -> Iterator[Told]:
        """A bar while the block runs."""
        task = self._progress.add_task(description, total=total)

        def told(done: int, of: int | None = None) -> None:
            self._progress.update(task, completed=done, total=of or total)

        try:
            yield told
        finally:
            self._progress.remove_task(task)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No bars while the block runs, which may show its own."""
        shown = self._progress.live.is_started
        self._progress.stop()
        try:
            yield
        finally:
            if shown:
                self._progress.start()
