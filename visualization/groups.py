"""Tiles that belong together, a row for a unit, the rows in as many columns as fit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convlens.visualization import palette
from convlens.visualization.sheet import Sheet, line_height

LABEL_WIDTH = 100
WIDEST = 2160


@dataclass(frozen=True)
class Group:
    """One unit's row: its tiles as colours, (height, width, 3) uint8 each, and what is written beside them."""

    label: str
    tiles: Sequence[np.ndarray]
    notes: Sequence[str] = ()
    dead: bool = False


def draw_groups(
    sheet: Sheet,
    x: float,
    y: float,
    groups: Sequence[Group],
    headings: Sequence[str | np.ndarray],
    sizes: Sequence[tuple[int, int]],
    gutter: int,
) -> float:
    """Draw groups left to right, then down; places that are left over are hatched. Returns the y below them.

    `sizes` holds the (width, height) in pixels of each tile of a group; a heading is text, or an image in [0, 255].
    """
    lines = max(1 + len(group.notes) + group.dead for group in groups)
    row_height = max(max(height for _, height in sizes), round(lines * line_height(palette.LABEL_SIZE))) + gutter
    width = LABEL_WIDTH + sum(wide for wide, _ in sizes) + gutter * (len(sizes) - 1)
    gap = max(gutter, 50)
    columns = max(1, min(len(groups), (WIDEST + gap) // (width + gap)))
    rows = math.ceil(len(groups) / columns)

    head = max(_heading_height(heading, wide) for heading, (wide, _) in zip(headings, sizes, strict=True))
    for column in range(columns):
        left = x + column * (width + gap) + LABEL_WIDTH
        for text, (wide, _) in zip(headings, sizes, strict=True):
            if isinstance(text, str):
                ink = palette.QUIET_TEXT
                sheet.text(left + wide / 2, y + head, text, palette.LABEL_SIZE, ha="center", va="bottom", color=ink)
            else:
                high = _heading_height(text, wide)
                sheet.photo(left, y + head - high, text, wide, high)
            left += wide + gutter
    y += head + max(10, gutter // 2)

    for position in range(rows * columns):
        left = x + position % columns * (width + gap)
        top = y + position // columns * row_height
        group = groups[position] if position < len(groups) else None
        if group:
            _label(sheet, left + LABEL_WIDTH - 14, top, group)
        left += LABEL_WIDTH
        for index, (wide, high) in enumerate(sizes):
            if group:
                sheet.tile(left, top, group.tiles[index], wide, high, dead=group.dead)
            else:
                sheet.empty(left, top, wide, high)
            left += wide + gutter
    return y + rows * row_height


def _heading_height(heading: str | np.ndarray, width: int) -> int:
    if isinstance(heading, str):
        return round(line_height(palette.LABEL_SIZE))
    return max(1, round(heading.shape[0] * width / heading.shape[1]))


def _label(sheet: Sheet, right: float, top: float, group: Group) -> None:
    written = [(group.label, palette.TEXT), *((note, palette.QUIET_TEXT) for note in group.notes)]
    if group.dead:
        written.append(("dead", palette.DEAD_TEXT))
    for text, ink in written:
        sheet.text(right, top, text, palette.LABEL_SIZE, ha="right", color=ink)
        top += line_height(palette.LABEL_SIZE)
