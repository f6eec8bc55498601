"""What the benchmarks share: taking turns, the figures that are measured, and the report."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

Clock = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """What was measured one way, a value a turn."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """The largest value less the smallest, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def ratio_to(self, other: "Figure") -> float:
        """The median over turns of this by that: what slows the machine down in a turn slows both down."""
        return statistics.median(a / b for a, b in zip(self.values, other.values, strict=True))


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, in which unit, and what to compare it with."""

    what: str
    figure: Figure | None  # None: left out, as `note` says
    unit: str
    against: Figure | None = None
    share: float | None = None  # of what the machine can do
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """`against` by this."""
        return self.against.ratio_to(self.figure) if self.figure and self.against else None


def take_turns(ways: Mapping[str, Callable[[], float]], turns: int) -> dict[str, Figure]:
    """Runs every way once a turn, so that all of them meet the machine's good and bad moments alike.

    Every other turn goes backwards, so that no way is always the one after another.
    """
    values: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            values[name].append(float(ways[name]()))
    return {name: Figure(tuple(measured)) for name, measured in values.items()}


def seconds_of(work: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """How long something takes, once."""
    start = clock()
    work()
    return clock() - start


def rate_of(work: Callable[[], float], clock: Clock = time.perf_counter) -> float:
    """How much a second, of something that returns how much it did."""
    start = clock()
    done = work()
    return done / (clock() - start)


def rate_for_a_while(work: Callable[[], float], seconds: float = 1.5, clock: Clock = time.perf_counter) -> float:
    """The same, of work that is done again until so many seconds are over."""
    start, done = clock(), 0.0
    while (passed := clock() - start) < seconds:
        done += work()
    return done / passed


def parser(module: str, description: str, turns: int = 5) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    options = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=description)
    options.add_argument("--turns", type=int, default=turns, help=f"how often each way is measured (default {turns})")
    options.add_argument("--quick", action="store_true", help="next to no work: does it run at all?")
    options.add_argument(
        "--json", type=Path, default=Path(f"benchmark-{module}.json"), help="where every value goes, beside the table"
    )
    return options


def report(
    rows: Sequence[Row], machine: Mapping[str, object], title: str, path: Path, *, against: str = "ours"
) -> None:
    """Prints the table, and writes it with every single value as JSON. `against` names what ratios are taken of."""
    console = Console(width=140, highlight=False)
    console.print("\n".join(f"{key}: {value}" for key, value in machine.items()), markup=False)
    numbers = ("median", "spread", f"{against} / this", "of peak speed")
    table = Table("what", *(Column(name, justify="right") for name in numbers), "unit", title=title)
    for row in rows:
        if row.figure is None:
            table.add_row(row.what, "", "", "", "", row.note)
            continue
        table.add_row(
            row.what,
            f"{row.figure.median:,.4g}",
            f"{row.figure.spread:.0%}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.share is None else f"{row.share:.0%}",
            f"{row.unit}{', ' if row.note else ''}{row.note}",
        )
    console.print(table)
    path.write_text(
        json.dumps({"title": title, "machine": dict(machine), "rows": [_plain(row) for row in rows]}, indent=2) + "\n"
    )
    console.print(f"Every value: {path}")


def _plain(row: Row) -> dict[str, object]:
    figure = row.figure
    return {
        "what": row.what,
        "unit": row.unit,
        "values": figure and list(figure.values),
        "median": figure and figure.median,
        "spread": figure and figure.spread,
        "ratio": row.ratio,
        "of_the_ceiling": row.share,
        "note": row.note,
    }
