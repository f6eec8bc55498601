"""Which unit is a detector of which part: overlaps ranked, and what the best units single out."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.overlays import masked_tile, rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten, text_width

SIDE, GUTTER, BAR_WIDTH, BAR_HEIGHT = 256, 18, 180, 16
DETECTOR = 0.04  # Bau et al. 2017


def concepts_figure(
    iou: np.ndarray,
    names: Sequence[str],
    units: Sequence[int],
    images: Sequence[np.ndarray],
    strong: Sequence[np.ndarray],
    parts: Sequence[np.ndarray],
    *,
    caption: Caption = UNKNOWN,
    share: float | None = None,
    split: str = "",
) -> Figure:
    """The overlap of units with labelled parts, and where in some images each of `units` is strong.

    `iou` is (all units, parts), `names` the parts'. For each of `units`, in the order to be shown: `images` (n, height,
    width, channels) in [0, 255], `strong` booleans (n, height, width) where the unit is strong, and `parts` booleans
    (n, height, width) of the part that it covers best. `share` is that of a unit's activations that count as strong.
    """
    iou = np.asarray(iou)
    best, scores = iou.argmax(axis=1), iou.max(axis=1)
    detectors = scores >= DETECTOR
    line = line_height(palette.LABEL_SIZE)
    name_width = max(text_width(name, palette.LABEL_SIZE) for name in names)
    left = MARGIN + name_width + 16

    sheet = Sheet(width=1300)
    threshold = f"strong: the top {share:.1%} of a unit's activations" if share else ""
    told = f"{int(detectors.sum())} of {len(iou)} units overlap a part by {DETECTOR:.0%} or more"
    facts = caption.facts(split, told, threshold, "in full colour: where the unit is strong; outlined: the part")
    y = heading(sheet, f"Which units of {caption.layer or 'a layer'} detect a part", facts, 1500)
    counts = np.bincount(best[detectors], minlength=len(names))
    told = ", ".join(f"{names[part]} {counts[part]}" for part in np.argsort(-counts, kind="stable") if counts[part])
    if told:
        y = sheet.paragraph(MARGIN, y, f"detectors by part: {told}", 1500, palette.BODY_SIZE) + 20
    limit = max(float(scores[list(units)].max(initial=0.0)), DETECTOR)
    note = f"overlap: intersection over union, bars up to {limit:.2f}"
    sheet.text(MARGIN, y, note, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    y += line + 18
    for unit, one_images, one_strong, one_parts in zip(units, images, strong, parts, strict=True):
        title = f"unit {unit}: {names[best[unit]]}  {scores[unit]:.2f}"
        sheet.text(MARGIN, y, title, palette.HEADING_SIZE, weight="bold")
        top = y + line_height(palette.HEADING_SIZE) + 8
        bottom = _draw_overlaps(sheet, left, top, iou[unit], names, limit, int(best[unit]))
        x = left + BAR_WIDTH + 100
        for image, shown, outlined in zip(one_images, one_strong, one_parts, strict=True):
            tile = masked_tile(image, shown, outlined, SIDE, rgb(palette.POSITIVE))
            sheet.tile(x, y + 6, tile, tile.shape[1], tile.shape[0])
            bottom = max(bottom, y + 6 + tile.shape[0])
            x += SIDE + GUTTER
        y = bottom + 34
    return sheet.figure()


def _draw_overlaps(sheet, x, y, overlaps, names, limit, best) -> float:
    """Bars of the parts that a unit covers most; returns the y below them."""
    line = line_height(palette.LABEL_SIZE)
    for part in np.argsort(-overlaps, kind="stable")[:4]:
        sheet.text(x - 12, y + line / 2, shorten(names[part], 300, palette.LABEL_SIZE), ha="right", va="center")
        bar = np.empty((BAR_HEIGHT, BAR_WIDTH, 3), np.uint8)
        bar[:] = palette.HATCH[0]
        ink = rgb(palette.POSITIVE) if part == best else palette.OUTLINE
        bar[:, : round(BAR_WIDTH * float(overlaps[part]) / limit)] = ink
        sheet.paint(x, y + (line - BAR_HEIGHT) / 2, bar)
        told = f"{overlaps[part]:.2f}"
        sheet.text(x + BAR_WIDTH + 10, y + line / 2, told, va="center", color=palette.QUIET_TEXT)
        y += line + 4
    return y
