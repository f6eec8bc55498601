"""What the user chooses of a figure: which units it shows, in which order, and which tiles share a colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convlens.visualization import palette
from convlens.visualization.caption import choose_units, selection_words, which_units

if TYPE_CHECKING:
    from convlens.interpret import ObservedLayer

NAMED = "those that respond to an angle, to colours or to a spot"
MOST, MOST_DEEP = 32, 16  # units of a layer that are shown: a deep one takes more room for each


@dataclass(frozen=True)
class Display:
    """Which units are shown, in which order, and on which colour scale; None stands for the figure's own choice."""

    units: Sequence[int] | None = None  # certain ones
    max_units: int | None = None
    sort: str | None = None  # "index", "norm", "activation" or "orientation"
    scale: str | None = None  # "unit", "layer" or "global"
    max_inputs: int = 8  # slices of each kernel that reads maps


def is_picture(kernel: np.ndarray, rgb: bool) -> bool:
    """Whether each kernel (height, width, channels, units) is drawn as a picture: it sees colours, or one channel."""
    return rgb or kernel.shape[2] == 1


def shown_units(layer: "ObservedLayer", display: Display) -> tuple[np.ndarray, str]:
    """The units that figures of many units show, in order, and the words for them in a title."""
    units, sort = _ranked(layer, display)
    return units, which_units(units, _count(layer), sort, requested=display.units is not None)


def _count(layer: "ObservedLayer") -> int:
    return layer.maps["filter"].shape[-1] if "filter" in layer.maps else layer.kernel.shape[-1]


def _ranked(layer: "ObservedLayer", display: Display) -> tuple[np.ndarray, str]:
    sort = display.sort or ("norm" if display.units is None else "index")
    if sort == "orientation" and layer.tuning is None:
        sort = "norm"
    if sort == "norm" and layer.norm is None:
        sort = "index" if layer.activation is None else "activation"
    most = display.max_units or (MOST if is_picture(layer.kernel, layer.rgb) else MOST_DEEP)
    rank = np.argsort(layer.tuning.order) if sort == "orientation" and layer.tuning is not None else None
    units = choose_units(
        _count(layer), units=display.units, max_units=most, sort=sort, norm=layer.norm, activation=layer.activation,
        rank=rank,
    )  # fmt: skip
    return units, sort


def _candidates(layer: "ObservedLayer", display: Display, count: int) -> tuple[np.ndarray, str]:
    """The units among which figures of `count` units choose, most active first, and in words what they have in common.

    They are those that figures of many units show, as far as they are alive. A single unit is one that responds to
    something that has a name, where there is one: the most active of all may respond to mere brightness.
    """
    shown, sort = _ranked(layer, display)
    words = selection_words(shown, _count(layer), sort)
    activation, dead = layer.activity()
    units = shown[~dead[shown]]
    if not len(units):
        units, words = np.flatnonzero(~dead), ""
    if not len(units):
        units = shown
    if count == 1 and layer.tuning is not None and (named := layer.tuning.kind[units] != "").any():
        units, words = units[named], f"{NAMED}, among {words}" if words else NAMED
    return units[np.argsort(-np.nan_to_num(activation)[units], kind="stable")], words


def units_alive(layer: "ObservedLayer", display: Display, count: int) -> np.ndarray:
    """The units of a figure of few: those that the user named, or the most active, of kernels with a tuning one that
    responds to something that has a name; of several, the most active, the middle and the least active.
    """
    if display.units is not None:
        return np.array(list(dict.fromkeys(display.units)), int)[: display.max_units or MOST]
    order, _ = _candidates(layer, display, count)
    ranks = [0] if count == 1 else np.linspace(0, len(order) - 1, count).astype(int)
    return np.unique(order[ranks]) if len(order) < count else order[ranks]


def selection_text(layer: "ObservedLayer", display: Display, count: int) -> str:
    """In words: the group among which the units of `units_alive` are the most active; "" for all units, or if the user
    named them.
    """
    _, words = _candidates(layer, display, count)
    return f"of {words}" if words and display.units is None else ""


def reasons(layer: "ObservedLayer", display: Display, units: Sequence[int] | np.ndarray) -> list[str]:
    """Why each unit of `units_alive(layer, display, len(units))` is shown."""
    if display.units is not None:
        return ["asked for"] * len(units)
    order, _ = _candidates(layer, display, len(units))
    _, dead = layer.activity()
    if dead[order].any():
        return ["no unit of the layer is alive"] * len(units)
    if len(units) == 1:
        return [f"the unit most active on these images {selection_text(layer, display, 1)}".rstrip()]
    if len(units) < 3:
        return [f"one of the {len(order)} that are alive"] * len(units)
    return ["the most active on these images", "the middle one", "the least active of those alive"]


def limit_of_maps(layers: Sequence["ObservedLayer"], stage: str = "filter") -> float:
    """The largest magnitude of the maps of several layers at a stage, in the cells that no padding reaches."""
    limits = [palette.largest_inside(layer.maps[stage], layer.inside.get(stage)) for layer in layers]
    return palette.largest(np.array(limits))


def last_of_each_block(layers: Sequence, most: int = 8) -> list:
    """The last of the layers of each block, by the name before the first underscore; evenly thinned where many."""
    by_block = {layer.name.rsplit("/", 1)[-1].split("_")[0]: layer for layer in layers}
    last = list(by_block.values()) if len(by_block) > 1 else list(layers)
    if len(last) > most:
        last = [last[index] for index in np.linspace(0, len(last) - 1, most).round().astype(int)]
    return last
