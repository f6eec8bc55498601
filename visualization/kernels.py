"""Learned kernels as pictures: all of a layer's, or one with its numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, choose_units, footnotes, heading, size, which_units
from convlens.visualization.display import Display
from convlens.visualization.groups import Group, draw_groups
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, text_width
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import KernelTuning, ObservedLayer

WIDTH = 1900
USUAL = Display()
CHANGES = (  # from which median cosine with the start, and what it says
    (0.9, "Learning hardly changed these kernels: what is seen is nearly all how they began."),
    (0.5, "Learning changed these kernels in part; some of what is seen is how they began."),
    (-2.0, "What is seen here was learned."),
)


@dataclass(frozen=True)
class _Chosen:
    """The units of a layer that are drawn, in their order, and how."""

    units: np.ndarray
    limits: np.ndarray  # (all units of the layer,) the largest magnitude on each unit's colour scale
    dead: np.ndarray  # (all units of the layer,)
    scale: str


def kernels_figure(
    layer: "ObservedLayer",
    *,
    caption: Caption = UNKNOWN,
    display: Display = USUAL,
    limit: float | None = None,
    max_channels: int = 16,
) -> Figure:
    """The kernels of one convolution, and what they were before learning, where that is known.

    Where the layer sees a colour image each unit is one RGB tile, 0.5 + w / (2 limit), beside its three signed
    channels. A layer that sees one channel has one signed tile a unit. Any other layer is a matrix: the strongest
    `max_channels` input channels down, the units across. `limit` is the largest magnitude over all layers, for the
    scale "global". What kernels that read an image answer to is written beside each unit.
    """
    kernel, start, tuning = np.asarray(layer.kernel), layer.start, layer.tuning
    caption, count = caption.of_layer(layer), kernel.shape[-1]
    is_picture = reads_image(kernel, layer.rgb)
    display = display.filled("norm", "unit" if is_picture else "layer")
    if not layer.paired:  # its kernels are not its units: neither activation nor death is theirs
        display = replace(display, sort="index", units=None)
    elif display.sort == "orientation" and tuning is None:
        display = replace(display, sort="norm")
    shown = choose_units(
        count, units=display.units, max_units=display.max_units, sort=display.sort,
        norm=layer.norm, activation=layer.activation, rank=None if tuning is None else np.argsort(tuning.order),
    )  # fmt: skip
    dead = layer.dead if layer.paired and layer.dead is not None else np.zeros(count, bool)
    chosen = _Chosen(shown, palette.limits(kernel, display.scale, limit), dead, display.scale)

    sheet = Sheet(width=1000)
    scales = {"unit": "scale: each unit has its own", "layer": "scale: layer", "global": "scale: global"}
    facts = caption.facts(
        f"kernels {size(kernel.shape[:3])}", which_units(shown, count, display.sort), scales[display.scale]
    )
    y = heading(sheet, f"Kernels of {caption.layer or 'a convolution'}", facts, WIDTH)
    for line in (_change(layer.changed, kernel, start), _counts(tuning)):
        if line:
            y = sheet.paragraph(MARGIN, y - 20, line, WIDTH, palette.BODY_SIZE) + 26
    if is_picture:
        y = _draw_rows(sheet, y, layer, chosen)
    else:
        rows = _strongest_channels(kernel, shown, max_channels)
        y = _draw_matrix(sheet, y, kernel, chosen, rows)
        if start is not None:
            sheet.text(MARGIN, y + 14, "Start: before learning", palette.BODY_SIZE, weight="bold")
            alive = replace(chosen, dead=np.zeros_like(dead))
            y = _draw_matrix(sheet, y + 56, start, alive, rows, again=True)
    if display.scale != "unit":
        y = sheet.colour_bar(MARGIN, y + 10, float(chosen.limits[0]), "weight")
    y = _legend(sheet, y, layer)
    footnotes(sheet, y, [kernel[..., shown]], dead=bool(dead[shown].any()))
    return sheet.figure()


def reads_image(kernel: np.ndarray, rgb: bool) -> bool:
    """Whether each kernel (height, width, channels, units) is drawn as a picture: it sees colours, or one channel."""
    return rgb or kernel.shape[2] == 1


def _change(changed: np.ndarray | None, kernel: np.ndarray, start: np.ndarray | None) -> str:
    """How far learning moved the kernels, in words."""
    if changed is None:
        return "What these kernels began as is not known: the picture cannot tell what was learned."
    known = changed[np.isfinite(changed)]
    if not len(known):
        return "These kernels are zero, or began as zero."
    part = ""
    if start.shape[2] < kernel.shape[2] or start.shape[3] < kernel.shape[3]:
        part = f", of their first {start.shape[2]} channels and {start.shape[3]} units"
    middle = float(np.median(known))
    moved = next(words for least, words in CHANGES if middle >= least)
    span = f"{signed(known.min())} to {signed(known.max())}"
    return f"Cosine with the start: {signed(middle)} in the median, {span}{part}. {moved}"


def _counts(tuning: "KernelTuning | None") -> str:
    if tuning is None:
        return ""
    kind = tuning.kind
    names = ("orientation", "colour", "centre-surround")
    counted = ", ".join(f"{int((kind == name).sum())} {name}" for name in names)
    return f"{int((kind != '').sum())} of {len(kind)} units answer to something nameable, above chance: {counted}."


def _draw_rows(sheet: Sheet, y: float, layer: "ObservedLayer", chosen: _Chosen) -> float:
    """Each unit's kernel as a picture, with its channels; returns the y below."""
    kernel, rgb, tuning = np.asarray(layer.kernel), layer.rgb, layer.tuning
    height, width, channels, _ = kernel.shape
    cell = cell_size(max(height, width), 84, largest_cell=28)
    headings = ["RGB", "R", "G", "B"] if rgb else ["learned" if layer.start is not None else ""]
    if layer.start is not None:
        headings.insert(0, "start")
    groups = []
    for unit in chosen.units:
        limit = chosen.limits[unit]
        tiles = [palette.colour_weights(kernel[:, :, channel, unit], limit) for channel in range(channels)]
        if rgb:
            tiles.insert(0, palette.colour_rgb_kernel(kernel[..., unit], limit))
        if layer.start is not None:
            tiles.insert(0, _start_tile(layer, unit, limit, (height * cell, width * cell)))
        notes = [_name(tuning, unit)] if tuning is not None and _name(tuning, unit) else []
        notes += [f"±{number(limit)}"] if chosen.scale == "unit" else []
        groups.append(Group(str(unit), tiles, notes, bool(chosen.dead[unit])))
    return draw_groups(sheet, MARGIN, y, groups, headings, [(width * cell, height * cell)] * len(headings), cell + 8)


