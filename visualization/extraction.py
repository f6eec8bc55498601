"""Feature extraction in one row: Input, Filter, Detect, Condense."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from visualization import palette
from visualization.caption import UNKNOWN, Caption, heading, size
from visualization.sheet import MARGIN, Sheet, line_height, number
from visualization.tiles import cell_size

SIDE = 400
ARROW = 80


def extraction_figure(
    images: Sequence[np.ndarray],
    filtered: Sequence[np.ndarray],
    detected: Sequence[np.ndarray],
    condensed: Sequence[np.ndarray] | None,
    *,
    caption: Caption = UNKNOWN,
    name: str = "",
    kernel: np.ndarray | None = None,
    facts: Sequence[str] = (),
    scale: str = "layer",
) -> Figure:
    """One unit, or one kernel, at work: a row an image, a column a step, as the Kaggle lesson draws it.

    `images` are (height, width[, channels]) in [0, 255]; the three steps are (height, width) each, one array an
    image, on one norm about zero; with scale "unit" each row has its own and states it. `condensed` is None where no
    pooling follows. `kernel`, drawn above, is (height, width), or (height, width, 3) for RGB.
    """
    steps = [filtered, detected] + ([condensed] if condensed is not None else [])
    names = ["Filter", "Detect (ReLU)", "Condense (pool)"][: len(steps)]
    rows = [[np.asarray(step[row]) for step in steps] for row in range(len(images))]
    shared = palette.largest(np.concatenate([row[0].ravel() for row in rows]))
    limits = [palette.largest(row[0]) if scale == "unit" else shared for row in rows]

    sheet = Sheet(width=MARGIN + 4 * SIDE + 3 * ARROW)
    title = "Feature extraction by " + " of ".join(filter(None, (name, caption.layer)))
    told = f"scale: {'each image' if scale == 'unit' else 'all images'}"
    y = heading(sheet, title, caption.facts(*facts, told), 1500)
    if kernel is not None:
        y = max(y, _draw_kernel(sheet, np.asarray(kernel)))
    y += line_height(palette.HEADING_SIZE)
    for index, (image, row) in enumerate(zip(images, rows, strict=True)):
        y = _draw_row(sheet, y, np.asarray(image), row, names if index == 0 else None, limits[index], scale)
    if scale != "unit":
        sheet.activation_bar(MARGIN + SIDE + ARROW, y, shared, "the same norm at every step")
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


def _draw_row(sheet, y, image, row, names, limit, scale) -> float:
    heights = []
    for column, array in enumerate([image, *row]):
        high, wide = array.shape[:2]
        # As wide as every other step, so that the same place of the image is at the same place of each tile.
        factor = SIDE / max(image.shape[:2])
        width, height = round(image.shape[1] * factor), round(image.shape[0] * factor)
        x = MARGIN + column * (SIDE + ARROW)
        if names:
            text = (["Input", *names])[column]
            sheet.text(x, y - line_height(palette.HEADING_SIZE), text, palette.HEADING_SIZE, weight="bold")
        if column == 0:
            sheet.photo(x, y, image, width, height)
            note = size((high, wide))
        else:
            sheet.tile(x, y, palette.colour_activations(array, limit), width, height)
            low, top = (number(float(edge)) for edge in (array.min(), array.max()))
            note = f"{size((high, wide))}, from {low} to {top}"
            if scale == "unit":
                note += f"; colours ±{number(limit)}"
            sheet.text(x - ARROW / 2, y + height / 2, "→", 16, ha="center", va="center", color=palette.QUIET_TEXT)
        sheet.text(x, y + height + 8, note, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        heights.append(height)
    return y + max(heights) + line_height(palette.LABEL_SIZE) + 40
