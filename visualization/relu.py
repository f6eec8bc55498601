"""ReLU, and what it removes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.display import Display, reasons, selection_text, units_alive
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number

if TYPE_CHECKING:
    from convlens.interpret import Observation

UNITS = 3
USUAL = Display()
WIDTH, GRAPH, HISTOGRAM = 1160, 420, 300


def relu_figure(
    observation: "Observation", layer: str, *, caption: Caption = UNKNOWN, display: Display = USUAL
) -> Figure:
    """The graph of ReLU, and under it, on the same axis, the histogram of some units' pre-activations, and why these.

    Shown are the most, the middle and the least active unit that is alive, or those that were asked for. The part left
    of zero is what ReLU removes; its share of all values is written beside it. The axis reaches to the largest
    magnitude in cells that no padding reaches; values beyond it, and those that are not finite, are left out of the
    graph, and counted.
    """
    observed, images = observation.layer(layer), len(observation.images)
    caption, units = caption.of_layer(observed), units_alive(observed, display, UNITS)
    why = reasons(observed, display, units)
    filtered = np.asarray(observed.maps["filter"])[..., units]
    limit = palette.largest_inside(filtered, observed.inside.get("filter"))
    flat = [np.asarray(filtered[..., index], np.float64).ravel() for index in range(len(units))]
    finite = [values[np.isfinite(values)] for values in flat]
    limit = 1.05 * limit
    sheet = Sheet(width=WIDTH + 2 * MARGIN)
    values_seen = f"{len(flat[0]):,} places of {images} image{'s' if images != 1 else ''}"
    few = display.units is None and len(units) == UNITS
    which = f"the most active, the middle and the least active unit {selection_text(observed, display, UNITS)}".rstrip()
    facts = caption.facts(which if few else "", values_seen, "scale: the same for these units")
    y = heading(sheet, f"ReLU on {caption.layer or 'a convolution'}", facts, WIDTH)

    left, wide = MARGIN + 110, WIDTH - 110
    axes = sheet.axes(left, y + 30, wide, GRAPH)
    axes.plot([-limit, 0], [0, 0], color=palette.NEGATIVE, linewidth=2)
    axes.plot([0, limit], [0, limit], color=palette.POSITIVE, linewidth=2)
    axes.set_ylim(-0.06 * limit, limit)
    axes.set_ylabel("detect = max(0, filter)", fontsize=palette.BODY_SIZE)
    _dress(axes, limit)
    y += 30 + GRAPH + 70

    for unit, values, all_values, reason in zip(units, finite, flat, why, strict=True):
        axes = sheet.axes(left, y, wide, HISTOGRAM)
        counts, edges = np.histogram(values, bins=80, range=(-limit, limit))  # an even count: an edge lies at zero
        inks = [palette.NEGATIVE if edge < -1e-12 * limit else palette.POSITIVE for edge in edges[:-1]]
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=inks)
        axes.set_ylabel(f"unit {unit}: places", fontsize=palette.BODY_SIZE)
        axes.set_ylim(0, max(1, counts.max()) * 1.5)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        _dress(axes, limit)
        removed = np.mean(values <= 0) if values.size else 0.0
        style: dict[str, Any] = {
            "transform": axes.transAxes,
            "fontsize": palette.BODY_SIZE,
            "va": "top",
            "parse_math": False,
        }
        share = f"ReLU removes {removed:.1%}" + (" (dead here)" if removed == 1 else "")
        axes.text(0.02, 0.95, share, color=palette.NEGATIVE, ha="left", **style)
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
    sheet.grow_to(y + 30 + line_height(palette.BODY_SIZE))
    return sheet.figure()


def _dress(axes: Axes, limit: float) -> None:
    axes.set_xlim(-limit, limit)
    axes.axvline(0, color=palette.LINE, linewidth=0.6)
    axes.grid(color=palette.GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
