"""Learned kernels as pictures: all of a layer's, or one with its numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, choose_units, footnotes, heading, size, which_units
from convlens.visualization.display import MOST, Display, is_picture, shown_units
from convlens.visualization.groups import Group, draw_groups
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, percent, text_width
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import KernelTuning, ObservedLayer

WIDTH, WIDTH_OF_SLICES = 1900, 1560  # pixels of text above and below
SIDE = 72  # pixels of a slice
CHANGES = (  # from which median cosine with the start, and what it says
    (0.9, "Learning hardly changed these kernels: what is seen is nearly all how they began."),
    (0.5, "Learning changed these kernels in part: some of what is seen is how they began."),
    (-2.0, "Most of what these kernels began as is gone: what is seen here was learned."),
)
NO_START = (
    "What these kernels began as is not known, so the picture cannot tell what was learned; a run that keeps snapshots "
    "(training.snapshots=40) can."
)
SLICES = (
    "A row is a unit: its slices with the largest weights, largest first, each with the number of the map that "
    "it reads. The percentage is what these slices hold of the sum of all of the unit's squared weights."
)
RESPONSES = (
    "Beside a unit, what it responds to: the angle of the stripes that it responds to most (0° level, 90° upright); "
    "red–green or blue–yellow, where one colour against the other moves it at least twice as much as brightness does; "
    "spot, where it is a centre against its surround; nothing where none of these is stronger than in 95% of random "
    "kernels."
)
USUAL = Display()


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
) -> Figure:
    """The kernels of one convolution, and what they were before learning, where that is known.

    Where the layer sees a colour image each unit is one RGB tile, 0.5 + w / (2 limit), beside its three signed
    channels. A layer that sees one channel has one signed tile a unit. Of any other layer each unit has a row of
    slices: those with the largest weights, each with the number of the map that it reads. `limit` is the largest
    magnitude over all layers, for the scale "global". What kernels that read an image respond to is written beside each
    unit.
    """
    kernel, start, tuning = np.asarray(layer.kernel), layer.start, layer.tuning
    caption, count = caption.of_layer(layer), kernel.shape[-1]
    pictures, scale = is_picture(kernel, layer.rgb), display.scale or "unit"
    width = WIDTH if pictures else WIDTH_OF_SLICES
    if layer.paired:
        shown, which = shown_units(layer, display)
    else:  # its kernels are not its units: neither activation nor death is theirs
        shown = choose_units(count, max_units=display.max_units or MOST)
        which = which_units(shown, count, "index")
    dead = layer.dead if layer.paired and layer.dead is not None else np.zeros(count, bool)
    chosen = _Chosen(shown, palette.limits(kernel, scale, limit), dead, scale)

    sheet = Sheet(width=1000)
    scales = {"unit": "scale: each unit has its own", "layer": "scale: layer", "global": "scale: global"}
    facts = caption.facts(f"kernels {size(kernel.shape[:3])}", which, scales[scale])
    y = heading(sheet, f"Kernels of {caption.layer or 'a convolution'}", facts, width)
    for line in (_change(layer.changed, kernel, start), _counts(tuning)):
        if line:
            y = sheet.paragraph(MARGIN, y - 20, line, width, palette.BODY_SIZE) + 26
    if pictures:
        y = _draw_rows(sheet, y, layer, chosen)
    else:
        y = _draw_slices(sheet, y, kernel, start, chosen, display.max_inputs)
    if scale != "unit":
        y = sheet.colour_bar(MARGIN, y + 10, float(chosen.limits[0]), "weight")
    y = _legend(sheet, y, width, layer)
    footnotes(sheet, y, [kernel[..., shown]], dead=bool(dead[shown].any()))
    return sheet.figure()


def _change(changed: np.ndarray | None, kernel: np.ndarray, start: np.ndarray | None) -> str:
    """How far learning moved the kernels, in words."""
    if changed is None or start is None:
        return NO_START
    finite = changed[np.isfinite(changed)]
    if not len(finite):
        return "These kernels are zero, or began as zero."
    part = ""
    if start.shape[2] < kernel.shape[2] or start.shape[3] < kernel.shape[3]:
        part = f", of their first {start.shape[2]} channels and {start.shape[3]} units"
    middle = float(np.median(finite))
    verdict = next(words for least, words in CHANGES if middle >= least)
    span = f"{signed(finite.min())} to {signed(finite.max())}"
    return (
        f"Likeness to the start (cosine: 1 unchanged, 0 nothing in common): {signed(middle)} in the median, "
        f"{span}{part}. {verdict}"
    )


def _counts(tuning: "KernelTuning | None") -> str:
    if tuning is None:
        return ""
    kind = tuning.kind
    names = {
        "orientation": "to edges or stripes at an angle",
        "colour": "to one colour against another",
        "centre-surround": "to a spot in its surround",
    }
    counted = ", ".join(f"{int((kind == name).sum())} {words}" for name, words in names.items())
    return f"{int((kind != '').sum())} of {len(kind)} units respond to something that has a name: {counted}."


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
            tiles.insert(0, _start_tile(layer, layer.start[..., unit : unit + 1], limit, (height * cell, width * cell)))
        notes = [response_name(tuning, unit)] if tuning is not None and response_name(tuning, unit) else []
        notes += [f"±{number(limit)}"] if chosen.scale == "unit" else []
        groups.append(Group(str(unit), tiles, notes, bool(chosen.dead[unit])))
    return draw_groups(sheet, MARGIN, y, groups, headings, [(width * cell, height * cell)] * len(headings), cell + 8)


def _start_tile(layer: "ObservedLayer", start: np.ndarray, limit: float, pixels: tuple[int, int]) -> np.ndarray:
    """What a unit's kernel was before learning, `start` (height, width, channels, 1); hatched, of so many `pixels`,
    where that was not kept: it is (..., 0) then, or of fewer channels."""
    if not start.shape[-1] or start.shape[2] < layer.kernel.shape[2]:
        return palette.hatch(*pixels)
    if layer.rgb:
        return palette.colour_rgb_kernel(start[..., 0], limit)
    return palette.colour_weights(start[:, :, 0, 0], limit)


def response_name(tuning: "KernelTuning", unit: int) -> str:
    """What a unit responds to, in a word: an angle, a contrast of colours or a spot; "" for none of them."""
    kind = tuning.kind[unit]
    if kind == "orientation":
        return f"{tuning.orientation[unit]:.0f}°"
    return {
        "colour": tuning.opposition[unit].replace("-", "–"),
        "centre-surround": "spot",
    }.get(kind, "")


def _legend(sheet: Sheet, y: float, width: float, layer: "ObservedLayer") -> float:
    """What the marks of kernels mean; returns the y below."""
    lines = []
    if not is_picture(layer.kernel, layer.rgb):
        lines.append(SLICES)
    if layer.rgb:
        lines.append("RGB: mid-grey is zero.")
    if layer.start is not None:
        lines.append("Start: before learning, in the range of colours of the learned kernel beside it.")
    if layer.tuning is not None:
        lines.append(RESPONSES)
    if not lines:
        return y
    return sheet.paragraph(MARGIN, y + 6, " ".join(lines), width, palette.LABEL_SIZE, color=palette.QUIET_TEXT)


def signed(value: float) -> str:
    """A cosine in two decimals with a proper minus sign."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _draw_slices(
    sheet: Sheet, y: float, kernel: np.ndarray, start: np.ndarray | None, chosen: _Chosen, most: int
) -> float:
    """A row a unit: its slices with the largest weights, and beside them what they were; what `start` lacks is hatched.

    Returns the y below them.
    """
    height, width, channels, _ = kernel.shape
    ranges, dead = chosen.limits, chosen.dead
    squares = np.nan_to_num((kernel.astype(np.float64) ** 2).sum(axis=(0, 1)))  # (channels, units)
    order = np.argsort(-squares, axis=0, kind="stable")[:most]
    held = np.take_along_axis(squares, order, axis=0).sum(axis=0) / np.maximum(squares.sum(axis=0), 1e-300)
    cell = cell_size(max(height, width), SIDE, largest_cell=24)
    line = line_height(palette.LABEL_SIZE)
    step = max(width * cell, text_width(str(channels), palette.LABEL_SIZE)) + 16
    row_height = max(height * cell + 1.6 * line, 4 * line) + 10
    blocks = [(kernel, MARGIN + 120)] + ([] if start is None else [(start, MARGIN + 170 + len(order) * step)])
    for name, (_, left) in zip(("learned", "start"), blocks, strict=False):
        sheet.text(left, y, name, palette.BODY_SIZE, weight="bold")
    y += line_height(palette.BODY_SIZE) + 12
    for unit in chosen.units:
        ink = palette.DEAD_TEXT if dead[unit] else palette.TEXT
        notes = [f"±{number(ranges[unit])}"] * (chosen.scale == "unit") + [percent(held[unit])] * (
            len(order) < channels
        )
        for position, text in enumerate([str(unit), *notes, *["dead"] * bool(dead[unit])]):
            style = {"weight": "bold"} if position == 0 else {}
            sheet.text(MARGIN + 100, y + position * line, text, palette.LABEL_SIZE, ha="right", color=ink, **style)
        for slices, left in blocks:
            is_dead = bool(dead[unit]) and slices is kernel
            for position, channel in enumerate(order[:, unit]):
                x = left + position * step
                if channel < slices.shape[2] and unit < slices.shape[3]:
                    colours = palette.colour_weights(slices[:, :, channel, unit], ranges[unit])
                    sheet.tile(x, y, colours, width * cell, height * cell, dead=is_dead)
                else:
                    sheet.empty(x, y, width * cell, height * cell)
                middle = x + width * cell / 2, y + height * cell + 5
                sheet.text(*middle, str(channel), palette.LABEL_SIZE, ha="center", color=palette.QUIET_TEXT)
        y += row_height
    return y


