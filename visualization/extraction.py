"""Feature extraction in one row: Input, Filter, Detect, Condense."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, footnotes, heading, size
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number
from convlens.visualization.tiles import cell_size

SIDE = 400
ARROW = 80
STAGES = ("filter", "detect", "condense")


def extraction_figure(
    images: Sequence[np.ndarray],
    stages: Mapping[str, Sequence[np.ndarray]],
    *,
    caption: Caption = UNKNOWN,
    name: str = "",
    kernel: np.ndarray | None = None,
    facts: Sequence[str] = (),
    scale: str = "unit",
    limit: float | None = None,
) -> Figure:
    """One unit, or one kernel, at work: a row an image, a column a step, as the Kaggle lesson draws it.

    `images` are (height, width[, channels]) in [0, 255]. `stages` holds, under "filter" and, where they follow, under
    "detect" and "condense", an array of shape (height, width) for each image; all are on one norm about zero: up to
    the largest magnitude of the filter stage, or up to `limit`, the layer's or the network's, as `scale` says.
    `kernel`, drawn above, is (height, width), or (height, width, 3) for RGB.
    """
    names = [stage for stage in STAGES if stage in stages]
    if scale == "unit" or limit is None:
        limit = palette.largest(np.concatenate([np.ravel(one) for one in stages["filter"]]))

    sheet = Sheet(width=MARGIN + 4 * SIDE + 3 * ARROW)
    title = "Feature extraction by " + " of ".join(filter(None, (name, caption.layer)))
    y = heading(sheet, title, caption.facts(*facts, f"scale: {scale}"), 1500)
    if kernel is not None:
        y = max(y, _draw_kernel(sheet, np.asarray(kernel)))
    for column, step in enumerate(["input", *names]):
        x = MARGIN + column * (SIDE + ARROW)
        sheet.text(x, y, step.capitalize(), palette.HEADING_SIZE, weight="bold")
    y += line_height(palette.HEADING_SIZE)
    for row, image in enumerate(images):
        y = _draw_row(sheet, y, np.asarray(image), [np.asarray(stages[stage][row]) for stage in names], limit)
    y = sheet.activation_bar(MARGIN + SIDE + ARROW, y, limit, "the same norm at every step")
    footnotes(sheet, y, stages["filter"])
    return sheet.figure()


def _draw_kernel(sheet: Sheet, kernel: np.ndarray) -> float:
    cell = cell_size(max(kernel.shape[:2]), 150, largest_cell=50)
    height, width = kernel.shape[0] * cell, kernel.shape[1] * cell
    draw = palette.colour_rgb_kernel if kernel.ndim == 3 else palette.colour_weights
    left = MARGIN + 4 * SIDE + 3 * ARROW - width
    sheet.tile(left, MARGIN, draw(kernel, palette.largest(kernel)), width, height)
    limit = f"kernel ±{number(palette.largest(kernel))}"
    sheet.text(left + width, MARGIN + height + 6, limit, palette.LABEL_SIZE, ha="right", color=palette.QUIET_TEXT)
    return MARGIN + height + line_height(palette.LABEL_SIZE) + 20


def _draw_row(sheet: Sheet, y: float, image: np.ndarray, steps: list[np.ndarray], limit: float) -> float:
    # Every step is drawn as wide as the image, so that a place of the image is at the same place of each tile.
    factor = SIDE / max(image.shape[:2])
    width, height = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    sheet.photo(MARGIN, y, image, width, height)
    below = y + height + 8
    sheet.text(MARGIN, below, size(image.shape[:2]), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    for column, step in enumerate(steps, start=1):
        x = MARGIN + column * (SIDE + ARROW)
        sheet.tile(x, y, palette.colour_activations(step, limit), width, height)
        sheet.text(x - ARROW / 2, y + height / 2, "→", 16, ha="center", va="center", color=palette.QUIET_TEXT)
        low, high = (number(float(edge)) for edge in (step.min(), step.max()))
        note = f"{size(step.shape)}, from {low} to {high}"
        sheet.text(x, below, note, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    return below + line_height(palette.LABEL_SIZE) + 32
