"""What would excite a unit most, as a picture: images made for units, beside the real ones that come nearest."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading, size
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten

SIDE, SMALL, GAP, COLUMNS = 288, 144, 40, 6


def maximization_figure(
    images: np.ndarray,
    activations: np.ndarray,
    names: Sequence[str],
    *,
    measure: str = "mean activation before ReLU",
    best: np.ndarray | None = None,
    best_activations: np.ndarray | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    caption: Caption = UNKNOWN,
) -> Figure:
    """Images made for units, each with its unit's name and how strongly it excites the unit.

    `images` are (units, height, width, channels) in `value_range`, `activations` (units,), in the unit of `measure`.
    `best` and `best_activations`, of the same shapes, are the real images that excite each unit most, drawn smaller.
    """
    low, high = value_range
    to_pixels = 255 / (high - low)
    shape = images.shape[1:3]
    sizes = [tuple(max(1, round(side * of / max(shape))) for of in shape) for side in (SIDE, SMALL)]
    (tall, wide), (short, narrow) = sizes
    line = line_height(palette.LABEL_SIZE)
    columns = min(COLUMNS if best is None else 4, len(images))
    step_x = wide + GAP + (narrow + 12 if best is not None else 0)
    step_y = tall + 2 * line + 46

    sheet = Sheet(width=900)
    facts = caption.facts(f"images of {size(images.shape[1:])}", f"numbers: {measure}", "made by gradient ascent")
    title = f"What would excite {caption.layer or 'each class'} most"
    y = heading(sheet, title, facts, max(900, columns * step_x))
    for place in range(columns * math.ceil(len(images) / columns)):
        x, top = MARGIN + place % columns * step_x, y + place // columns * step_y
        if place >= len(images):
            sheet.empty(x, top, wide, tall)
            continue
        sheet.photo(x, top, (images[place] - low) * to_pixels, wide, tall)
        below = top + tall + 8
        sheet.text(x, below, shorten(names[place], wide, palette.BODY_SIZE, "bold"), palette.BODY_SIZE, weight="bold")
        below += line_height(palette.BODY_SIZE)
        sheet.text(x, below, number(float(activations[place])), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        if best is None:
            continue
        right = x + wide + 12
        sheet.photo(right, top, (best[place] - low) * to_pixels, narrow, short)
        told = ["best real image", number(float(best_activations[place]))]
        for row, text in enumerate(told):
            place_of_text = (right, top + short + 6 + row * line)
            sheet.text(*place_of_text, shorten(text, narrow + GAP - 8, palette.LABEL_SIZE), color=palette.QUIET_TEXT)
    return sheet.figure()