def show_kernel(
    kernel: np.ndarray,
    *,
    caption: Caption = UNKNOWN,
    name: str = "",
    panels: Sequence[str] = ("",),
    rgb: bool = False,
    total_channels: int | None = None,
    reason: str = "",
) -> Figure:
    """One kernel, large, with its numbers printed in the cells, as `show_kernel` of the Kaggle lesson.

    `kernel` is (height, width), or (height, width, channels) for a panel a channel, named by `panels`. With `rgb`
    the three channels are preceded by their RGB tile. `total_channels` says of how many these have the
    largest weights, `reason` why this kernel is shown.
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
    more = total_channels > channels
    of_all = f"the {channels} input channels with the largest weights, of {total_channels}" if more else ""
    y = heading(sheet, title, caption.facts(reason, shape, of_all, "scale: unit"), 2000)
    names = ["RGB", *panels] if rgb else list(panels)
    top = y + (line_height(palette.HEADING_SIZE) + 4 if any(names) else 0)
    for position, panel in enumerate(names):
        x = MARGIN + position * (width + 1) * cell
        sheet.text(x, y, panel, palette.HEADING_SIZE)
        if rgb and position == 0:
            sheet.tile(x, top, palette.colour_rgb_kernel(kernel, limit), width * cell, height * cell)
        else:
            channel = position - rgb
            _draw_numbers(sheet, x, top, kernel[..., channel], limit, texts[..., channel], cell, font)
    y = sheet.colour_bar(MARGIN, top + height * cell + 30, limit, "weight")
    footnotes(sheet, y, [kernel])
    return sheet.figure()


def _draw_numbers(
    sheet: Sheet, x: float, y: float, matrix: np.ndarray, limit: float, texts: np.ndarray, cell: int, font: float
) -> None:
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
