"""One image on its way through a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond_text, footnotes, heading, size
from convlens.visualization.display import Display, last_of_each_block
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import Observation

SIDE = 210
USUAL = Display()
GAP = 96
PAD = 14  # pixels of ground around the maps of a block
BAR = 260


@dataclass(frozen=True)
class Stop:
    """What an image is at the end of one block: maps (height, width, units) of a layer, at a stage.

    `inside` are the cells that no padding reaches, booleans (height, width): they set the colour scale.
    """

    layer: str
    stage: str
    maps: np.ndarray
    receptive_field: tuple[int, int] | None = None
    inside: np.ndarray | None = None


def stops_of_image(observation: "Observation", image: int) -> list[Stop]:
    """What the image with this index is at the end of each block: the last stage of the block's last layer."""
    stops = []
    for layer in last_of_each_block(observation.layers):
        stage = [stage for stage in ("filter", "detect", "condense") if stage in layer.maps][-1]
        maps, inside = np.asarray(layer.maps[stage][image]), layer.inside.get(stage)
        stops.append(Stop(layer.name, stage, maps, layer.receptive_field, inside))
    return stops


def pipeline_figure(
    observation: "Observation",
    image: int = 0,
    *,
    caption: Caption = UNKNOWN,
    display: Display = USUAL,
    strongest: int = 5,
) -> Figure:
    """An image, by its place, through every block: the `strongest` units at each.

    Units are ordered by their mean activation on this image, which is written under each. The class probabilities,
    where they are known, are drawn at the end.
    """
    photo, stops, scale = (
        observation.images[image],
        stops_of_image(observation, image),
        display.scale or "layer",
    )
    shares = None if observation.probabilities is None else np.asarray(observation.probabilities[image])
    limit = palette.largest(np.array([palette.largest_inside(stop.maps, stop.inside) for stop in stops]))
    limits = [palette.limits(stop.maps, scale, limit, stop.inside) for stop in stops]
    sheet = Sheet(width=1300)
    left_out = observation.left_out
    facts = caption.facts(
        f"the {strongest} units with the largest mean activation of each block, strongest first",
        "a block reads all maps of the one before, not only those beside it",
        f"{left_out} of the network's convolutions {'is' if left_out == 1 else 'are'} left out" if left_out else "",
        f"scale: {scale}, colours by square root",
    )
    y = heading(sheet, "From the image to the class" if shares is not None else "Through every block", facts, 1800)
    top = y + 4 * line_height(palette.LABEL_SIZE) + 10
    note_height = line_height(palette.LABEL_SIZE)
    factor = SIDE / max(photo.shape[:2])
    width, height = round(photo.shape[1] * factor), round(photo.shape[0] * factor)
    highest = max(_tile_size(stop.maps)[1] for stop in stops)
    step = round(highest + note_height + 50)

    # Maps of a block stand on one ground, and arrows lead from ground to ground: no row is a chain of units.
    bottom = top + strongest * step
    middle = (top + bottom) / 2 - PAD
    above = middle - height / 2
    sheet.text(MARGIN, above - 2 * note_height - 10, "image", palette.LABEL_SIZE, weight="bold")
    sheet.text(MARGIN, above - note_height - 8, size(photo.shape), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    sheet.photo(MARGIN, above, photo, width, height)
    image_text = observation.image_text(image)
    if image_text:
        sheet.paragraph(MARGIN, above + height + 6, image_text, SIDE + 10, palette.LABEL_SIZE)

    x = MARGIN
    for stop, ranges in zip(stops, limits, strict=True):
        x += SIDE + GAP
        ground = np.empty((round(bottom - top), SIDE + 2 * PAD, 3), np.uint8)
        ground[:] = palette.HATCH[0]
        sheet.paint(x - PAD, top - PAD, ground)
        _draw_arrow(sheet, x - GAP / 2, middle)
        rows = [top + row * step for row in range(strongest)]
        _draw_stop(sheet, (x, y), rows, stop, ranges, scale)
    if scale == "global":
        signed = any(np.min(stop.maps) < 0 for stop in stops)
        limit = float(limits[0][0])
        bottom = sheet.activation_bar(MARGIN + SIDE + GAP, bottom, limit, "the same scale everywhere", signed=signed)
    drawn = [(stop, ranges, _strongest(stop.maps, strongest)) for stop, ranges in zip(stops, limits, strict=True)]
    out = beyond_text((stop.maps[..., units], ranges[units]) for stop, ranges, units in drawn)
    footnotes(sheet, bottom, [stop.maps for stop in stops], beyond=out)
    if shares is not None:
        _draw_arrow(sheet, x + SIDE + GAP / 2, middle)
        verdict = observation.verdicts[image] if observation.verdicts else ""
        _draw_shares(sheet, (x + SIDE + GAP, y, middle), shares, caption, verdict)
    return sheet.figure()


def _draw_arrow(sheet: Sheet, x: float, y: float) -> None:
    sheet.text(x, y, "→", 14, ha="center", va="center", color=palette.TEXT)


def _strongest(maps: np.ndarray, count: int) -> np.ndarray:
    """The units (height, width, units) with the largest mean, strongest first."""
    return np.argsort(-np.nan_to_num(np.asarray(maps).mean(axis=(0, 1))), kind="stable")[:count]


def _draw_stop(
    sheet: Sheet, at: tuple[float, float], rows: Sequence[float], stop: Stop, limits: np.ndarray, scale: str
) -> None:
    """A block's name and size at (x, y), and below it a tile at the y of each of the `rows`."""
    (x, y), maps = at, np.asarray(stop.maps)
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
        limit = number(float(limits[0]))
        colours = f"colours ±{limit}" if maps.min() < 0 else f"colours 0 to {limit}"
        sheet.text(x, y + 3 * line, colours, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    wide, high = _tile_size(maps)
    order = _strongest(maps, len(rows))
    for rank, top in enumerate(rows):
        if rank >= count:
            sheet.empty(x, top, wide, high)
            continue
        unit = order[rank]
        dead = not maps[..., unit].any()
        sheet.tile(x, top, palette.colour_activations(maps[..., unit], limits[unit]), wide, high, dead=dead)
        note = f"{unit}: mean {number(float(means[unit]))}" if not dead else f"{unit}: dead"
        if scale == "unit":
            note += f", ±{number(float(limits[unit]))}"
        ink = palette.DEAD_TEXT if dead else palette.QUIET_TEXT
        sheet.text(x, top + high + 6, note, palette.LABEL_SIZE, color=ink)


def _tile_size(maps: np.ndarray) -> tuple[int, int]:
    height, width = maps.shape[:2]
    cell = cell_size(max(height, width), SIDE, largest_cell=50)
    factor = min(1.0, SIDE / (max(height, width) * cell))
    return max(1, round(width * cell * factor)), max(1, round(height * cell * factor))


def _draw_shares(
    sheet: Sheet, at: tuple[float, float, float], shares: np.ndarray, caption: Caption, verdict: str
) -> None:
    """The largest shares (classes,) as bars from x on, half of them above the middle y, none above the least.

    `at` is (x, least, middle).
    """
    x, least, middle = at
    line = line_height(palette.LABEL_SIZE)
    row = 2 * line + 16
    order = np.argsort(-shares, kind="stable")[:8]
    y = max(least, middle - (len(order) * row + 2 * line) / 2)
    sheet.text(x, y, "class", palette.LABEL_SIZE, weight="bold")
    sheet.text(x, y + line, "softmax share", palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    y += 2 * line + 14
    if verdict:
        y = sheet.paragraph(x, y, verdict, BAR + 60, palette.LABEL_SIZE, color=palette.DEAD_TEXT) + 14
    for index in order:
        text = f"{shorten(caption.class_name(index), BAR - 60, palette.LABEL_SIZE)}  {shares[index]:.1%}"
        sheet.text(x, y, text, palette.LABEL_SIZE)
        bar = np.empty((18, BAR, 3), np.uint8)
        bar[:] = palette.HATCH[0]
        bar[:, : round(BAR * float(shares[index]))] = palette.AGREEMENT[200]
        sheet.paint(x, y + line + 4, bar)
        y += row
