"""What is said at the end of a training: its score, what a person would notice of it, and what to do next."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from convlens.core.program import command_line, tool_line
from convlens.training.sweep import duration

if TYPE_CHECKING:
    import keras

    from convlens.training.evaluation import Evaluation
    from convlens.training.run import Run

MANY_DEAD = 0.2  # share of a layer's units that is worth a warning


class Silence(Protocol):
    """What the units of a layer gave over some images; `interpret.UnitStatistics` is one."""

    @property
    def dead(self) -> np.ndarray:
        """(units,) whether a unit was zero everywhere in all of them."""
        ...

    @property
    def images(self) -> int: ...


def dead_units(model: "keras.Model", statistics: Mapping[str, Silence]) -> list[str]:
    """A line for each layer of whose units many are zero wherever they look; `statistics` are by layer."""
    frozen = {layer.name for layer in model.layers if not layer.trainable}  # no rate would change them
    return [
        f"{int(units.dead.sum())} of {len(units.dead)} units of {layer} are dead: zero on all of {units.images:,} "
        f"validation images. A lower training.optimizer.learning_rate keeps more alive; figures=unit_statistics shows "
        f"which."
        for layer, units in statistics.items()
        if layer not in frozen and int(units.dead.sum()) >= MANY_DEAD * len(units.dead)
    ]


def summary(run: "Run", evaluation: "Evaluation", seconds: float) -> str:
    """The last lines of a training that took so many seconds: its score, its run and the next commands."""
    training = run.config.training
    kept = "last" if training.keep == "last" and run.epoch == training.epochs else "best"
    return (
        f"\nTest accuracy {evaluation.accuracy:.4f} on {evaluation.images:,} images, {kept} epoch {run.epoch}, "
        f"{duration(seconds)} in all\n"
        f"Run {run.path}\n\n"
        f"Next\n"
        f"  {tool_line('tensorboard', 'tensorboard.main', '--logdir', str(run.runs_dir))}\n"
        f"  {command_line('evaluate', run=run.path)}\n"
        f"  {command_line('visualize', run=run.path)}"
    )
