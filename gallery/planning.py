"""Which drawings the chosen figures consist of, and which figures cannot be drawn."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from convlens.core.errors import UserError
from convlens.gallery.drawn_with import words_for
from convlens.gallery.registry import figures

if TYPE_CHECKING:
    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@dataclass(frozen=True)
class Plan:
    """The drawings of one figure, none of them drawn yet."""

    figure: str
    drawings: "Sequence[Drawing]"
    by_name: bool = True  # rather than as one of a group
    extra_files: Callable[[Path], Iterable[Path]] | None = None
    words: str = ""  # of the command that draws it


def planned(inputs: "FigureInputs") -> list[Plan]:
    """The drawings to make of a network and its images.

    A figure that they cannot give is reported and left out where it came with a group; UserError where it was asked
    for by its name, or where nothing is left.
    """
    known = figures()
    reasons = {name: inputs.lacks(known[name].needs) for name in inputs.figures}
    plans = []
    for name, reason in reasons.items():
        by_name = name in inputs.config.figures
        if reason and (by_name or all(reasons.values())):
            raise UserError(reason)
        drawings = [] if reason else list(known[name].draw(inputs))
        write = known[name].extra_files
        if reason or not (drawings or write):
            print(f"No figure '{name}': {reason or 'no layer of the model has what it shows.'}")
            continue
        words = words_for(inputs.config, name)
        plans.append(Plan(name, drawings, by_name, write and partial(write, inputs), words))
    return plans
