"""Progress of what takes long before training starts: reading, checking, rendering."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from configs import one_line

_console = Console(stderr=True)


@contextmanager
def track(description: str, total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar with the time remaining, on stderr; yields the function that advances it by a number of items."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=_console, transient=True, disable=not (shown and _console.is_terminal)) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)


def tell(note: str) -> None:
    """One line on stderr."""
    _console.print(one_line(note), markup=False, highlight=False, soft_wrap=True)
