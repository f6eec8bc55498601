"""In how many directions the kernels of each layer look."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten

if TYPE_CHECKING:
    from convlens.interpret import LayerSpectrum

WIDTH, HEIGHT, COLUMNS = 480, 330, 4
WORDS = (
    "effective rank: how many equally strong directions would be as spread out; likeness: mean |cosine|, 0 for kernels "
    "with nothing in common, 1 for the same but for size and sign"
)


def kernel_spectrum_figure(spectra: Sequence["LayerSpectrum"], *, caption: Caption = UNKNOWN) -> Figure:
    """The singular values of each layer's kernels beside those of random ones of the same shape and variance."""
    columns = min(COLUMNS, len(spectra))
    step_x, step_y = WIDTH + 120, HEIGHT + 230
    sheet = Sheet(width=max(900, columns * step_x))
    facts = caption.facts("blue: learned; grey: random weights of the same shape and variance", WORDS, "scale: layer")
    y = heading(sheet, "Singular values of the kernels", facts, sheet.width)
    line = line_height(palette.LABEL_SIZE)
    for index in range(columns * math.ceil(len(spectra) / columns)):
        x, top = MARGIN + 60 + index % columns * step_x, y + index // columns * step_y
        if index >= len(spectra):
            sheet.empty(x, top + 4 * line, WIDTH, HEIGHT)
            continue
        learned, random = spectra[index].learned, spectra[index].random
        title = f"{spectra[index].layer}: {learned.shape[1]} kernels of {learned.shape[0]} weights"
        sheet.text(x, top, shorten(title, WIDTH + 60, palette.LABEL_SIZE, "bold"), palette.LABEL_SIZE, weight="bold")
        ranks = f"{learned.effective_rank:.1f} (random {random.effective_rank:.1f}) of {min(learned.shape)}"
        cosines = f"{learned.mean_abs_cosine:.3f} (random {random.mean_abs_cosine:.3f})"
        sheet.text(x, top + line, f"effective rank {ranks}", palette.LABEL_SIZE)
        sheet.text(x, top + 2 * line, f"likeness of two kernels {cosines}", palette.LABEL_SIZE)
        axes = sheet.axes(x, top + 4 * line, WIDTH, HEIGHT)
        numbers = np.arange(1, len(learned.singular_values) + 1)
        axes.plot(numbers, random.singular_values, color=palette.QUIET_TEXT, linewidth=1.2)
        axes.plot(numbers, learned.singular_values, color=palette.NEGATIVE, linewidth=2, marker="o", markersize=2)
        axes.set_ylim(0, 1.08 * max(palette.largest(learned.singular_values), palette.largest(random.singular_values)))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("direction, strongest first", fontsize=palette.LABEL_SIZE)
        axes.grid(color=palette.GRID, linewidth=0.5)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    sheet.grow_to(y + step_y * math.ceil(len(spectra) / columns) - 60 + line)
    return sheet.figure()
