"""What would excite a unit most, as a picture: images made for units, beside the real ones that come nearest."""

import math
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading, size
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten

if TYPE_CHECKING:
    from convlens.interpret import Maximization, StrongestImages

SIDE, SMALL, GAP, COLUMNS = 288, 144, 40, 6


def maximization_figure(
    made: "Maximization", *, real: "StrongestImages | None" = None, caption: Caption = UNKNOWN
) -> Figure:
    """Images made for units, or for classes, each with how strongly it excites its unit.

    `real` are the images of a split that excite each unit most, drawn smaller beside them.
    """
    low, high = made.value_range
    to_pixels = 255 / (high - low)
    shape = made.images.shape[1:3]
    sizes = [tuple(max(1, round(side * of / max(shape))) for of in shape) for side in (SIDE, SMALL)]
    (tall, wide), (short, narrow) = sizes
    line = line_height(palette.LABEL_SIZE)
    columns = min(COLUMNS if real is None else 4, len(made.images))
    step_x = wide + GAP + (narrow + 12 if real is not None else 0)
    step_y = tall + 2 * line + 46

    sheet = Sheet(width=900)
    pixels, measure = f"images of {size(made.images.shape[1:])}", f"numbers: {_measure(made)}"
    title = f"What would excite {caption.layer or made.layer or 'each class'} most"
    facts = caption.facts(pixels, measure, "made by gradient ascent")
    y = heading(sheet, title, facts, max(900, columns * step_x))
    for index in range(columns * math.ceil(len(made.images) / columns)):
        x, top = MARGIN + index % columns * step_x, y + index // columns * step_y
        if index >= len(made.images):
            sheet.empty(x, top, wide, tall)
            continue
        sheet.photo(x, top, (made.images[index] - low) * to_pixels, wide, tall)
        below = top + tall + 8
        unit = int(made.units[index])
        name = shorten(f"unit {unit}" if made.layer else caption.class_name(unit), wide, palette.BODY_SIZE, "bold")
        sheet.text(x, below, name, palette.BODY_SIZE, weight="bold")
        below += line_height(palette.BODY_SIZE)
        sheet.text(x, below, number(float(made.activations[index])), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        if real is None:
            continue
        right = x + wide + 12
        sheet.photo(right, top, (real.images[index] - low) * to_pixels, narrow, short)
        for row, text in enumerate(["best real image", number(float(real.activations[index]))]):
            note = shorten(text, narrow + GAP - 8, palette.LABEL_SIZE)
            sheet.text(right, top + short + 6 + row * line, note, color=palette.QUIET_TEXT)
    return sheet.figure()


def _measure(made: "Maximization") -> str:
    """What the numbers under the images are."""
    if made.layer is None:
        return "logit"
    if made.cell is None:
        return "mean activation before ReLU"
    return f"activation before ReLU in row {made.cell[0]}, column {made.cell[1]}"
