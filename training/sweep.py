"""Several runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from convlens.training.run import Run

BEST = "the highest validation accuracy: the one to choose"


class Job(Protocol):
    """One run of a sweep, as the command line reports it."""

    overrides: tuple[str, ...]
    exit_code: int
    run: Path | None


def summarize(jobs: Sequence[Job]) -> None:
    """Prints a table with a line a job: what set it apart, how well it did, how long it took and where it is."""
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(summary(jobs))


def summary(jobs: Sequence[Job]) -> Table:
    """The table that `summarize` prints; of several runs, the one with the highest validation accuracy is marked.

    The test images judge what was chosen and so have no say in it.
    """
    runs = [Run(job.run) if job.run else None for job in jobs]
    scores = [_validation_accuracy(run) if run else None for run in runs]
    known = [score for score in scores if score is not None]
    table = Table(title=f"{len(jobs)} runs", caption=f"* {BEST}" if len(known) > 1 else None)
    for heading in ("", "overrides", "validation accuracy", "test accuracy", "best epoch", "time", "run"):
        table.add_column(heading, justify="left" if heading in ("overrides", "run") else "right", overflow="fold")
    for job, run, score in zip(jobs, runs, scores, strict=True):
        is_best = len(known) > 1 and score == max(known)
        cells = _cells(run, score) if run else ["", f"failed (exit code {job.exit_code})", "", "", ""]
        table.add_row("*" if is_best else "", " ".join(job.overrides), *cells, style="bold" if is_best else "")
    return table


def _validation_accuracy(run: Run) -> float | None:
    """Of the epoch that the saved model comes from."""
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
    """Seconds as people say them: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
