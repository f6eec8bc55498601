"""A picture of pictures: what the dataset looks like at a glance."""

import numpy as np

from .render import render
from .vehicles import STYLES


def contact_sheet(columns: int = 10, size: int = 64, zoom: int = 2, gutter: int = 4) -> np.ndarray:
    """One row of rendered vehicles for each of STYLES, (height, width, 3) uint8, each pixel drawn `zoom` times."""
    step = size * zoom + gutter
    sheet = np.full((step * len(STYLES) + gutter, step * columns + gutter, 3), 255, np.uint8)
    for row, style in enumerate(STYLES):
        for column in range(columns):
            picture = render(style, f"{style}/{column}", size)["image"].repeat(zoom, 0).repeat(zoom, 1)
            top, left = gutter + row * step, gutter + column * step
            sheet[top : top + size * zoom, left : left + size * zoom] = picture
    return sheet
