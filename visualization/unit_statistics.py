"""Which units are alive, what each cares for, and which are alike: a table with bars, and a matrix."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, choose_units, heading
from convlens.visualization.overlays import rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten
from convlens.visualization.tiles import enlarge

if TYPE_CHECKING:
    from convlens.interpret import UnitStatistics

ROW, BAR_HEIGHT, GAP = 34, 20, 36
UNIT_WIDTH, BAR_WIDTH, NUMBERS_WIDTH, CLASS_WIDTH, TWIN_WIDTH = 60, 150, 200, 190, 250
SORTS = {
    "index": "by index",
    "active": "most often active first",
    "selectivity": "most selective first",
    "maximum": "largest maximum first",
    "twin_correlation": "most duplicated first",
}
BY_CHANCE = 0.01  # a class is named where chance would set one so far apart less often


def unit_statistics_figure(
    statistics: "UnitStatistics",
    *,
    caption: Caption = UNKNOWN,
    units: Sequence[int] | None = None,
    max_units: int = 48,
    sort: str = "index",
) -> Figure:
    """The statistics of a layer's units as a table with bars, beside the matrix of who is like whom.

    A class is named only where chance would rarely set one so far apart: where `preference_p` is below BY_CHANCE. The
    matrix shows the correlation of maps above its diagonal and, where it is known, the cosine of kernels below. `units`
    asks for certain ones; `sort` is one of SORTS. Raises ValueError for another one.
    """
    if sort not in SORTS:
        raise ValueError(f"sort={sort!r}; expected one of {', '.join(SORTS)}")
    table = statistics.table()
    count = len(table)
    shown = choose_units(count, units=units, max_units=count)
    if sort != "index":
        keys = np.nan_to_num(table[sort][shown].astype(float), nan=-np.inf)
        shown = shown[np.argsort(-keys, kind="stable")]
    shown = shown[:max_units]

    sheet = Sheet(width=1500)
    dead = int(table["dead"].sum())
    some = f"{len(shown)} of {count} units" if len(shown) < count else f"all {count} units"
    dead_units = f"{dead} dead" if dead else "none dead"
    facts = caption.facts(caption.images(statistics.images), f"{some}, {SORTS[sort]}", dead_units)
    y = heading(sheet, f"The units of {caption.layer or statistics.layer}", facts, 1900)
    has_classes = bool((table["preferred_class"] >= 0).any())
    strongest = palette.largest(table["maximum"])
    right, bottom = _draw_table(sheet, y, table[shown], strongest, caption if has_classes else None)
    if has_classes:
        bottom = sheet.paragraph(
            MARGIN, bottom + 10, NAMED, right - MARGIN, palette.LABEL_SIZE, color=palette.QUIET_TEXT
        )
    side_bottom = _draw_matrix(sheet, right + 80, y, statistics)
    if dead:
        note = "dead: never above zero on these images; other images may wake the unit"
        sheet.text(MARGIN, max(bottom, side_bottom) + 16, note, palette.LABEL_SIZE, color=palette.DEAD_TEXT)
    return sheet.figure()


NAMED = (
    f"A class is named where chance alone sets one so far apart in less than {BY_CHANCE:.0%} of units: Welch's test of"
    " its images against all others, times the number of classes."
)


def _draw_table(
    sheet: Sheet, y: float, rows: np.ndarray, strongest: float, caption: Caption | None
) -> tuple[float, float]:
    """The rows of units, bars up to the layer's `strongest` activation; returns the right edge and the bottom.

    Classes are left out where there is no caption to name them.
    """
    line = line_height(palette.LABEL_SIZE)
    has_classes = caption is not None
    widths = [UNIT_WIDTH, BAR_WIDTH + 90, BAR_WIDTH + NUMBERS_WIDTH]
    widths += [*([BAR_WIDTH + 70 + CLASS_WIDTH] * has_classes), TWIN_WIDTH]
    heads = ["unit", "share of time active", f"mean and maximum, to {number(strongest)}"]
    heads += ["selectivity, preferred class"] * has_classes + ["most like (maps correlate)"]
    lefts = MARGIN + np.concatenate([[0], np.cumsum(np.array(widths[:-1]) + GAP)])
    for left, head in zip(lefts, heads, strict=True):
        sheet.text(left, y, head, palette.LABEL_SIZE, weight="bold")
    y += line + 14
    for row in rows:
        middle = {"va": "center"}
        ink = palette.DEAD_TEXT if row["dead"] else palette.TEXT
        sheet.text(lefts[0], y + ROW / 2, str(row["unit"]), palette.LABEL_SIZE, color=ink, **middle)
        top = y + (ROW - BAR_HEIGHT) / 2
        _bar(sheet, lefts[1], top, float(row["active"]))
        beside = "dead" if row["dead"] else _percent(float(row["active"]))
        sheet.text(lefts[1] + BAR_WIDTH + 12, y + ROW / 2, beside, palette.LABEL_SIZE, color=ink, **middle)
        _bar(
            sheet, lefts[2], top, max(0.0, float(row["mean"])) / strongest, max(0.0, float(row["maximum"])) / strongest
        )
        if not row["dead"]:
            both = f"{float(row['mean']):.2g} · {number(float(row['maximum']))}".replace("-", "−")
            right = lefts[2] + BAR_WIDTH + 12
            sheet.text(right, y + ROW / 2, both, palette.LABEL_SIZE, color=palette.QUIET_TEXT, **middle)
            if caption is not None:
                _draw_class(sheet, lefts[3], y, row, caption)
            if row["twin"] >= 0:
                strong = row["twin_correlation"] >= 0.95
                twin = f"{row['twin']}  ({float(row['twin_correlation']):.2f})" + (" duplicate" if strong else "")
                style = {"color": palette.DEAD_TEXT if strong else palette.QUIET_TEXT, **middle}
                sheet.text(lefts[-1], y + ROW / 2, twin.replace("-", "−"), palette.LABEL_SIZE, **style)
        y += ROW
    return lefts[-1] + widths[-1], y


def _draw_class(sheet: Sheet, x: float, y: float, row: np.void, caption: Caption) -> None:
    """How selective a unit is and, unless chance may have chosen it, the class that it prefers."""
    _bar(sheet, x, y + (ROW - BAR_HEIGHT) / 2, float(np.nan_to_num(row["selectivity"])))
    by_chance = not row["preference_p"] < BY_CHANCE
    name = "–" if by_chance else shorten(caption.class_name(row["preferred_class"]), CLASS_WIDTH, palette.LABEL_SIZE)
    text = f"{float(row['selectivity']):.2f}  {name}"
    ink = palette.QUIET_TEXT if by_chance else palette.TEXT
    sheet.text(x + BAR_WIDTH + 12, y + ROW / 2, text, palette.LABEL_SIZE, va="center", color=ink)


def _bar(sheet: Sheet, x: float, y: float, share: float, reach: float | None = None) -> None:
    """A bar as long as a share of its track, and a thinner one as long as `reach` behind it."""
    bar = np.empty((BAR_HEIGHT, BAR_WIDTH, 3), np.uint8)
    bar[:] = palette.HATCH[0]
    if reach is not None:
        thin = slice(BAR_HEIGHT // 2 - 3, BAR_HEIGHT // 2 + 3)
        bar[thin, : math.ceil(BAR_WIDTH * min(reach, 1))] = palette.AGREEMENT[90]
    bar[:, : math.ceil(BAR_WIDTH * min(max(share, 0), 1))] = rgb(palette.NEGATIVE)
    sheet.paint(x, y, bar)


def _draw_matrix(sheet: Sheet, x: float, y: float, statistics: "UnitStatistics") -> float:
    """Which unit is like which; returns the y below."""
    line = line_height(palette.LABEL_SIZE)
    cosine, dead = statistics.cosine, statistics.dead
    units = len(dead)
    title = "who is like whom: maps above the diagonal" + (", kernels below" if cosine is not None else " and below")
    sheet.text(x, y, title, palette.LABEL_SIZE, weight="bold")
    y += line + 14
    values = np.array(statistics.correlation, float)
    if cosine is not None:
        lower = np.tril_indices(units, -1)
        values[lower] = cosine[lower]
    cell = int(np.clip(760 // units, 2, 40))
    colours = enlarge(palette.colour_weights(values, 1.0), units * cell, units * cell).copy()
    unknown = enlarge(~np.isfinite(values) | np.eye(units, dtype=bool), units * cell, units * cell)
    colours[unknown] = palette.hatch(units * cell, units * cell)[unknown]
    margin = 56
    sheet.tile(x + margin, y + line, colours, units * cell, units * cell)
    step = max(1, math.ceil(line / cell))
    for unit in range(0, units, step):
        centre = unit * cell + cell / 2
        ink = palette.DEAD_TEXT if dead[unit] else palette.QUIET_TEXT
        sheet.text(
            x + margin - 10, y + line + centre, str(unit), palette.LABEL_SIZE, ha="right", va="center", color=ink
        )
        if cell * step >= 1.6 * line or unit % (2 * step) == 0:
            above = x + margin + centre, y + line - 6
            sheet.text(*above, str(unit), palette.LABEL_SIZE, ha="center", va="bottom", color=ink)
    what = "of maps (correlation)" + (" and of kernels (cosine)" if cosine is not None else "")
    label = f"likeness {what}: 1 alike, 0 nothing in common, −1 opposite"
    return sheet.colour_bar(x + margin, y + line + units * cell + 24, 1.0, label)


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
