"""What each unit responds to: the patches that excite it most, and where in their images they lie."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, choose_units, heading, which_units
from convlens.visualization.overlays import Box, boxed_tile, crop_tile, rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten

if TYPE_CHECKING:
    from convlens.interpret import TopPatches

SIDE, GUTTER, LABEL_WIDTH, WIDTH = 150, 16, 130, 1500


def top_patches_figure(
    patches: "TopPatches",
    *,
    caption: Caption = UNKNOWN,
    units: Sequence[int] | None = None,
    max_units: int = 8,
    sort: str = "activation",
) -> Figure:
    """The patches that excite each unit most, strongest first, and under each the image that it was cut from.

    Outside of what the unit sees the image is dimmed; where it sees padding the patch is hatched. Where a unit sees
    whole images they are drawn once. `units` asks for certain ones; `sort` is "activation" or "index".
    """
    count, ranks = patches.rows.shape
    shown = choose_units(count, units=units, max_units=max_units, sort=sort, activation=patches.values[:, 0])

    sheet = Sheet(width=WIDTH)
    images = f"the strongest place in each of {ranks} images" + (f" of {caption.split}" if caption.split else "")
    tiles = "" if _sees_whole_images(patches) else "above: what the unit sees; below: where"
    facts = caption.facts(images, which_units(shown, count, sort), tiles)
    y = heading(sheet, f"What excites the units of {caption.layer or patches.layer}", facts, WIDTH)
    for unit in shown:
        y = _draw_unit(sheet, y, patches, unit, caption)
    if patches.dead[shown].any():
        note = "dead: never above zero on these images, so that no image excites it more than another"
        sheet.text(MARGIN, y, note, palette.LABEL_SIZE, color=palette.DEAD_TEXT)
    return sheet.figure()


def _sees_whole_images(patches: "TopPatches") -> bool:
    """Whether what a unit sees is no less than an image."""
    seen = patches.boxes[..., 2:] - patches.boxes[..., :2]
    return bool((seen >= patches.images.shape[1:3]).all())


def _draw_unit(sheet: Sheet, y: float, patches: "TopPatches", unit: int, caption: Caption) -> float:
    """A row of a unit's patches; returns the y below it."""
    line = line_height(palette.LABEL_SIZE)
    sheet.text(MARGIN, y, f"unit {unit}", palette.HEADING_SIZE, weight="bold")
    if patches.dead[unit]:
        sheet.text(MARGIN, y + 1.5 * line, "dead", palette.LABEL_SIZE, color=palette.DEAD_TEXT)
    below = y
    for rank, row in enumerate(patches.rows[unit]):
        x = MARGIN + LABEL_WIDTH + rank * (SIDE + GUTTER)
        if patches.dead[unit]:
            sheet.empty(x, y, SIDE, SIDE)
            below = max(below, y + SIDE)
            continue
        bottom = _draw_patch(
            sheet, x, y, patches.images[row], tuple(patches.boxes[unit, rank]), _sees_whole_images(patches)
        )
        note = number(float(patches.values[unit, rank]))
        if caption.labels is not None and patches.labels is not None:
            note += f" {caption.class_name(patches.labels[row])}"
        sheet.text(x, bottom, shorten(note, SIDE, palette.LABEL_SIZE), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        below = max(below, bottom + line)
    return below + 26


def _draw_patch(sheet: Sheet, x: float, y: float, image: np.ndarray, box: Box, whole: bool) -> float:
    """What a box holds of an image and, unless that is all of it, where it lies; returns the y below."""
    if whole:
        tile = boxed_tile(image, (0, 0, *image.shape[:2]), SIDE, palette.GUTTER)
        sheet.tile(x, y, tile, tile.shape[1], tile.shape[0])
        return y + tile.shape[0] + 10
    tile = crop_tile(image, box, SIDE)
    sheet.tile(x, y, tile, tile.shape[1], tile.shape[0])
    y += tile.shape[0] + 10
    tile = boxed_tile(image, box, SIDE, rgb(palette.POSITIVE))
    sheet.tile(x, y, tile, tile.shape[1], tile.shape[0])
    return y + tile.shape[0] + 6
