"""One image on its way through a network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, footnotes, heading, size
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten
from convlens.visualization.tiles import cell_size

SIDE = 210
GAP = 70
BAR = 260


@dataclass(frozen=True)
class Stop:
    """What an image is at the end of one block: maps (height, width, units) of a layer, at a stage."""

    layer: str
    stage: str
    maps: np.ndarray
    receptive_field: tuple[int, int] | None = None


def pipeline_figure(
    image: np.ndarray,
    stops: Sequence[Stop],
    *,
    caption: Caption = UNKNOWN,
    image_name: str = "",
    strongest: int = 5,
    scale: str = "layer",
    limit: float | None = None,
    shares: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
) -> Figure:
    """An image, (height, width, channels) in [0, 255], through every block: the strongest units at each.

    Units are ordered by their mean activation on this image, which is written under each. `shares` are the class
    probabilities, shape (classes,), drawn at the end with their `labels`.
    """
    limits = [palette.limits(stop.maps, scale, limit) for stop in stops]
    sheet = Sheet(width=1300)
    facts = caption.facts(
        f"the {strongest} units with the largest mean activation", f"scale: {scale}, colours by square root"
    )
    y = heading(sheet, "From the image to the class" if shares is not None else "Through every block", facts, 1800)
    top = y + 4 * line_height(palette.LABEL_SIZE) + 10
    note_height = line_height(palette.LABEL_SIZE)
    factor = SIDE / max(image.shape[:2])
    width, height = round(image.shape[1] * factor), round(image.shape[0] * factor)
    highest = max(_tile_size(stop.maps)[1] for stop in stops)
    step = round(highest + note_height + 50)

    sheet.text(MARGIN, y, "image", palette.LABEL_SIZE, weight="bold")
    sheet.text(MARGIN, y + note_height, size(image.shape), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    sheet.photo(MARGIN, top, image, width, height)
    if image_name:
        sheet.text(MARGIN, top + height + 6, shorten(image_name, SIDE + 40, palette.LABEL_SIZE), palette.LABEL_SIZE)

    x = MARGIN
    for stop, ranges in zip(stops, limits, strict=True):
        x += SIDE + GAP
        sheet.text(
            x - GAP / 2, top + min(height, highest) / 2, "→", 14, ha="center", va="center", color=palette.QUIET_TEXT
        )
        _draw_stop(sheet, x, y, top, step, stop, ranges, strongest, scale)
    bottom = top + strongest * step
    if scale == "global":
        signed = any(np.min(stop.maps) < 0 for stop in stops)
        limit = float(limits[0][0])
        bottom = sheet.activation_bar(MARGIN + SIDE + GAP, bottom, limit, "the same norm everywhere", signed=signed)
    footnotes(sheet, bottom, [stop.maps for stop in stops])
    if shares is not None:
        _draw_shares(sheet, x + SIDE + GAP, y, top, np.asarray(shares), labels)
    return sheet.figure()


def _draw_stop(sheet, x, y, top, step, stop, ranges, strongest, scale) -> None:
    maps = np.asarray(stop.maps)
    means = maps.mean(axis=(0, 1))
    count = maps.shape[-1]
    line = line_height(palette.LABEL_SIZE)
    sheet.text(
        x, y, shorten(stop.layer, SIDE + GAP - 10, palette.LABEL_SIZE, "bold"), palette.LABEL_SIZE, weight="bold"
    )
    sheet.text(x, y + line, f"{stop.stage} {size(maps.shape)}", palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    if stop.receptive_field:
        sees = f"sees {size(stop.receptive_field)} px"
        sheet.text(x, y + 2 * line, sees, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    if scale == "layer":
        limit = number(float(ranges[0]))
        told = f"colours ±{limit}" if maps.min() < 0 else f"colours 0 to {limit}"
        sheet.text(x, y + 3 * line, told, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    wide, high = _tile_size(maps)
    order = np.argsort(-np.nan_to_num(means), kind="stable")[:strongest]
    for place in range(strongest):
        if place >= count:
            sheet.empty(x, top + place * step, wide, high)
            continue
        unit = order[place]
        dead = not maps[..., unit].any()
        sheet.tile(
            x, top + place * step, palette.colour_activations(maps[..., unit], ranges[unit]), wide, high, dead=dead
        )
        note = f"{unit}: mean {number(float(means[unit]))}" if not dead else f"{unit}: dead"
        if scale == "unit":
            note += f", ±{number(float(ranges[unit]))}"
        ink = palette.DEAD_TEXT if dead else palette.QUIET_TEXT
        sheet.text(x, top + place * step + high + 6, note, palette.LABEL_SIZE, color=ink)


def _tile_size(maps: np.ndarray) -> tuple[int, int]:
    height, width = maps.shape[:2]
    cell = cell_size(max(height, width), SIDE, largest_cell=50)
    factor = min(1.0, SIDE / (max(height, width) * cell))
    return max(1, round(width * cell * factor)), max(1, round(height * cell * factor))


def _draw_shares(sheet, x, y, top, shares, labels) -> None:
    sheet.text(x, y, "class", palette.LABEL_SIZE, weight="bold")
    sheet.text(x, y + line_height(palette.LABEL_SIZE), "softmax share", palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    row = 2 * line_height(palette.LABEL_SIZE) + 16
    for place, index in enumerate(np.argsort(-shares, kind="stable")[:8]):
        label = labels[index] if labels is not None else f"class {index}"
        text = f"{shorten(label, BAR - 60, palette.LABEL_SIZE)}  {shares[index]:.1%}"
        sheet.text(x, top + place * row, text, palette.LABEL_SIZE)
        bar = np.empty((18, BAR, 3), np.uint8)
        bar[:] = palette.GUTTER
        bar[:, : round(BAR * float(shares[index]))] = palette.AGREEMENT[200]
        sheet.paint(x, top + place * row + line_height(palette.LABEL_SIZE) + 4, bar)
