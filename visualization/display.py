"""What a person chooses of a figure: which units it shows, in which order, and who shares a colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from convlens.visualization import palette

if TYPE_CHECKING:
    from convlens.interpret import ObservedLayer


@dataclass(frozen=True)
class Display:
    """Which units are shown, in which order, and on whose colour scale; None is what suits the figure."""

    units: Sequence[int] | None = None  # certain ones
    max_units: int = 32
    sort: str | None = None  # "index", "norm", "activation" or "orientation"
    scale: str | None = None  # "unit", "layer" or "global"

    def filled(self, sort: str, scale: str) -> "Display":
        """The same, with what suits a figure where nothing was chosen."""
        return replace(self, sort=self.sort or sort, scale=self.scale or scale)

    def of_maps(self, layer: "ObservedLayer") -> "Display":
        """What suits figures of maps, by index where a layer has nothing to be ordered by."""
        display = self.filled("index", "layer")
        cannot = display.sort == "orientation" or (display.sort == "norm" and not layer.paired)
        return replace(display, sort="index") if cannot else display


def units_alive(layer: "ObservedLayer", display: Display, count: int) -> np.ndarray:
    """The units that were asked for; or, of those alive, the strongest, and for more: the middle and the weakest."""
    if display.units is not None:
        return np.array(list(dict.fromkeys(display.units)), int)[: display.max_units]
    order = np.argsort(-np.nan_to_num(layer.activation), kind="stable")
    alive = order[~layer.dead[order]]
    order = alive if len(alive) else order
    ranks = [0] if count == 1 else np.linspace(0, len(order) - 1, count).astype(int)
    return np.unique(order[ranks]) if len(order) < count else order[ranks]


def limit_of_maps(layers: Sequence["ObservedLayer"], stage: str = "filter") -> float:
    """The largest magnitude of the maps of several layers at a stage, in the cells that no padding reaches."""
    limits = [palette.largest_inside(layer.maps[stage], layer.inside.get(stage)) for layer in layers]
    return palette.largest(np.array(limits))


def last_of_each_block(layers: Sequence, most: int = 8) -> list:
    """The last of the layers of each block, by the name before the first underscore; evenly thinned where many."""
    by_block = {layer.name.rsplit("/", 1)[-1].split("_")[0]: layer for layer in layers}
    last = list(by_block.values()) if len(by_block) > 1 else list(layers)
    if len(last) > most:
        last = [last[place] for place in np.linspace(0, len(last) - 1, most).round().astype(int)]
    return last
