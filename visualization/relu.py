"""ReLU, and what it removes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.sheet import MARGIN, Sheet, number

WIDTH, GRAPH, HISTOGRAM = 1160, 420, 300


def relu_figure(
    pre_activations: Sequence[np.ndarray],
    *,
    units: Sequence[int],
    reasons: Sequence[str] | None = None,
    caption: Caption = UNKNOWN,
    images: int = 1,
    limit: float | None = None,
) -> Figure:
    """The graph of ReLU, and under it, on the same axis, the histogram of each unit's pre-activations.

    `pre_activations` holds an array of any shape for each of `units`: its values at filter, over all places of
    `images` images; `reasons` say why each of these units is shown. The part left of zero is what ReLU removes; its
    share of all values is written beside it. The axis reaches to `limit`, by default to the largest magnitude; values
    beyond it, and those that are not finite, are left out of the graph, and counted.
    """
    flat = [np.asarray(values, np.float64).ravel() for values in pre_activations]
    finite = [values[np.isfinite(values)] for values in flat]
    limit = 1.05 * (limit or palette.largest(np.concatenate(finite)))
    sheet = Sheet(width=WIDTH + 2 * MARGIN)
    places = f"{len(flat[0]):,} places of {images} image{'s' if images != 1 else ''}"
    chosen = "the strongest, the middle and the weakest unit alive" if reasons and len(set(reasons)) == 3 else ""
    facts = caption.facts(chosen, places, "scale: the same for these units")
    y = heading(sheet, f"ReLU on {caption.layer or 'a convolution'}", facts, WIDTH)

    left, wide = MARGIN + 110, WIDTH - 110
    axes = sheet.axes(left, y + 30, wide, GRAPH)
    axes.plot([-limit, 0], [0, 0], color=palette.NEGATIVE, linewidth=2)
    axes.plot([0, limit], [0, limit], color=palette.POSITIVE, linewidth=2)
    axes.set_ylim(-0.06 * limit, limit)
    axes.set_ylabel("detect = max(0, filter)", fontsize=palette.BODY_SIZE)
    _dress(axes, limit)
    y += 30 + GRAPH + 70

    reasons = reasons or [""] * len(flat)
    for unit, values, all_values, reason in zip(units, finite, flat, reasons, strict=True):
        axes = sheet.axes(left, y, wide, HISTOGRAM)
        counts, edges = np.histogram(values, bins=80, range=(-limit, limit))  # an even count: an edge lies at zero
        inks = [palette.NEGATIVE if edge < -1e-12 * limit else palette.POSITIVE for edge in edges[:-1]]
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=inks)
        axes.set_ylabel(f"unit {unit}: places", fontsize=palette.BODY_SIZE)
        axes.set_ylim(0, max(1, counts.max()) * 1.5)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        _dress(axes, limit)
        removed = np.mean(values <= 0) if values.size else 0.0
        style = {"transform": axes.transAxes, "fontsize": palette.BODY_SIZE, "va": "top", "parse_math": False}
        told = f"ReLU removes {removed:.1%}" + (" (dead here)" if removed == 1 else "")
        axes.text(0.02, 0.95, told, color=palette.NEGATIVE, ha="left", **style)
        if reason:
            axes.text(0.02, 0.8, f"unit {unit}: {reason}", color=palette.QUIET_TEXT, ha="left", **style)
        axes.text(0.98, 0.95, f"keeps {1 - removed:.1%}", color=palette.POSITIVE, ha="right", **style)
        missing = len(all_values) - len(values)
        outside = int((np.abs(values) > limit).sum())
        notes = [f"{missing:,} values are not finite"] * bool(missing)
        notes += [f"{outside:,} at the border are beyond, to ±{number(palette.largest(values))}"] * bool(outside)
        for line, note in enumerate(notes):
            axes.text(0.98, 0.8 - 0.15 * line, note, color=palette.DEAD_TEXT, ha="right", **style)
        y += HISTOGRAM + 60
    axes.set_xlabel("filter: the pre-activation, convolution plus bias", fontsize=palette.BODY_SIZE)
    sheet.text(left, y + 30, "", palette.BODY_SIZE)
    return sheet.figure()


def _dress(axes, limit: float) -> None:
    axes.set_xlim(-limit, limit)
    axes.axvline(0, color=palette.LINE, linewidth=0.6)
    axes.grid(color=palette.GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
