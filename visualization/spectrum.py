"""In how many directions the kernels of each layer look."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten

WIDTH, HEIGHT, COLUMNS = 480, 330, 4
WORDS = (
    "effective rank: how many equally strong directions would be as spread out; likeness: mean |cosine|, 0 for kernels "
    "with nothing in common, 1 for the same but for size and sign"
)


@dataclass(frozen=True)
class Spectrum:
    """The kernels of a layer, flattened, as a matrix; `random_...` are those of random weights of its shape."""

    layer: str
    shape: tuple[int, int]  # weights of a kernel, units
    singular_values: np.ndarray  # largest first
    effective_rank: float
    mean_abs_cosine: float
    random_values: np.ndarray
    random_rank: float
    random_cosine: float


def kernel_spectrum_figure(spectra: Sequence[Spectrum], *, caption: Caption = UNKNOWN) -> Figure:
    """The singular values of each layer's kernels beside those of random ones of the same shape and variance."""
    columns = min(COLUMNS, len(spectra))
    step_x, step_y = WIDTH + 120, HEIGHT + 230
    sheet = Sheet(width=max(900, columns * step_x))
    facts = caption.facts("blue: learned; grey: random weights of the same shape and variance", WORDS, "scale: layer")
    y = heading(sheet, "Singular values of the kernels", facts, sheet.width)
    line = line_height(palette.LABEL_SIZE)
    for place in range(columns * math.ceil(len(spectra) / columns)):
        x, top = MARGIN + 60 + place % columns * step_x, y + place // columns * step_y
        if place >= len(spectra):
            sheet.empty(x, top + 4 * line, WIDTH, HEIGHT)
            continue
        one = spectra[place]
        title = f"{one.layer}: {one.shape[1]} kernels of {one.shape[0]} weights"
        sheet.text(x, top, shorten(title, WIDTH + 60, palette.LABEL_SIZE, "bold"), palette.LABEL_SIZE, weight="bold")
        rank = f"effective rank {one.effective_rank:.1f} (random {one.random_rank:.1f}) of {min(one.shape)}"
        cosine = f"likeness of two kernels {one.mean_abs_cosine:.3f} (random {one.random_cosine:.3f})"
        sheet.text(x, top + line, rank, palette.LABEL_SIZE)
        sheet.text(x, top + 2 * line, cosine, palette.LABEL_SIZE)
        axes = sheet.axes(x, top + 4 * line, WIDTH, HEIGHT)
        numbers = np.arange(1, len(one.singular_values) + 1)
        axes.plot(numbers, one.random_values, color=palette.QUIET_TEXT, linewidth=1.2)
        axes.plot(numbers, one.singular_values, color=palette.NEGATIVE, linewidth=2, marker="o", markersize=2)
        axes.set_ylim(0, 1.08 * max(palette.largest(one.singular_values), palette.largest(one.random_values)))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("direction, strongest first", fontsize=palette.LABEL_SIZE)
        axes.grid(color=palette.GRID, linewidth=0.5)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    sheet.text(MARGIN, y + step_y * math.ceil(len(spectra) / columns) - 60, "", palette.LABEL_SIZE)
    return sheet.figure()
