"""What each unit responds to: the patches that excite it most, and where in their images they lie."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, choose_units, heading, told
from convlens.visualization.overlays import boxed_tile, crop_tile, rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten

SIDE, GUTTER, LABEL_WIDTH, WIDTH = 150, 16, 130, 1500


def top_patches_figure(
    images: np.ndarray,
    rows: np.ndarray,
    boxes: np.ndarray,
    values: np.ndarray,
    *,
    caption: Caption = UNKNOWN,
    labels: Sequence[str] | None = None,
    split: str = "",
    units: Sequence[int] | None = None,
    max_units: int = 8,
    sort: str = "index",
    dead: np.ndarray | None = None,
) -> Figure:
    """The patches that excite each unit most, strongest first, and under each the image that it was cut from.

    `images` (found, height, width, channels) in [0, 255]; for each unit and rank `rows` (units, count) names an image,
    `boxes` (units, count, 4) what the unit sees of it (top, left, bottom, right) and `values` (units, count) how
    strongly it responds. Outside the box the image is dimmed; where the box reaches into padding the patch is hatched.
    Where a unit sees whole images they are drawn once. `labels` (found,) are class names; `dead` (units,) marks units.
    """
    count, ranks = rows.shape
    shown = choose_units(count, units=units, max_units=max_units, sort=sort, activation=values[:, 0])
    dead = values[:, 0] <= 0 if dead is None else np.asarray(dead)
    height, width = images.shape[1:3]
    seen = boxes[..., 2:] - boxes[..., :2]
    whole = bool((seen[..., 0] >= height).all() and (seen[..., 1] >= width).all())

    sheet = Sheet(width=WIDTH)
    of_split = f"the strongest place in each of {ranks} images" + (f" of {split}" if split else "")
    facts = caption.facts(of_split, told(shown, count, sort), "above: what the unit sees; below: where" * (not whole))
    y = heading(sheet, f"What excites the units of {caption.layer or 'a layer'}", facts, WIDTH)
    for unit in shown:
        y = _draw_unit(sheet, y, unit, images, rows[unit], boxes[unit], values[unit], whole, labels, bool(dead[unit]))
    if dead[shown].any():
        note = "dead: never above zero on these images, so that no image excites it more than another"
        sheet.text(MARGIN, y, note, palette.LABEL_SIZE, color=palette.DEAD_TEXT)
    return sheet.figure()


def _draw_unit(sheet, y, unit, images, rows, boxes, values, whole, labels, dead) -> float:
    line = line_height(palette.LABEL_SIZE)
    sheet.text(MARGIN, y, f"unit {unit}", palette.HEADING_SIZE, weight="bold")
    if dead:
        sheet.text(MARGIN, y + 1.5 * line, "dead", palette.LABEL_SIZE, color=palette.DEAD_TEXT)
    below = y
    for rank, (row, box, value) in enumerate(zip(rows, boxes, values, strict=True)):
        x = MARGIN + LABEL_WIDTH + rank * (SIDE + GUTTER)
        image = images[row]
        if dead:
            sheet.empty(x, y, SIDE, SIDE)
            below = max(below, y + SIDE)
            continue
        tile = (
            boxed_tile(image, (0, 0, *image.shape[:2]), SIDE, palette.GUTTER) if whole else crop_tile(image, box, SIDE)
        )
        sheet.tile(x, y, tile, tile.shape[1], tile.shape[0])
        bottom = y + tile.shape[0] + 10
        if not whole:
            tile = boxed_tile(image, box, SIDE, rgb(palette.POSITIVE))
            sheet.tile(x, bottom, tile, tile.shape[1], tile.shape[0])
            bottom += tile.shape[0] + 6
        note = number(float(value))
        if labels is not None:
            note += f" {labels[row]}"
        sheet.text(x, bottom, shorten(note, SIDE, palette.LABEL_SIZE), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        below = max(below, bottom + line)
    return below + 26
