"""Going on with a run: what was asked for must be what the run is, or more epochs of it; what has changed is told."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from convlens.configs import Train, Training
from convlens.core.errors import UserError
from convlens.core.program import word
from convlens.training.checkpoint import State, newest_checkpoint, newest_values
from convlens.training.network_file import keys_of_network
from convlens.training.recipe import open_keys
from convlens.training.records import check_resumable
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


EPOCHS = "training.epochs"
# Schedules whose rate in an epoch is the same, however many epochs come after it.
OPEN_ENDED = ("constant", "step", "exponential", "plateau")


def check_request(config: Train, run: Run) -> Train:
    """The configuration to go on with: the run's own, with more epochs if these are asked for.

    What counts is what was typed: a key, the section of a group (`model=vgg`), or, for an experiment, everything. More
    epochs are taken where those that are done would have been the same with them. Raises `UserError` where the command
    line asks for anything else than what the run was configured with.
    """
    if not run.facts.get("dataset"):
        raise UserError(f"Run {run.path} ended before its training began; there is nothing to resume. Start a new one.")
    typed, known = dict(_values(config)), dict(_values(run.config))
    # For the data, or for a network in a file; whoever leaves them open takes what was chosen then.
    chosen = open_keys(config) | keys_of_network(config)
    differing = [
        key
        for key in dict.fromkeys([*typed, *known])
        if _is_typed(key, config.typed)
        and key not in FREE
        and not any(f"{key}.".startswith(f"{name}.") for name in chosen)
        and typed.get(key) != known.get(key)
    ]
    if all(key in PLACES and key not in config.typed for key in differing):
        return run.config
    meant = [key for key in differing if key not in PLACES or key in config.typed]
    if meant == [EPOCHS] and typed[EPOCHS] > known[EPOCHS]:
        return _with_more_epochs(run, typed[EPOCHS])
    key, more = differing[0], f" ({len(differing) - 1} more differences.)" if len(differing) > 1 else ""
    raise UserError(
        f"{key}={_as_text(typed.get(key))}, but run {run.path} was started with {_as_text(known.get(key))}. Resume it "
        f"without this, or start a new run from its weights: {word('init_from', run.path)}{more}"
    )


def check_folder(run: Run) -> None:
    """Raises `UserError` if the files of a run are not fit to resume from."""
    run.check_logs()
    values = newest_values(run.checkpoints_dir)
    if values is not None:
        check_resumable(values, run.checkpoints_dir)


def reason_against_more_epochs(config: Train) -> str:
    """Why a training that has begun cannot be given more epochs; an empty string if it can."""
    name = config.training.schedule.name
    if name in OPEN_ENDED:
        return ""
    return f"its learning rate depends on the total number of epochs (training.schedule.name={name})"


def ready_for_more_epochs(state: State, training: Training) -> State:
    """The state at the end of a training, changed so that more epochs follow; unchanged if the training has no more
    epochs.
    """
    stopped_early = state.values["callbacks"].get("EarlyStopping", {}).get("stopped_epoch")
    if not state.complete or state.epoch >= training.epochs or stopped_early:
        return state
    callbacks = {**state.values["callbacks"], "Clock": {"elapsed": 0.0}}  # of the last epoch, which is counted already
    return replace(state, complete=False, values={**state.values, "callbacks": callbacks})


def state_to_resume(run: Run, training: Training, report: Callable[[str], None], most: int) -> State | None:
    """The newest state from which a run can be resumed; None if there is none yet. Raises `UserError`.

    At the end of a training with averaged weights, Keras forgets those that were averaged: more epochs then go on from
    the checkpoint before, and bring the last epoch to the same end once more. What takes more than `most` bytes is no
    state of this network.
    """

    def fits(state: State) -> bool:
        check_resumable(state.values, run.checkpoints_dir)
        goes_on = state.complete and not ready_for_more_epochs(state, training).complete
        return not (goes_on and training.optimizer.ema)

    return newest_checkpoint(run.checkpoints_dir, report, fits, most=most)


def extend_run(run: Run, config: Train, state: State | None) -> None:
    """Gives a run, whose newest state is `state`, more epochs. Raises `UserError` if it stopped early."""
    if state and state.complete and ready_for_more_epochs(state, config.training).complete:
        raise UserError(
            f"Run {run.path} stopped early in epoch {state.epoch}, and would have done so with more epochs, too "
            f"(training.early_stopping.patience={config.training.early_stopping.patience}). Start a new run from its "
            f"weights: {word('init_from', run.path)}"
        )
    # In this order: killed in between, the run is one to go on with as it was.
    run.write_facts(finished=False)
    run.evaluation_path.unlink(missing_ok=True)  # of a model that is no longer the last word
    run.write_config(config)


def _with_more_epochs(run: Run, epochs: int) -> Train:
    config, reason = run.config, reason_against_more_epochs(run.config)
    if reason:
        raise UserError(
            f"{EPOCHS}={epochs}, but run {run.path} was started with {config.training.epochs}, and {reason}, so "
            f"more epochs would make a different training. Start a new run with the same settings from its weights: "
            f"{word('init_from', run.path)} {EPOCHS}={epochs - config.training.epochs}"
        )
    return config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})


def check_data(run: Run, fingerprint: str) -> None:
    """Raises `UserError` where the dataset is not the one that the run has been learning from."""
    saved = run.facts["dataset"]["fingerprint"]
    if fingerprint != saved:
        raise UserError(
            f"The data is not what run {run.path} was started with: its fingerprint is {fingerprint}, it was {saved}. "
            f"Restore the data, or start a new run from the old weights: {word('init_from', run.path)}"
        )


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line for each fact of the environment that has changed."""
    keys = dict.fromkeys([*before, *now])
    return [
        f"{key}: {_as_text(before.get(key))} then, {_as_text(now.get(key))} now"
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


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