def _start_tile(layer: "ObservedLayer", unit: int, limit: float, pixels: tuple[int, int]) -> np.ndarray:
    """What a unit's kernel was before learning; hatched, of so many `pixels`, where that was not kept."""
    start = layer.start
    if unit >= start.shape[-1] or start.shape[2] < layer.kernel.shape[2]:
        return palette.hatch(*pixels)
    if layer.rgb:
        return palette.colour_rgb_kernel(start[..., unit], limit)
    return palette.colour_weights(start[:, :, 0, unit], limit)


def _name(tuning: "KernelTuning", unit: int) -> str:
    kind = tuning.kind[unit]
    if kind == "orientation":
        return f"{tuning.orientation[unit]:.0f}°"
    return {
        "colour": {"red-green": "r–g", "blue-yellow": "b–y"}.get(tuning.opposition[unit], ""),
        "centre-surround": "c–s",
    }.get(kind, "")


def _legend(sheet: Sheet, y: float, layer: "ObservedLayer") -> float:
    """What the marks of kernels mean."""
    lines = []
    if layer.rgb:
        lines.append("RGB: mid-grey is zero.")
    if layer.start is not None:
        where = "beside" if layer.rgb or layer.tuning is not None else "above"
        lines.append(f"Start: before learning, in the colours of the learned kernel {where} it.")
    if layer.tuning is not None:
        lines.append(
            "Beside a unit: the angle of the stripes that it answers to most (0° level, 90° upright), r–g or b–y where "
            "it answers to that opposition of colours at least twice as strongly as to brightness, c–s for a centre "
            "and its surround; nothing where none of these is stronger than in 95% of random kernels."
        )
    if not lines:
        return y
    return sheet.paragraph(MARGIN, y + 6, " ".join(lines), WIDTH, palette.LABEL_SIZE, color=palette.QUIET_TEXT)


