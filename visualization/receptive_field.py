"""How much of the image the units of each layer see, and which pixels count."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading, size
from convlens.visualization.overlays import boxed_tile, fitted, rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten
from convlens.visualization.tiles import enlarge

if TYPE_CHECKING:
    from convlens.interpret import UnitView, UnitViews

SIDE, GAP, COLUMNS = 300, 44, 5


def receptive_field_figure(image: np.ndarray, views_of_units: "UnitViews", *, caption: Caption = UNKNOWN) -> Figure:
    """The exact receptive field of a unit of each layer drawn on an image, and the effective one under it.

    `image` is (height, width, channels) in [0, 255]. Effective fields have a colour scale each, from zero to the
    largest.
    """
    views = views_of_units.views
    height, width = fitted(image.shape[:2], SIDE)
    columns = min(COLUMNS, len(views))
    wide = columns * (SIDE + GAP)
    line = line_height(palette.LABEL_SIZE)
    ink = rgb(palette.POSITIVE)
    has_effective = any(view.effective is not None for view in views)

    sheet = Sheet(width=max(wide, 1000))
    measured_on = f"mean over units and {views_of_units.images} image{'s' * (views_of_units.images > 1)}"
    effective = ["below: how far each pixel moves it", measured_on, "scale: unit, colours by square root"]
    facts = caption.facts(
        f"image {size(image.shape[:2])}",
        "outlined: the pixels that can reach the unit, exactly",
        *(effective if has_effective else []),
    )
    y = heading(sheet, "What a unit of each layer sees", facts, max(wide, 1000))
    step = 3 * line + 10 + height + ((height + 12 + 2 * line) if has_effective else 0) + 36
    for index in range(columns * math.ceil(len(views) / columns)):
        x, top = MARGIN + index % columns * (SIDE + GAP), y + index // columns * step
        if index >= len(views):
            sheet.empty(x, top + 3 * line + 10, width, height)
            continue
        view = views[index]
        tall, across = view.box[2] - view.box[0], view.box[3] - view.box[1]
        sheet.text(x, top, shorten(view.layer, SIDE, palette.LABEL_SIZE, "bold"), palette.LABEL_SIZE, weight="bold")
        sheet.text(x, top + line, f"sees {tall}×{across} px", palette.LABEL_SIZE)
        where = f"row {view.cell[0]}, column {view.cell[1]} of {size(view.field.map_size)}"
        sheet.text(x, top + 2 * line, where, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        top += 3 * line + 10
        sheet.tile(x, top, boxed_tile(image, view.box, SIDE, ink), width, height)
        _draw_effective(sheet, x, top + height + 12, view, (height, width))
    return sheet.figure()


def _draw_effective(sheet: Sheet, x: float, y: float, view: "UnitView", pixels: tuple[int, int]) -> None:
    """How much each pixel moves a unit, in a tile of (height, width) `pixels`, with the exact field outlined.

    Nothing where that was not measured.
    """
    if view.effective is None:
        return
    height, width = pixels
    limit = palette.largest(view.effective)
    heat = palette.colour_activations(view.effective, limit)
    tile = enlarge(heat, height, width).copy()
    box = np.array(view.box, float)
    box[::2] *= height / view.effective.shape[0]
    box[1::2] *= width / view.effective.shape[1]
    top, left, bottom, right = np.rint(box).astype(int)
    rows, columns = np.ogrid[:height, :width]
    outer = (rows >= top - 2) & (rows < bottom + 2) & (columns >= left - 2) & (columns < right + 2)
    inner = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    tile[outer & ~inner] = rgb(palette.POSITIVE)
    sheet.tile(x, y, tile, width, height)
    line = line_height(palette.LABEL_SIZE)
    if not view.effective.any():
        sheet.text(x, y + height + 6, "nothing moves it: dead here", palette.LABEL_SIZE)
        return
    matters = f"matters: about {view.effective_size:.0f}×{view.effective_size:.0f} px"
    sheet.text(x, y + height + 6, matters, palette.LABEL_SIZE)
    sheet.text(x, y + height + 6 + line, f"0 to {number(limit)}", palette.LABEL_SIZE, color=palette.QUIET_TEXT)
