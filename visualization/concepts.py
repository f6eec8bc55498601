"""Which unit is a detector of which part: overlaps ranked, and what the best units single out."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.overlays import masked_tile, rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten, text_width

if TYPE_CHECKING:
    from convlens.interpret import ConceptScores, Detectors

SIDE, GUTTER, BAR_WIDTH, BAR_HEIGHT = 256, 18, 180, 16
DETECTOR = 0.04  # Bau et al. 2017


def concepts_figure(scores: "ConceptScores", detectors: "Detectors", *, caption: Caption = UNKNOWN) -> Figure:
    """The overlap of units with labelled parts, and where in some images each of the `detectors` is strong.

    `scores` are of all units of the layer, `detectors` of those to be shown, in their order.
    """
    best, overlaps, names = scores.concept, scores.score, scores.names
    detects = overlaps >= DETECTOR
    line = line_height(palette.LABEL_SIZE)
    name_width = max(text_width(name, palette.LABEL_SIZE) for name in names)
    left = MARGIN + name_width + 16

    sheet = Sheet(width=1300)
    facts = caption.facts(
        caption.images(scores.images),
        f"{int(detects.sum())} of {len(detects)} units overlap a part by {DETECTOR:.0%} or more",
        f"strong: the top {scores.share:.1%} of a unit's activations",
        "in full colour: where the unit is strong; outlined: the part",
    )
    y = heading(sheet, f"Which units of {caption.layer or scores.layer} detect a part", facts, 1500)
    counts = np.bincount(best[detects], minlength=len(names))
    by_part = ", ".join(f"{names[part]} {counts[part]}" for part in np.argsort(-counts, kind="stable") if counts[part])
    if by_part:
        y = sheet.paragraph(MARGIN, y, f"detectors by part: {by_part}", 1500, palette.BODY_SIZE) + 20
    limit = max(float(overlaps[list(detectors.units)].max(initial=0.0)), DETECTOR)
    note = f"overlap: intersection over union, bars up to {limit:.2f}"
    sheet.text(MARGIN, y, note, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    y += line + 18
    columns = (detectors.units, detectors.images, detectors.strong, detectors.masks)
    for unit, images, strong, masks in zip(*columns, strict=True):
        title = f"unit {unit}: {names[best[unit]]}  {overlaps[unit]:.2f}"
        sheet.text(MARGIN, y, title, palette.HEADING_SIZE, weight="bold")
        top = y + line_height(palette.HEADING_SIZE) + 8
        bottom = _draw_overlaps(sheet, left, top, scores, unit, limit)
        x = left + BAR_WIDTH + 100
        for image, shown, outlined in zip(images, strong, masks, strict=True):
            tile = masked_tile(image, shown, outlined, SIDE, rgb(palette.POSITIVE))
            sheet.tile(x, y + 6, tile, tile.shape[1], tile.shape[0])
            bottom = max(bottom, y + 6 + tile.shape[0])
            x += SIDE + GUTTER
        y = bottom + 34
    return sheet.figure()


def _draw_overlaps(sheet: Sheet, x: float, y: float, scores: "ConceptScores", unit: int, limit: float) -> float:
    """Bars, as long as they can be at `limit`, of the parts that a unit covers most; returns the y below them."""
    line = line_height(palette.LABEL_SIZE)
    overlaps = scores.iou[unit]
    for part in np.argsort(-overlaps, kind="stable")[:4]:
        sheet.text(x - 12, y + line / 2, shorten(scores.names[part], 300, palette.LABEL_SIZE), ha="right", va="center")
        bar = np.empty((BAR_HEIGHT, BAR_WIDTH, 3), np.uint8)
        bar[:] = palette.HATCH[0]
        ink = rgb(palette.POSITIVE) if part == scores.concept[unit] else palette.OUTLINE
        bar[:, : round(BAR_WIDTH * float(overlaps[part]) / limit)] = ink
        sheet.paint(x, y + (line - BAR_HEIGHT) / 2, bar)
        overlap = f"{overlaps[part]:.2f}"
        sheet.text(x + BAR_WIDTH + 10, y + line / 2, overlap, va="center", color=palette.QUIET_TEXT)
        y += line + 4
    return y
