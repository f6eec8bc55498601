"""Tiles that belong together, a row for a unit, the rows in as many columns as fit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualization import palette
from visualization.sheet import Sheet, line_height

LABEL_WIDTH = 92
WIDEST = 2160


@dataclass(frozen=True)
class Group:
    """One unit's row: its tiles as colours, (height, width, 3) uint8 each, and what is written beside them."""

    label: str
    tiles: Sequence[np.ndarray]
    note: str = ""
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
    lines = 1 + any(group.note for group in groups) + any(group.dead for group in groups)
    row_height = max(max(height for _, height in sizes), round(lines * line_height(palette.LABEL_SIZE))) + gutter
    width = LABEL_WIDTH + sum(wide for wide, _ in sizes) + gutter * (len(sizes) - 1)
    gap = max(gutter, 50)
    columns = max(1, min(len(groups), (WIDEST + gap) // (width + gap)))
    rows = math.ceil(len(groups) / columns)

    head = max(line_height(palette.LABEL_SIZE) if isinstance(text, str) else high for text, (_, high) in
               zip(headings, sizes, strict=True))  # fmt: skip
    for column in range(columns):
        left = x + column * (width + gap) + LABEL_WIDTH
        for text, (wide, high) in zip(headings, sizes, strict=True):
            if isinstance(text, str):
                place = (left + wide / 2, y + head)
                sheet.text(*place, text, palette.LABEL_SIZE, ha="center", va="bottom", color=palette.QUIET_TEXT)
            else:
                sheet.photo(left, y, text, wide, high)
            left += wide + gutter
    y += head + max(10, gutter // 2)

    for place in range(rows * columns):
        left = x + place % columns * (width + gap)
        top = y + place // columns * row_height
        group = groups[place] if place < len(groups) else None
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


def _label(sheet: Sheet, right: float, top: float, group: Group) -> None:
    written = [(group.label, palette.TEXT), (group.note, palette.QUIET_TEXT)]
    if group.dead:
        written.append(("dead", palette.DEAD_TEXT))
    for text, ink in written:
        if text:
            sheet.text(right, top, text, palette.LABEL_SIZE, ha="right", color=ink)
            top += line_height(palette.LABEL_SIZE)