def signed(value: float) -> str:
    """A cosine in two decimals with a proper minus sign."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _strongest_channels(kernel: np.ndarray, shown: np.ndarray, most: int) -> np.ndarray:
    strength = np.sqrt((kernel[..., shown].astype(np.float64) ** 2).sum(axis=(0, 1, 3)))
    return np.sort(np.argsort(-strength, kind="stable")[:most])


def _draw_matrix(
    sheet: Sheet, y: float, kernel: np.ndarray, chosen: _Chosen, rows: np.ndarray, *, again: bool = False
) -> float:
    """The input channels `rows` down, units across; what `kernel` lacks of them is hatched. Returns the y below.

    `again` says that the same rows stand above.
    """
    height, width, channels, units = kernel.shape
    shown, limits = chosen.units, chosen.limits
    cell = cell_size(max(height, width), 42, largest_cell=14)
    gutter = cell + 8
    left = MARGIN + 90
    which = f"the {len(rows)} strongest of {channels}" if len(rows) < channels else f"all {channels}"
    which = "the same ones" if again else which
    sheet.text(MARGIN, y, f"down: input channel, {which}; across: unit", palette.LABEL_SIZE)
    y += line_height(palette.LABEL_SIZE) + 12
    labels = [f"{unit} ±{number(limits[unit])}" if chosen.scale == "unit" else str(unit) for unit in shown]
    y += max(text_width(label, palette.LABEL_SIZE) for label in labels)
    step_x = max(width * cell + gutter, 26)
    step_y = max(height * cell + gutter, 26)
    for column, (unit, label) in enumerate(zip(shown, labels, strict=True)):
        x = left + column * step_x
        dead = bool(chosen.dead[unit])
        ink = palette.DEAD_TEXT if dead else palette.QUIET_TEXT
        sheet.text(x + width * cell / 2, y, label, palette.LABEL_SIZE, ha="center", va="bottom", color=ink, rotation=90)
        for row, channel in enumerate(rows):
            top = y + 10 + row * step_y
            if channel >= channels or unit >= units:
                sheet.empty(x, top, width * cell, height * cell)
                continue
            colours = palette.colour_weights(kernel[:, :, channel, unit], limits[unit])
            sheet.tile(x, top, colours, width * cell, height * cell, dead=dead)
    for row, channel in enumerate(rows):
        middle = y + 10 + row * step_y + height * cell / 2
        sheet.text(
            left - 12, middle, str(channel), palette.LABEL_SIZE, ha="right", va="center", color=palette.QUIET_TEXT
        )
    return y + 10 + len(rows) * step_y


def show_kernel(
    kernel: np.ndarray,
    *,
    caption: Caption = UNKNOWN,
    name: str = "",
    panels: Sequence[str] = ("",),
    rgb: bool = False,
    total_channels: int | None = None,
) -> Figure:
    """One kernel, large, with its numbers printed in the cells, as `show_kernel` of the Kaggle lesson.

    `kernel` is (height, width), or (height, width, channels) for a panel a channel, named by `panels`. With `rgb`
    the three channels are preceded by their RGB tile. `total_channels` says of how many these are the strongest.
    """
    kernel = np.asarray(kernel)
    kernel = kernel[..., None] if kernel.ndim == 2 else kernel
    height, width, channels = kernel.shape
    limit = palette.largest(kernel)
    texts = _numbers(kernel)
    cell = int(np.clip(1400 / max(height, width) / channels, 64, 150))
    longest = max(texts.ravel(), key=lambda text: text_width(text, palette.BODY_SIZE))
    font = min(14, palette.BODY_SIZE * 0.82 * cell / text_width(longest, palette.BODY_SIZE))

    sheet = Sheet(width=700)
    title = ("Kernel of " if caption.layer else "Kernel ") + " of ".join(filter(None, (name, caption.layer)))
    total_channels = total_channels or channels
    shape = f"kernel {size((height, width, total_channels) if total_channels > 1 else (height, width))}"
    of_all = f"the {channels} strongest of {total_channels} input channels" if total_channels > channels else ""
    y = heading(sheet, title, caption.facts(shape, of_all, "scale: unit"), 2000)
    names = ["RGB", *panels] if rgb else list(panels)
    top = y + (line_height(palette.HEADING_SIZE) + 4 if any(names) else 0)
    for place, panel in enumerate(names):
        x = MARGIN + place * (width + 1) * cell
        sheet.text(x, y, panel, palette.HEADING_SIZE)
        if rgb and place == 0:
            sheet.tile(x, top, palette.colour_rgb_kernel(kernel, limit), width * cell, height * cell)
        else:
            channel = place - rgb
            _draw_numbers(sheet, x, top, kernel[..., channel], limit, texts[..., channel], cell, font)
    y = sheet.colour_bar(MARGIN, top + height * cell + 30, limit, "weight")
    footnotes(sheet, y, [kernel])
    return sheet.figure()


def _draw_numbers(sheet, x, y, matrix, limit, texts, cell, font) -> None:
    height, width = matrix.shape
    colours = palette.colour_weights(matrix, limit)
    sheet.tile(x, y, colours, width * cell, height * cell)
    for row in range(height):
        for column in range(width):
            centre = (x + (column + 0.5) * cell, y + (row + 0.5) * cell)
            ink = palette.text_on(colours[row, column])
            sheet.text(*centre, texts[row, column], font, ha="center", va="center_baseline", color=ink)


def _numbers(values: np.ndarray) -> np.ndarray:
    """The values as text, all with as many decimals as the largest needs for three digits."""
    limit = palette.largest(values)
    if np.all(values == np.round(values)) and limit < 1e4:
        form = "{:.0f}"
    elif 1e-3 <= limit < 1e4:
        form = f"{{:.{max(0, 2 - math.floor(math.log10(limit)))}f}}"
    else:
        form = "{:.1e}"
    texts = np.vectorize(lambda value: form.format(value))(values)
    unsigned = np.char.lstrip(texts, "-")
    is_zero = np.char.strip(unsigned, "0.") == ""
    return np.where(is_zero, unsigned, np.char.replace(texts, "-", "−"))
