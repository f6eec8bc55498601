"""Going on with a run: what was asked for must be what the run is, and what has changed around it is told."""

import json
from collections.abc import Iterator
from typing import Any

from convlens.configs import Train
from convlens.core.errors import UserError
from convlens.training.recipe import open_keys
from convlens.training.run import Run

WIDE = {"experiment": "", "debug": "training."}  # groups that set keys elsewhere, and where
PLACES = ("name", "runs_dir")  # they say where a new run would lie; alone, they make no other training
FREE = (
    "resume",
    "data.root",
    "data.data_dir",
    "data.manual_dir",
    "data.prepare",
)  # data may have moved; its fingerprint may not


def check_request(config: Train, run: Run) -> None:
    """Raises `UserError` where the command line asks for something else than what the run was configured with.

    What counts is what was typed: a key, the section of a group (`model=vgg`), or, for an experiment, everything. A
    schedule is laid out over all epochs, so that even more epochs are another training.
    """
    if "dataset" not in run.facts:
        raise UserError(f"Run {run.path} ended before its training began; there is nothing to resume. Start a new one.")
    asked, known = dict(_values(config)), dict(_values(run.config))
    chosen = open_keys(config)  # for the data; whoever leaves them open takes what was chosen then
    differing = [
        key
        for key in dict.fromkeys([*asked, *known])
        if _is_typed(key, config.typed)
        and key not in FREE
        and not any(f"{key}.".startswith(f"{name}.") for name in chosen)
        and asked.get(key) != known.get(key)
    ]
    if all(key in PLACES and key not in config.typed for key in differing):
        return
    key, more = differing[0], f" ({len(differing) - 1} more differences.)" if len(differing) > 1 else ""
    raise UserError(
        f"{key}={_shown(asked.get(key))}, but run {run.path} was started with {_shown(known.get(key))}. Resume it "
        f"without this, or start a new run from its weights: init_from={run.path}{more}"
    )


def check_data(run: Run, fingerprint: str) -> None:
    """Raises `UserError` where the dataset is not the one that the run has been learning from."""
    before = run.facts["dataset"]["fingerprint"]
    if fingerprint != before:
        raise UserError(
            f"The data is not what run {run.path} was started with: its fingerprint is {fingerprint}, it was {before}. "
            f"Restore the data, or start a new run from the old weights: init_from={run.path}"
        )


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line for each fact of the environment that is not as it was."""
    keys = dict.fromkeys([*before, *now])
    return [
        f"{key}: {_shown(before.get(key))} then, {_shown(now.get(key))} now"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _is_typed(key: str, typed: tuple[str, ...]) -> bool:
    return any(key.startswith(WIDE[word]) if word in WIDE else f"{key}.".startswith(f"{word}.") for word in typed)


def _values(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    values = section.document() if isinstance(section, Train) else section
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _values(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
