"""Feature extraction in one row: Input, Filter, Detect, Condense."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond, footnotes, heading, size
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, percent, shorten
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import Reading

SIDE = 400
SMALL = 132
ARROW = 80
STAGES = ("filter", "detect", "condense")
LINE = line_height(palette.LABEL_SIZE)
OTHERS = {"layer": "the layer's", "global": "the network's"}

Box = tuple[float, float, float, float]  # top, left, bottom, right in pixels of the image


def extraction_figure(
    images: Sequence[np.ndarray],
    stages: Mapping[str, Sequence[np.ndarray]],
    *,
    caption: Caption = UNKNOWN,
    name: str = "",
    names: Sequence[str] | None = None,
    kernel: np.ndarray | None = None,
    reading: "Reading | None" = None,
    facts: Sequence[str] = (),
    scale: str = "unit",
    limit: float | None = None,
    inside: np.ndarray | None = None,
    boxes: Mapping[str, Box] | None = None,
) -> Figure:
    """One unit, or one kernel, at work: a row an image, a column a step, as the Kaggle lesson draws it.

    `images` are (height, width[, channels]) in [0, 255], `names` what is written under each. `stages` holds, under
    "filter" and, where they follow, "detect" and "condense", an array of shape (height, width) for each image; all
    are on one norm about zero, up to the largest magnitude of the filter stage's cells `inside`, booleans (height,
    width), by default of all. With a `limit`, the layer's or the network's as `scale` says, they are drawn on that norm
    too, small. `boxes` says which part of the image each stage covers, by default all of it. `kernel`, drawn above, is
    (height, width), or (height, width, 3) for RGB. `reading` is what a unit reads that does not read the image.
    """
    shown = [stage for stage in STAGES if stage in stages]
    own = palette.largest_inside(np.stack(stages["filter"])[..., None], inside) if _alike(stages["filter"]) else None
    own = own or palette.largest(np.concatenate([np.ravel(one) for one in stages["filter"]]))
    shared = None if scale == "unit" or limit is None else limit

    columns = 1 + (reading is not None) + len(shown)
    sheet = Sheet(width=MARGIN + 4 * SIDE + 3 * ARROW)
    right = MARGIN + max(columns, 4) * (SIDE + ARROW) - ARROW
    title = "Feature extraction by " + " of ".join(filter(None, (name, caption.layer)))
    told = "scale: unit" if shared is None else f"scale: unit; small: {scale}"
    y = heading(sheet, title, caption.facts(*facts, told), 1500)
    if kernel is not None:
        y = max(y, _draw_kernel(sheet, np.asarray(kernel), right))
    heads = ["Input" if reading is None else "Image", *([_told_of(reading)] if reading else [])]
    for column, step in enumerate([*heads, *(stage.capitalize() for stage in shown)]):
        words = shorten(step, SIDE + ARROW - 20, palette.HEADING_SIZE, "bold")
        sheet.text(MARGIN + column * (SIDE + ARROW), y, words, palette.HEADING_SIZE, weight="bold")
    y += line_height(palette.HEADING_SIZE)
    first = MARGIN + (1 + (reading is not None)) * (SIDE + ARROW)
    for row, image in enumerate(images):
        steps = {stage: np.asarray(stages[stage][row]) for stage in shown}
        below = _draw_image(sheet, y, np.asarray(image), names[row] if names else "")
        if reading is not None:
            below = max(below, _draw_reading(sheet, y, np.asarray(image), reading, row))
        drawn = _draw_steps(sheet, first, y, np.asarray(image), steps, own, boxes or {})
        if shared is not None:
            drawn = _draw_small(sheet, first, drawn, np.asarray(image), steps, shared, scale)
        y = max(below, drawn) + 32
    bottom = sheet.activation_bar(first, y, own, "the same norm at every step" if shared is None else "large tiles")
    if shared is not None:
        sheet.activation_bar(first + SIDE + ARROW + 60, y, shared, f"small tiles: {OTHERS[scale]} norm")
    out = max(beyond(array, own) for stage in shown for array in stages[stage])
    out = max(out, beyond(reading.maps, reading.limits)) if reading is not None else out
    footnotes(sheet, bottom, stages["filter"], beyond=out)
    return sheet.figure()


def _alike(arrays: Sequence[np.ndarray]) -> bool:
    return len({np.shape(array) for array in arrays}) == 1


def _told_of(reading: "Reading") -> str:
    count = len(reading.channels)
    of = f" of {reading.layer}" if reading.layer else ""
    return f"Reads {reading.total} maps{of}" if count < reading.total else f"Reads {count} maps{of}"


def _draw_kernel(sheet: Sheet, kernel: np.ndarray, right: float) -> float:
    cell = cell_size(max(kernel.shape[:2]), 150, largest_cell=50)
    height, width = kernel.shape[0] * cell, kernel.shape[1] * cell
    draw = palette.colour_rgb_kernel if kernel.ndim == 3 else palette.colour_weights
    left = right - width
    sheet.tile(left, MARGIN, draw(kernel, palette.largest(kernel)), width, height)
    limit = f"kernel ±{number(palette.largest(kernel))}"
    sheet.text(right, MARGIN + height + 6, limit, palette.LABEL_SIZE, ha="right", color=palette.QUIET_TEXT)
    return MARGIN + height + LINE + 20


def _fitted(image: np.ndarray, side: int) -> tuple[int, int]:
    """(width, height) in pixels at which an image fills a square of `side`."""
    factor = side / max(image.shape[:2])
    return max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))


def _quiet(sheet: Sheet, x: float, y: float, text: str, width: float = SIDE + ARROW - 16) -> float:
    return sheet.paragraph(x, y, text, width, palette.LABEL_SIZE, color=palette.QUIET_TEXT)


def _arrow(sheet: Sheet, x: float, y: float, height: float, sign: str = "→") -> None:
    sheet.text(x - ARROW / 2, y + height / 2, sign, 16, ha="center", va="center", color=palette.QUIET_TEXT)


def _draw_image(sheet: Sheet, y: float, image: np.ndarray, name: str) -> float:
    width, height = _fitted(image, SIDE)
    sheet.photo(MARGIN, y, image, width, height)
    below = _quiet(sheet, MARGIN, y + height + 8, size(image.shape[:2]))
    return _quiet(sheet, MARGIN, below, name) if name else below


def _draw_reading(sheet: Sheet, y: float, image: np.ndarray, reading: "Reading", row: int) -> float:
    """The maps that a unit reads, strongest first, each beside the kernel that it meets."""
    x = MARGIN + SIDE + ARROW
    _arrow(sheet, x, y, _fitted(image, SIDE)[1], "⋯")  # layers lie between
    side = (SIDE - 2 * (LINE + 14)) // 3
    limit = palette.largest(reading.kernels)
    top = y
    for place, channel in enumerate(reading.channels):
        maps = reading.maps[row, ..., place]
        wide, high = _fitted(maps, side)
        sheet.tile(x, top, palette.colour_activations(maps, reading.limits[place]), wide, high)
        kernel = reading.kernels[..., place]
        cell = cell_size(max(kernel.shape), side * 3 // 4, largest_cell=30)
        across, down = kernel.shape[1] * cell, kernel.shape[0] * cell
        left = x + wide + 44
        sheet.text(left - 22, top + high / 2, "×", 12, ha="center", va="center", color=palette.QUIET_TEXT)
        sheet.tile(left, top + (high - down) / 2, palette.colour_weights(kernel, limit), across, down)
        note = f"{channel}: ±{number(reading.limits[place])}, adds {percent(reading.shares[place])}"
        sheet.text(x, top + high + 4, note, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        top += high + LINE + 14
    rest = reading.total - len(reading.channels)
    said = f"map × kernel ±{number(limit)}; each map on its own scale"
    if rest > 0:
        said += f"; {rest} more maps add the rest" if rest > 1 else "; one more map adds the rest"
    return _quiet(sheet, x, top, said, SIDE + 30)


def _draw_steps(sheet, first, y, image, steps, limit, boxes) -> float:
    # Every step is drawn where it lies in the image, so that a place of the image is at the same place of each tile.
    width, height = _fitted(image, SIDE)
    factor = width / image.shape[1]
    for column, (stage, step) in enumerate(steps.items()):
        x = first + column * (SIDE + ARROW)
        _arrow(sheet, x, y, height)
        top, left, bottom, right = boxes.get(stage, (0, 0, *image.shape[:2]))
        if stage in boxes:
            sheet.empty(x, y, width, height)
        place = x + round(left * factor), y + round(top * factor)
        wide, high = (max(1, round((end - start) * factor)) for start, end in ((left, right), (top, bottom)))
        sheet.tile(*place, palette.colour_activations(step, limit), wide, high)
        low, high = (number(float(edge)) for edge in (step.min(), step.max()))
        _quiet(sheet, x, y + height + 8, f"{size(step.shape)}, from {low} to {high}")
    return y + height + 8 + LINE


def _draw_small(sheet, first, y, image, steps, limit, scale) -> float:
    """The same steps on the norm that is shared with other units."""
    width, height = _fitted(image, SMALL)
    for column, step in enumerate(steps.values()):
        x = first + column * (SIDE + ARROW)
        sheet.tile(x, y + 8, palette.colour_activations(step, limit), width, height)
        if column == 0:
            _quiet(sheet, x + width + 16, y + 8, f"the same on {OTHERS[scale]} scale, ±{number(limit)}", SIDE - width)
    return y + 8 + height
