"""How much of the image the units of each layer see, and which pixels count."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading, size
from convlens.visualization.overlays import Box, boxed_tile, fitted, rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten
from convlens.visualization.tiles import enlarge

SIDE, GAP, COLUMNS = 300, 44, 5


@dataclass(frozen=True)
class Sight:
    """What one unit of a layer sees: the box of pixels that can reach it, and how much each pixel does move it."""

    layer: str
    box: Box  # may reach into the padding
    map_size: tuple[int, int]
    place: tuple[int, int]  # row, column of the unit in its map
    effective: np.ndarray | None = None  # (height, width), from zero
    effective_size: float | None = None  # side, in pixels, of a square as large as the pixels that matter


def receptive_field_figure(
    image: np.ndarray, sights: Sequence[Sight], *, caption: Caption = UNKNOWN, note: str = ""
) -> Figure:
    """The exact receptive field of a unit of each layer drawn on an image, and the effective one under it.

    `image` is (height, width, channels) in [0, 255]. Effective fields have a norm each, from zero to the largest.
    `note` says what they were measured on.
    """
    height, width = fitted(*image.shape[:2], SIDE)
    columns = min(COLUMNS, len(sights))
    wide = columns * (SIDE + GAP)
    line = line_height(palette.LABEL_SIZE)
    ink = rgb(palette.POSITIVE)
    has_effective = any(sight.effective is not None for sight in sights)

    sheet = Sheet(width=max(wide, 1000))
    facts = caption.facts(
        f"image {size(image.shape[:2])}",
        "outlined: the pixels that can reach the unit, exactly",
        *(["below: how far each pixel moves it", note, "scale: unit, colours by square root"] if has_effective else []),
    )
    y = heading(sheet, "What a unit of each layer sees", facts, max(wide, 1000))
    step = 3 * line + 10 + height + ((height + 12 + 2 * line) if has_effective else 0) + 36
    for place in range(columns * math.ceil(len(sights) / columns)):
        x, top = MARGIN + place % columns * (SIDE + GAP), y + place // columns * step
        if place >= len(sights):
            sheet.empty(x, top + 3 * line + 10, width, height)
            continue
        sight = sights[place]
        tall, across = sight.box[2] - sight.box[0], sight.box[3] - sight.box[1]
        sheet.text(x, top, shorten(sight.layer, SIDE, palette.LABEL_SIZE, "bold"), palette.LABEL_SIZE, weight="bold")
        told = f"sees {tall}×{across} px"
        sheet.text(x, top + line, told, palette.LABEL_SIZE)
        where = f"row {sight.place[0]}, column {sight.place[1]} of {size(sight.map_size)}"
        sheet.text(x, top + 2 * line, where, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        top += 3 * line + 10
        sheet.tile(x, top, boxed_tile(image, sight.box, SIDE, ink), width, height)
        if sight.effective is not None:
            _draw_effective(sheet, x, top + height + 12, sight, height, width, ink)
    return sheet.figure()


def _draw_effective(sheet, x, y, sight, height, width, ink) -> None:
    limit = palette.largest(sight.effective)
    heat = palette.colour_activations(sight.effective, limit)
    tile = enlarge(heat, height, width).copy()
    box = np.array(sight.box, float)
    box[::2] *= height / sight.effective.shape[0]
    box[1::2] *= width / sight.effective.shape[1]
    top, left, bottom, right = np.rint(box).astype(int)
    rows, columns = np.ogrid[:height, :width]
    outer = (rows >= top - 2) & (rows < bottom + 2) & (columns >= left - 2) & (columns < right + 2)
    inner = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    tile[outer & ~inner] = ink
    sheet.tile(x, y, tile, width, height)
    line = line_height(palette.LABEL_SIZE)
    told = "nothing moves it: dead here" if not sight.effective.any() else f"0 to {number(limit)}"
    if sight.effective_size is not None and sight.effective.any():
        told = f"matters: about {sight.effective_size:.0f}×{sight.effective_size:.0f} px"
        sheet.text(x, y + height + 6 + line, f"0 to {number(limit)}", palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    sheet.text(x, y + height + 6, told, palette.LABEL_SIZE)
