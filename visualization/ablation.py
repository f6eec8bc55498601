"""What a network loses with a unit, and with a growing share of a layer silenced: set to zero."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.overlays import rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten, text_width

if TYPE_CHECKING:
    from convlens.interpret import Ablation, ShareAblation

ROW, BAR_HEIGHT, HALF = 34, 20, 150
CURVE_WIDTH, CURVE_HEIGHT = 760, 520
CHANGES = "points: percentage points of accuracy; loss: cross-entropy"


def ablation_figure(ablation: "Ablation", *, caption: Caption = UNKNOWN, max_units: int = 24) -> Figure:
    """The units of a layer, the most needed first, and what silencing each changes, overall and in each true class.

    Where the ablation holds what is left when units are silenced together, a graph shows it: in the order of need, and
    beside it in random order.
    """
    changes = ablation.arrays()
    units, accuracy_change, class_change = changes["units"], changes["accuracy_change"], changes["class_change"]
    intact = float(ablation.intact.accuracy[0])
    classes = class_change.shape[1]
    line = line_height(palette.LABEL_SIZE)
    sheet = Sheet(width=1300)
    some = f"the {max_units} most needed of {len(units)} units" if len(units) > max_units else f"all {len(units)} units"
    facts = caption.facts(
        caption.images(ablation.images), f"accuracy intact {intact:.1%}", some, CHANGES, "scale: layer"
    )
    y = heading(sheet, f"What the network loses without a unit of {caption.layer or ablation.layer}", facts, 1700)

    names = [shorten(label, 260, palette.LABEL_SIZE) for label in caption.class_names(classes)]
    head = max(line, *(text_width(name, palette.LABEL_SIZE) for name in names)) + 16
    bars, losses, cells = MARGIN + 80, MARGIN + 80 + 2 * HALF + 150, MARGIN + 80 + 2 * HALF + 300
    cell = int(np.clip(900 // max(classes, 1), 12, 72))
    limit = palette.largest(accuracy_change)
    class_limit = palette.largest(class_change)
    for x, text in ((MARGIN, "unit"), (bars, f"accuracy, bars to {100 * limit:.1f} points"), (losses, "loss")):
        sheet.text(x, y + head, text, palette.LABEL_SIZE, weight="bold", va="bottom")
    step = 1 if cell >= line else int(np.ceil(line / cell))
    for index, name in enumerate(names):
        if index % step == 0:
            sheet.text(
                cells + (index + 0.5) * cell, y + head, name, palette.LABEL_SIZE, ha="center", va="bottom", rotation=90
            )
    y += head + 10
    top = y
    for row in range(min(len(units), max_units)):
        sheet.text(MARGIN, y + ROW / 2, str(units[row]), palette.LABEL_SIZE, va="center")
        _draw_change(sheet, bars, y, float(accuracy_change[row]), limit)
        loss = _signed(float(changes["loss_change"][row]), 3)
        sheet.text(losses, y + ROW / 2, loss, palette.LABEL_SIZE, va="center", color=palette.QUIET_TEXT)
        _draw_classes(sheet, cells, y, class_change[row], class_limit, cell)
        y += ROW
    y = sheet.colour_bar(
        cells, y + 24, class_limit, "change of accuracy in each true class, in percentage points", spell=_in_points
    )
    if ablation.together is not None:
        beside = cells + classes * cell
        x, at = (beside + 200, top + 30) if beside < 1400 else (MARGIN + 110, y + 40)
        _draw_curves(sheet, x, at, ablation.together, intact)
    return sheet.figure()


def _draw_change(sheet: Sheet, x: float, y: float, change: float, limit: float) -> None:
    bar = np.empty((BAR_HEIGHT, 2 * HALF, 3), np.uint8)
    bar[:] = palette.HATCH[0]
    length = round(HALF * abs(change) / limit)
    if change < 0:
        bar[:, HALF - length : HALF] = rgb(palette.NEGATIVE)
    else:
        bar[:, HALF : HALF + length] = rgb(palette.POSITIVE)
    bar[:, HALF - 1 : HALF + 1] = palette.OUTLINE
    sheet.paint(x, y + (ROW - BAR_HEIGHT) / 2, bar)
    sheet.text(x + 2 * HALF + 12, y + ROW / 2, _points(change), palette.LABEL_SIZE, va="center")


def _draw_classes(sheet: Sheet, x: float, y: float, changes: np.ndarray, limit: float, cell: int) -> None:
    known = np.isfinite(changes)
    colours = palette.colour_weights(np.where(known, changes, 0), limit)
    for index, colour in enumerate(colours):
        tile = colour[None, None] if known[index] else palette.hatch(ROW - 6, cell - 4)
        sheet.tile(x + index * cell + 2, y + 3, tile, cell - 4, ROW - 6)


def _draw_curves(sheet: Sheet, x: float, y: float, together: "ShareAblation", intact: float) -> None:
    axes = sheet.axes(x, y, CURVE_WIDTH, CURVE_HEIGHT)
    counts, random = together.counts, together.random_accuracy
    if random.size:
        low, middle, high = random.min(axis=0), random.mean(axis=0), random.max(axis=0)
        axes.fill_between(counts, low, high, color=palette.GRID, linewidth=0)
        label = f"drawn at random: mean and range of {len(random)}"
        axes.plot(counts, middle, color=palette.QUIET_TEXT, linewidth=1.5, marker="o", markersize=3, label=label)
    left = together.ordered.accuracy
    axes.plot(counts, left, color=palette.NEGATIVE, linewidth=2, marker="o", markersize=3, label="most needed first")
    axes.axhline(intact, color=palette.LINE, linewidth=0.6, linestyle=":")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("units silenced together", fontsize=palette.BODY_SIZE)
    axes.set_ylabel("accuracy left (dotted: intact)", fontsize=palette.BODY_SIZE)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(color=palette.GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=palette.LABEL_SIZE, frameon=False, loc="best")
    sheet.grow_to(y + CURVE_HEIGHT + 90 + line_height(palette.BODY_SIZE))


def _points(change: float) -> str:
    return f"{_in_points(change)} points"


def _in_points(change: float) -> str:
    """A change in percentage points, without their name."""
    return _signed(100 * change, 1)


def _signed(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}".replace("-", "−") if rounded else "0"
