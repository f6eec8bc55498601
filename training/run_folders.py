"""Folders of runs, `runs/<name>/<unique id>`: a new one, all by age, and the one that was probably meant."""

import os
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from convlens.core.errors import nearest
from convlens.core.program import command_line


def new_folder(family: Path, after: Path | None) -> Path:
    """A folder named by the time, and by a later one than `after`, the newest run: a clock may have been set back."""
    while True:
        # UTC, so that names sort by time all year; the random part keeps runs of one millisecond apart.
        now, newest = datetime.now(UTC), _time_of(after) if after else None
        if newest and newest >= now.replace(microsecond=now.microsecond // 1000 * 1000):
            now = newest + timedelta(milliseconds=1)
        path = family / f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue


def _time_of(run: Path) -> datetime | None:
    """When a run was begun, by its name; None for a folder of another name, such as one that was renamed."""
    named = re.fullmatch(r"(\d{8}-\d{6})-(\d{3})-[0-9a-f]{6}", run.name)
    try:
        return datetime.strptime(f"{named[1]}{named[2]}000+0000", "%Y%m%d-%H%M%S%f%z") if named else None
    except ValueError:
        return None


def runs_below(folder: Path) -> list[Path]:
    """Run folders in `runs/` or in `runs/<name>/`, newest first: that to which `latest` leads is newest of its family.

    Those that were renamed come last, since nothing says when they were made.
    """
    runs = {config.parent for config in [*folder.glob("*/config.yaml"), *folder.glob("*/*/config.yaml")]}
    # A process that was killed may have left the link `latest` under a hidden name.
    named = [run for run in runs if run.name != "latest" and not run.name.startswith(".")]
    times = {run: (_time_of(run) is not None, run.name) for run in named}
    families: dict[Path, tuple] = {}
    for run in named:
        families[run.parent] = max(times[run], families.get(run.parent, times[run]))
    latest = {run for run in named if _is_latest(run)}
    return sorted(named, key=lambda run: (families[run.parent], 1) if run in latest else (times[run], 0), reverse=True)


def _is_latest(run: Path) -> bool:
    link = run.parent / "latest"
    return link.is_symlink() and os.readlink(link) == run.name


def missing_run(path: Path) -> str:
    """The message for a run that does not exist: the nearest run, or how to train one."""
    runs = [run for parent in path.parents[:2] if parent.is_dir() for run in runs_below(parent)]
    if not runs:
        return f"Run {path} does not exist. {how_to_train()}"
    latest = {run.parent / "latest" for run in runs}
    known = [str(run) for run in runs] + [str(link) for link in latest if link.exists()]
    guess = nearest(str(path), known) or known[0]
    return f"Run {path} does not exist. Did you mean '{guess}'?"


def how_to_train() -> str:
    return f"Train one with: {command_line('train', experiment='cars')}"
