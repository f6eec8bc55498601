"""What differs between two models: how alike their layers are, which units match, who recognises what."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading, size
from convlens.visualization.groups import Group, draw_groups
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten, text_width
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import Agreement, Comparison, MatchedKernels

LINE = line_height(palette.LABEL_SIZE)
ROW, TRACK = 40, 620
NAMES = ("A", "B")


def layer_similarity_figure(
    comparison: "Comparison", *, names: Sequence[str] = NAMES, caption: Caption = UNKNOWN
) -> Figure:
    """How alike each layer of one model is to each of the other: a matrix, a row a layer of the first.

    A value is linear CKA, from 0 to 1; hatched is a layer that gives the same for every image. `names` tell the models
    apart. The largest of each row is framed.
    """
    similarity, (layers, second_layers) = np.asarray(comparison.similarity, float), comparison.layers
    sheet = Sheet(width=1200)
    on = caption.images(comparison.images)
    facts = caption.facts(on, "linear CKA: 1 is the same up to rotation and scale", "framed: best of a row")
    y = heading(sheet, f"How alike are the layers of {names[0]} and {names[1]}?", facts, 1250)
    cell = int(np.clip(1300 // max(similarity.shape), 14, 110))
    step = max(1, math.ceil(LINE / cell))
    rows, columns = ([shorten(name, 420, palette.LABEL_SIZE) for name in side] for side in (layers, second_layers))
    down = shorten(f"{names[0]} ↓", 420, palette.LABEL_SIZE)
    left = MARGIN + max(text_width(name, palette.LABEL_SIZE, "bold") for name in (*rows, down)) + 12
    top = y + max(text_width(name, palette.LABEL_SIZE) for name in columns) + LINE + 24
    wide, high = similarity.shape[1] * cell, similarity.shape[0] * cell
    known = np.isfinite(similarity)
    colours = palette.SEQUENTIAL[np.rint(np.clip(np.where(known, similarity, 0), 0, 1) * 255).astype(int)]
    grid = np.repeat(np.repeat(colours, cell, axis=0), cell, axis=1)
    unknown = np.repeat(np.repeat(~known, cell, axis=0), cell, axis=1)
    grid[unknown] = palette.hatch(high, wide)[unknown]
    sheet.tile(left, top, grid, wide, high)
    for row, name in enumerate(rows[::step]):
        sheet.text(
            left - 12, top + (row * step + 0.5) * cell, name, palette.LABEL_SIZE, ha="right", va="center_baseline"
        )
    for column, name in enumerate(columns[::step]):
        x = left + (column * step + 0.5) * cell
        sheet.text(x, top - 12, name, palette.LABEL_SIZE, ha="center", va="bottom", rotation=90)
    bold = {"weight": "bold", "color": palette.QUIET_TEXT}
    sheet.text(left - 12, top - 12, down, palette.LABEL_SIZE, ha="right", va="bottom", **bold)
    sheet.text(left, y - 6, f"{names[1]} →", palette.LABEL_SIZE, **bold)
    axes = sheet.axes(left, top, wide, high)
    axes.set(xlim=(0, similarity.shape[1]), ylim=(similarity.shape[0], 0))
    axes.axis("off")
    for row, values in enumerate(similarity):
        if np.isfinite(values).any():
            best = int(np.nanargmax(values))
            square = [best, best + 1, best + 1, best, best], [row, row, row + 1, row + 1, row]
            axes.plot(*square, color=palette.LINE, linewidth=1.2, clip_on=False)
        for column, value in enumerate(values if cell >= 50 else ()):
            if np.isfinite(value):
                x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
                text, ink = f"{value:.2f}".replace("-", "−"), palette.text_on(colours[row, column])
                sheet.text(x, y, text, palette.LABEL_SIZE, ha="center", va="center_baseline", color=ink)
    sheet.colour_bar(left, top + high + 30, 1.0, "linear CKA", table=palette.SEQUENTIAL)
    return sheet.figure()


def matched_units_figure(
    matched: "MatchedKernels",
    *,
    names: Sequence[str] = NAMES,
    rgb: bool = False,
    max_units: int = 24,
    caption: Caption = UNKNOWN,
) -> Figure:
    """Each unit's kernel beside its partner's in the other model and what they differ by, the best matches first.

    All tiles share one colour scale. Of a kernel of many inputs, the strongest of the unit is drawn; with `rgb` all
    three, as a picture.
    """
    kernel, second = matched.first, matched.second
    strengths, matches = matched.match.strengths, matched.match.matches
    order = np.argsort(-np.nan_to_num(strengths, nan=-np.inf), kind="stable")[:max_units]
    difference = matched.difference
    limit = palette.largest(np.stack([kernel, second, difference])[..., order])
    height, width, inputs, units = kernel.shape
    side = cell_size(max(height, width), 130)
    groups = []
    for unit in order:
        slices = [array[..., unit] for array in (kernel, second, difference)]
        notes = [f"r {strengths[unit]:.2f}".replace("-", "−") if np.isfinite(strengths[unit]) else "constant"]
        if not rgb and inputs > 1:
            strongest = int(np.argmax(np.square(slices[0].astype(np.float64)).sum(axis=(0, 1))))
            notes.append(f"ch {strongest}")
            slices = [array[..., strongest] for array in slices]
        elif not rgb:
            slices = [array[..., 0] for array in slices]
        colour = palette.colour_rgb_kernel if rgb else palette.colour_weights
        tiles = [
            palette.hatch(height * side, width * side) if np.isnan(tile).all() else colour(tile, limit)
            for tile in slices
        ]
        partner = str(matches[unit]) if matches[unit] >= 0 else "none"
        groups.append(Group(f"{unit} ~ {partner}", tiles, notes))
    shown = f"{len(order)} of {units} units" if len(order) < units else f"all {units} units"
    facts = caption.facts(
        f"kernels {size(kernel.shape[:3])}",
        f"{shown}, best match first",
        f"{names[0]}'s unit ~ {names[1]}'s",
        "r: correlation of their maps",
        f"right: difference of the kernels, {names[1]} − {names[0]}",
        f"one colour scale for all tiles, ±{number(limit)}" + ("; mid-grey is zero" if rgb else ""),
    )
    sheet = Sheet(width=1300)
    title = f"Which units of {names[0]} and {names[1]} do the same in {caption.layer or matched.match.layers[0]}?"
    y = heading(sheet, title, facts, 1900)
    tops = [shorten(name, width * side + 10, palette.LABEL_SIZE) for name in (*names, f"{names[1]} − {names[0]}")]
    y = draw_groups(sheet, MARGIN + 40, y, groups, tops, [(width * side, height * side)] * 3, 22)
    if not rgb:
        sheet.colour_bar(MARGIN, y + 10, limit, "weight")
    return sheet.figure()


def class_accuracy_figure(
    agreement: "Agreement", *, names: Sequence[str] = NAMES, caption: Caption = UNKNOWN
) -> Figure:
    """The accuracy of two models side by side, class by class, the largest difference first; and where they agree."""
    class_accuracy, both = agreement.class_accuracy, agreement.both
    counts = agreement.confusion[0].sum(axis=1)
    labels = caption.class_names(len(counts))
    change = class_accuracy[1] - class_accuracy[0]
    order = np.argsort(-np.abs(np.nan_to_num(change, nan=-1)), kind="stable")
    order = np.concatenate([order[np.isfinite(change[order])], order[~np.isfinite(change[order])]])
    total = int(both.sum())
    accuracies = both[1].sum() / total, both[:, 1].sum() / total
    sheet = Sheet(width=1300)
    overall = [f"{name} {share:.1%}" for name, share in zip(names, accuracies, strict=True)]
    facts = caption.facts(f"{total:,} images", *overall, f"{names[1]} − {names[0]} in percentage points, largest first")
    y = heading(sheet, f"What do {names[0]} and {names[1]} recognise?", facts, 1400)
    written = [shorten(labels[index], 360, palette.LABEL_SIZE) for index in order]
    left = MARGIN + max(text_width(name, palette.LABEL_SIZE) for name in written) + 30
    inks = palette.QUIET_TEXT, palette.NEGATIVE
    x = left
    for name, ink in zip(names, inks, strict=True):
        sheet.text(
            x, y, f"● {shorten(name, 400, palette.LABEL_SIZE, 'bold')}", palette.LABEL_SIZE, color=ink, weight="bold"
        )
        x += text_width(f"● {name}", palette.LABEL_SIZE, "bold") + 40
    head = shorten(f"{names[1]} − {names[0]}", 300, palette.LABEL_SIZE, "bold")
    sheet.text(left + TRACK + 24, y, head, palette.LABEL_SIZE, weight="bold")
    y += LINE + 14
    low = max(0.0, math.floor(10 * (np.nanmin(class_accuracy, initial=1.0) - 0.02)) / 10)
    axes = sheet.axes(left, y, TRACK, ROW * len(order))
    axes.set(xlim=(low, 1), ylim=(len(order) - 0.5, -0.5), yticks=[])
    for row, index in enumerate(order):
        middle = y + (row + 0.5) * ROW
        sheet.text(left - 14, middle, written[row], palette.LABEL_SIZE, ha="right", va="center_baseline")
        first, second = class_accuracy[:, index]
        if np.isfinite(first):
            axes.plot([first, second], [row, row], color=palette.GRID, linewidth=2, zorder=2)
            for share, ink, area in ((first, inks[0], 52), (second, inks[1], 30)):
                axes.scatter([share], [row], s=area, color=ink, zorder=3, clip_on=False, linewidths=0)
            points = f"{100 * change[index]:+.1f} points".replace("-", "−")
            ink = palette.POSITIVE if change[index] < 0 else palette.TEXT
            beside = f"{points}   of {int(counts[index]):,}"
        else:
            beside, ink = "no images", palette.DEAD_TEXT
        sheet.text(left + TRACK + 24, middle, beside, palette.LABEL_SIZE, va="center_baseline", color=ink)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(axis="x", color=palette.GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    below = _draw_agreement(sheet, left + TRACK + 320, y, both, names)
    sheet.grow_to(max(y + ROW * len(order) + LINE + 20, below) + LINE)
    return sheet.figure()


def _draw_agreement(sheet: Sheet, x: float, y: float, both: np.ndarray, names: Sequence[str]) -> float:
    """Four squares as large as their counts say: who is right where. Returns the y below them."""
    sheet.text(x, y - LINE - 14, "image by image", palette.LABEL_SIZE, weight="bold")
    texts = ("both right", f"only {names[0]} right", f"only {names[1]} right", "both wrong")
    counts = both[1, 1], both[1, 0], both[0, 1], both[0, 0]
    for text, count in zip(texts, counts, strict=True):
        share = count / max(both.sum(), 1)
        bar = np.empty((14, 300, 3), np.uint8)
        bar[:] = palette.HATCH[1]
        bar[:, : math.ceil(300 * share)] = palette.AGREEMENT[170] if text == texts[0] else palette.SEQUENTIAL[150]
        sheet.text(x, y, f"{shorten(text, 330, palette.LABEL_SIZE)}: {int(count):,} ({share:.1%})", palette.LABEL_SIZE)
        sheet.paint(x, y + LINE + 4, bar)
        y += LINE + 40
    return y
