"""Several runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console

from convlens.core.errors import one_line
from convlens.core.tables import print_table
from convlens.training.run import Run

BEST = "the highest validation accuracy: the one to choose"


class Job(Protocol):
    """One run of a sweep, as the command line reports it."""

    @property
    def overrides(self) -> tuple[str, ...]: ...

    @property
    def exit_code(self) -> int: ...

    @property
    def run(self) -> Path | None: ...


def summarize(jobs: Sequence[Job], console: Console | None = None) -> None:
    """Prints a table with one line a job: its values, its accuracy, its duration and its folder.

    Of several runs, the one with the highest validation accuracy is marked. The test images judge what was chosen and
    so have no say in it.
    """
    console = console or Console(width=None if Console().is_terminal else 200)
    runs = [Run(job.run) if job.run else None for job in jobs]
    scores = [_validation_accuracy(run) if run else None for run in runs]
    known = [score for score in scores if score is not None]
    best = [len(known) > 1 and score == max(known) for score in scores]
    rows = []
    for job, run, score, is_best in zip(jobs, runs, scores, best, strict=True):
        cells = _cells(run, score) if run else ["", f"failed (exit code {job.exit_code})", "", "", ""]
        rows.append(["*" if is_best else "", one_line(" ".join(job.overrides)) or "no overrides", *cells])
    print_table(
        console,
        ["", "overrides", "validation accuracy", "test accuracy", "best epoch", "time", "run"],
        rows,
        text=["overrides", "run"],
        title=f"{len(jobs)} runs",
        caption=f"* {BEST}" if len(known) > 1 else None,
        marked=best,
    )


def _validation_accuracy(run: Run) -> float | None:
    """The validation accuracy of the epoch that the saved model comes from."""
    return next((row["val_accuracy"] for row in run.metrics if row["epoch"] == run.epoch), None)


def _cells(run: Run, score: float | None) -> list[str]:
    test = run.evaluation.get("accuracy")
    return [
        f"{score:.4f}" if score is not None else "",
        f"{test:.4f}" if test is not None else "",
        str(run.epoch or ""),
        duration(sum(row["seconds"] for row in run.metrics)),
        str(run.path),
    ]


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
