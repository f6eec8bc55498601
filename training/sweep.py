"""Several runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from convlens.training.run import Run


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
    """The table that `summarize` prints; the best test accuracy is set in bold."""
    scores = [Run(job.run).evaluation.get("accuracy") if job.run else None for job in jobs]
    best = max((score for score in scores if score is not None), default=None)
    table = Table(title=f"{len(jobs)} runs")
    for heading in ("overrides", "validation accuracy", "test accuracy", "best epoch", "time", "run"):
        table.add_column(heading, justify="left" if heading in ("overrides", "run") else "right", overflow="fold")
    for job, score in zip(jobs, scores, strict=True):
        style = "bold" if score is not None and score == best else ""
        table.add_row(" ".join(job.overrides), *_cells(job, score), style=style)
    return table


def _cells(job: Job, score: float | None) -> list[str]:
    if job.run is None:
        return ["", f"failed (exit code {job.exit_code})", "", "", ""]
    run = Run(job.run)
    rows = run.metrics
    chosen = next((row for row in rows if row["epoch"] == run.epoch), None)
    return [
        f"{chosen['val_accuracy']:.4f}" if chosen else "",
        f"{score:.4f}" if score is not None else "",
        str(run.epoch or ""),
        duration(sum(row["seconds"] for row in rows)),
        str(job.run),
    ]


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
