"""Which units are alive, what each cares for, and which are alike: a table with bars, and a matrix."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, choose_units, heading
from convlens.visualization.overlays import rgb
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten
from convlens.visualization.tiles import enlarge

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
    table: np.ndarray,
    correlation: np.ndarray,
    cosine: np.ndarray | None = None,
    *,
    caption: Caption = UNKNOWN,
    images: int | None = None,
    split: str = "",
    labels: Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    max_units: int = 48,
    sort: str = "index",
) -> Figure:
    """The statistics of a layer's units as a table with bars, beside the matrix of who is like whom.

    `table` is a structured array, a row a unit, with the fields active, mean, maximum, selectivity, preferred_class,
    dead, twin, twin_correlation and, if known, preference_p: a class is named only where that is below BY_CHANCE.
    `correlation` (units, units) is of maps, `cosine` of kernels: the
    matrix shows the former above its diagonal, the latter below. `labels` are class names, `images` says on how many
    the table is based. `sort` is one of SORTS.
    """
    if sort not in SORTS:
        raise ValueError(f"sort={sort!r}; expected one of {', '.join(SORTS)}")
    count = len(table)
    shown = choose_units(count, units=units, max_units=count)
    if sort != "index":
        keys = np.nan_to_num(table[sort][shown].astype(float), nan=-np.inf)
        shown = shown[np.argsort(-keys, kind="stable")]
    shown = shown[:max_units]

    sheet = Sheet(width=1500)
    dead = int(table["dead"].sum())
    on = f"{images:,} images" + (f" of {split}" if split else "") if images else ""
    some = f"{len(shown)} of {count} units" if len(shown) < count else f"all {count} units"
    facts = caption.facts(on, f"{some}, {SORTS[sort]}", f"{dead} dead" if dead else "none dead")
    y = heading(sheet, f"The units of {caption.layer or 'a layer'}", facts, 1900)
    has_classes = bool((table["preferred_class"] >= 0).any())
    right, bottom = _draw_table(sheet, y, table, shown, labels, has_classes)
    if has_classes and "preference_p" in table.dtype.names:
        bottom = sheet.paragraph(
            MARGIN, bottom + 10, NAMED, right - MARGIN, palette.LABEL_SIZE, color=palette.QUIET_TEXT
        )
    side_bottom = _draw_matrix(sheet, right + 80, y, correlation, cosine, table["dead"])
    if dead:
        note = "dead: never above zero on these images; other images may wake the unit"
        place = max(bottom, side_bottom) + 16
        sheet.text(MARGIN, place, note, palette.LABEL_SIZE, color=palette.DEAD_TEXT)
    return sheet.figure()


NAMED = (
    f"A class is named where chance alone sets one so far apart in less than {BY_CHANCE:.0%} of units: Welch's test of"
    " its images against all others, times the number of classes."
)


def _draw_table(sheet, y, table, shown, labels, has_classes) -> tuple[float, float]:
    """Returns the right edge and the bottom."""
    line = line_height(palette.LABEL_SIZE)
    strongest = palette.largest(table["maximum"])
    widths = [UNIT_WIDTH, BAR_WIDTH + 90, BAR_WIDTH + NUMBERS_WIDTH]
    widths += [*([BAR_WIDTH + 70 + CLASS_WIDTH] * has_classes), TWIN_WIDTH]
    heads = ["unit", "share of time active", f"mean and maximum, to {number(strongest)}"]
    heads += ["selectivity, preferred class"] * has_classes + ["most like (maps correlate)"]
    lefts = MARGIN + np.concatenate([[0], np.cumsum(np.array(widths[:-1]) + GAP)])
    for left, head in zip(lefts, heads, strict=True):
        sheet.text(left, y, head, palette.LABEL_SIZE, weight="bold")
    y += line + 14
    for unit in shown:
        row = table[unit]
        middle = {"va": "center"}
        ink = palette.DEAD_TEXT if row["dead"] else palette.TEXT
        sheet.text(lefts[0], y + ROW / 2, str(unit), palette.LABEL_SIZE, color=ink, **middle)
        top = y + (ROW - BAR_HEIGHT) / 2
        _bar(sheet, lefts[1], top, float(row["active"]))
        beside = "dead" if row["dead"] else _percent(float(row["active"]))
        sheet.text(lefts[1] + BAR_WIDTH + 12, y + ROW / 2, beside, palette.LABEL_SIZE, color=ink, **middle)
        _bar(
            sheet, lefts[2], top, max(0.0, float(row["mean"])) / strongest, max(0.0, float(row["maximum"])) / strongest
        )
        if not row["dead"]:
            both = f"{float(row['mean']):.2g} · {number(float(row['maximum']))}".replace("-", "−")
            place = lefts[2] + BAR_WIDTH + 12, y + ROW / 2
            sheet.text(*place, both, palette.LABEL_SIZE, color=palette.QUIET_TEXT, **middle)
            if has_classes:
                _draw_class(sheet, lefts[3], y, top, row, labels)
            if row["twin"] >= 0:
                strong = row["twin_correlation"] >= 0.95
                told = f"{row['twin']}  ({float(row['twin_correlation']):.2f})" + (" duplicate" if strong else "")
                style = {"color": palette.DEAD_TEXT if strong else palette.QUIET_TEXT, **middle}
                sheet.text(lefts[-1], y + ROW / 2, told.replace("-", "−"), palette.LABEL_SIZE, **style)
        y += ROW
    return lefts[-1] + widths[-1], y


def _draw_class(sheet, x, y, top, row, labels) -> None:
    _bar(sheet, x, top, float(np.nan_to_num(row["selectivity"])))
    name = labels[row["preferred_class"]] if labels is not None else f"class {row['preferred_class']}"
    by_chance = "preference_p" in row.dtype.names and not row["preference_p"] < BY_CHANCE
    told = f"{float(row['selectivity']):.2f}  {'–' if by_chance else shorten(name, CLASS_WIDTH, palette.LABEL_SIZE)}"
    ink = palette.QUIET_TEXT if by_chance else palette.TEXT
    sheet.text(x + BAR_WIDTH + 12, y + ROW / 2, told, palette.LABEL_SIZE, va="center", color=ink)


def _bar(sheet: Sheet, x: float, y: float, share: float, reach: float | None = None) -> None:
    """A bar as long as a share of its track, and a thinner one as long as `reach` behind it."""
    bar = np.empty((BAR_HEIGHT, BAR_WIDTH, 3), np.uint8)
    bar[:] = palette.HATCH[0]
    if reach is not None:
        thin = slice(BAR_HEIGHT // 2 - 3, BAR_HEIGHT // 2 + 3)
        bar[thin, : math.ceil(BAR_WIDTH * min(reach, 1))] = palette.AGREEMENT[90]
    bar[:, : math.ceil(BAR_WIDTH * min(max(share, 0), 1))] = rgb(palette.NEGATIVE)
    sheet.paint(x, y, bar)


def _draw_matrix(sheet, x, y, correlation, cosine, dead) -> float:
    line = line_height(palette.LABEL_SIZE)
    units = len(correlation)
    title = "who is like whom: maps above the diagonal" + (", kernels below" if cosine is not None else " and below")
    sheet.text(x, y, title, palette.LABEL_SIZE, weight="bold")
    y += line + 14
    values = np.array(correlation, float)
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
        place = x + margin - 10, y + line + centre
        sheet.text(*place, str(unit), palette.LABEL_SIZE, ha="right", va="center", color=ink)
        if cell * step >= 1.6 * line or unit % (2 * step) == 0:
            place = x + margin + centre, y + line - 6
            sheet.text(*place, str(unit), palette.LABEL_SIZE, ha="center", va="bottom", color=ink)
    what = "of maps (correlation)" + (" and of kernels (cosine)" if cosine is not None else "")
    label = f"likeness {what}: 1 alike, 0 nothing in common, −1 opposite"
    return sheet.colour_bar(x + margin, y + line + units * cell + 24, 1.0, label)


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
