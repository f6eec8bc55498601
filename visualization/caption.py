"""What a figure says about itself: where the arrays come from, and which of them are shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from convlens.visualization import palette
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten

if TYPE_CHECKING:
    from convlens.interpret import ObservedLayer


@dataclass(frozen=True)
class Caption:
    """Where the arrays of a figure come from; what is not known is left out of the title."""

    source: str | None = None  # "run cars/20260101-...", or a model's file
    layer: str | None = None
    epoch: int | None = None
    receptive_field: tuple[int, int] | None = None  # pixels of the input image: height, width
    split: str = ""  # of the dataset, whose images were looked at
    labels: Sequence[str] | None = None  # the names of the classes

    def facts(self, *more: str) -> str:
        """One line: source, epoch, receptive field, then `more`."""
        known = [
            shorten(self.source, 1200, palette.BODY_SIZE) if self.source else "",
            f"epoch {self.epoch}" if self.epoch is not None else "",
            f"receptive field {size(self.receptive_field)} px" if self.receptive_field else "",
        ]
        return " · ".join(fact for fact in (*known, *more) if fact)

    def of_layer(self, layer: "ObservedLayer") -> "Caption":
        """The same, about a layer."""
        return replace(self, layer=layer.name, receptive_field=layer.receptive_field)

    def images(self, count: int | None) -> str:
        """How many images were looked at, and of which split: "300 images of test"; "" where neither is known."""
        return f"{count:,} images" + (f" of {self.split}" if self.split else "") if count else self.split

    def class_name(self, index: int) -> str:
        """The name of a class, or its number where classes have no names."""
        return f"class {index}" if self.labels is None else self.labels[index]

    def class_names(self, count: int) -> list[str]:
        """The names of so many classes. Raises ValueError where another number of classes is named."""
        if self.labels is not None and len(self.labels) != count:
            raise ValueError(f"{len(self.labels)} labels for {count} classes")
        return [self.class_name(index) for index in range(count)]


UNKNOWN = Caption()
INSIDE = "zeros that pad the border make a false edge there, so cells inside set the scale"


def heading(sheet: Sheet, title: str, facts: str, width: float, x: float = MARGIN) -> float:
    """Title and facts at the top of a sheet; returns the y where the figure may begin."""
    y = sheet.paragraph(x, MARGIN - 10, title, width, palette.TITLE_SIZE, weight="bold")
    return sheet.paragraph(x, y + 2, facts, width, palette.BODY_SIZE, color=palette.QUIET_TEXT) + 26


def footnotes(sheet: Sheet, y: float, values: Sequence[np.ndarray], *, dead: bool = False, beyond: str = "") -> None:
    """Explains the marks of a figure, under it: dead units, values that are not finite, and values beyond the scale.

    `beyond` are the words of `beyond_text` for the latter, "" where there are none.
    """
    if beyond:
        note = f"violet, or green below zero: {beyond}; {INSIDE}"
        y = sheet.paragraph(MARGIN, y, note, max(sheet.width - MARGIN, 800), palette.LABEL_SIZE, color=palette.TEXT)
    if dead:
        note = "dead: zero after ReLU everywhere on these images; another image may wake the unit"
        sheet.text(MARGIN, y, note, palette.LABEL_SIZE, color=palette.DEAD_TEXT)
        y += line_height(palette.LABEL_SIZE)
    if not all(np.isfinite(array).all() for array in values):
        sheet.text(MARGIN, y, "yellow: not a finite number", palette.LABEL_SIZE, color=palette.DEAD_TEXT)


def beyond_text(tiles: Iterable[tuple[np.ndarray, float | np.ndarray]]) -> str:
    """How far maps go beyond the limits of their colour scales, in words; "" where none does.

    Each of `tiles` is maps and their limits: a number or, of maps (..., units), one a unit. Where all have one limit,
    the words give the largest magnitude; where scales differ, it is compared with the limit of its own.
    """
    magnitude, multiple, limits = 0.0, 0.0, []
    for maps, limit in tiles:
        outside = palette.clipped(maps, limit)
        strength, own = np.abs(np.asarray(maps)[outside]), np.broadcast_to(limit, np.shape(maps))[outside]
        magnitude = max(magnitude, float(strength.max(initial=0.0)))
        multiple = max(multiple, float((strength / own).max(initial=0.0)))
        limits += [np.min(limit), np.max(limit)]
    if not magnitude:
        return ""
    if min(limits) == max(limits):
        return f"beyond the scale, here up to {number(magnitude)}"
    return f"beyond the scale of its own tile, here up to {number(multiple)} times its limit"


def size(shape: Sequence[int]) -> str:
    """A shape as people write it: 3×3×64."""
    return "×".join(str(side) for side in shape)


def choose_units(
    count: int,
    *,
    units: Sequence[int] | None = None,
    max_units: int = 32,
    sort: str = "index",
    norm: np.ndarray | None = None,
    activation: np.ndarray | None = None,
    rank: np.ndarray | None = None,
) -> np.ndarray:
    """Indices of the units to show, at most `max_units`, in the order to show them.

    `units` asks for certain ones; `sort` orders by "index", or strongest first by "norm" (of the kernel) or
    "activation" (the mean), each an array of shape (count,), or by "orientation", for which `rank` (count,) is each
    unit's place. Raises ValueError for a unit that does not exist.
    """
    chosen = np.arange(count) if units is None else np.array(list(dict.fromkeys(units)), int)
    for unit in chosen:
        if not 0 <= unit < count:
            raise ValueError(f"unit {unit} does not exist: the layer has units 0 to {count - 1}")
    if sort != "index":
        strength = {"norm": norm, "activation": activation, "orientation": rank if rank is None else -rank}.get(sort)
        if strength is None:
            raise ValueError(
                f"sort={sort!r} needs an array to sort by; expected 'index', or 'norm', 'activation' or 'orientation'"
            )
        chosen = chosen[np.argsort(-np.nan_to_num(np.asarray(strength))[chosen], kind="stable")]
    return chosen[:max_units]


# By what units are put in order: in words where all are shown, where some are, and as what those have in common.
_ORDERS = {
    "index": ("by index", "the first by index", "the first {}"),
    "norm": (
        "largest weights first",
        "those with the largest weights, largest first",
        "the {} with the largest weights",
    ),
    "activation": ("most active first", "the most active, most active first", "the {} most active"),
    "orientation": ("by orientation, then colour, then spots",) * 2 + ("the {} first by orientation",),
}


def which_units(shown: np.ndarray, count: int, sort: str, *, requested: bool = False) -> str:
    """In words: which units a figure shows, in which order, and why these; `requested`: the user named them."""
    all_units, some, _ = _ORDERS[sort]
    if requested:
        return f"{len(shown)} of {count} units: those asked for{'' if sort == 'index' else f', {all_units}'}"
    return f"{len(shown)} of {count} units: {some}" if len(shown) < count else f"all {count} units, {all_units}"


def selection_words(shown: np.ndarray, count: int, sort: str) -> str:
    """In words: what the units shown have in common; "" if all units are shown."""
    return _ORDERS[sort][2].format(len(shown)) if len(shown) < count else ""
