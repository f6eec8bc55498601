"""How well a model did: what it takes for what, and its most confident mistakes."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.sheet import MARGIN, Sheet, line_height, percent, shorten, shorten_middle, text_width

if TYPE_CHECKING:
    from convlens.training.evaluation import Confusion, Mistakes


def confusion_matrix_figure(confusion: "Confusion", *, title: str = "Confusion matrix") -> Figure:
    """A confusion matrix: a row a true class, a column a predicted one, counts in the cells.

    Colours are shares of the true class. The diagonal (blue) and the mistakes (red) have a colour scale each, because
    on one scale the mistakes of a good model could not be seen. Classes without images have hatched rows. Raises
    ValueError where the matrix is not as large as there are classes.
    """
    matrix, labels = np.asarray(confusion.matrix), confusion.classes
    classes = len(labels)
    if matrix.shape != (classes, classes):
        raise ValueError(f"matrix of shape {matrix.shape} with {classes} labels; expected ({classes}, {classes})")
    cell = int(np.clip(1600 / classes, 20, 140))
    size = float(np.clip(cell / 3.2, 5.5, palette.BODY_SIZE))
    names = [shorten(label, 420, size) for label in labels]
    margin = max(text_width(name, size) for name in names)

    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    diagonal = np.eye(classes, dtype=bool)
    mistakes = float(shares[~diagonal].max(initial=0.0))
    colours = palette.SEQUENTIAL[np.rint(shares / (mistakes or 1.0) * 255).clip(0, 255).astype(int)]
    colours[diagonal] = palette.AGREEMENT[np.rint(shares[diagonal] * 255).astype(int)]

    sheet = Sheet(width=1300)
    y = sheet.paragraph(MARGIN, MARGIN, title, 1250, palette.TITLE_SIZE, weight="bold")
    right = int(np.trace(matrix))
    summary = f"{right:,} of {int(matrix.sum()):,} images right; rows: true class; columns: predicted class"
    y = sheet.paragraph(MARGIN, y, summary, 1250, palette.BODY_SIZE, color=palette.QUIET_TEXT) + 30

    left, top = MARGIN + margin + 16, y + margin + 10
    side = classes * (cell + 1)
    grid = np.empty((side + 1, side + 1, 3), np.uint8)
    grid[:] = palette.GUTTER
    for row in range(classes):
        for column in range(classes):
            y0, x0 = 1 + row * (cell + 1), 1 + column * (cell + 1)
            square = colours[row, column] if totals[row] else palette.hatch(cell, cell)
            grid[y0 : y0 + cell, x0 : x0 + cell] = square
    sheet.paint(left, top, grid)

    centres = 1 + np.arange(classes) * (cell + 1) + cell / 2
    for centre, name in zip(centres, names, strict=True):
        sheet.text(left - 10, top + centre, name, size, ha="right", va="center_baseline")
        sheet.text(left + centre, top - 10, name, size, ha="center", va="bottom", rotation=90)
    count_size = min(size, cell * 0.8 / max(len(str(matrix.max(initial=0))), 2) / 1.8)
    if count_size >= 5:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            ink = palette.text_on(colours[row, column])
            centre = left + centres[column], top + centres[row]
            sheet.text(*centre, str(int(matrix[row, column])), count_size, ha="center", va="center_baseline", color=ink)

    y = top + side + 40
    y = sheet.colour_bar(left, y, 1.0, "right: share of the true class", table=palette.AGREEMENT, spell=percent)
    if mistakes:
        sheet.colour_bar(
            left, y, mistakes, "mistakes: share of the true class", table=palette.SEQUENTIAL, spell=percent
        )
    return sheet.figure()


def mistakes_figure(mistakes: "Mistakes", *, title: str = "Most confident mistakes") -> Figure:
    """Wrongly classified images with the prediction, its confidence, the true class and, where it is known, the image's
    name under each, in their order."""
    images, labels = mistakes.images, mistakes.classes
    sheet = Sheet(width=1300)
    y = sheet.paragraph(MARGIN, MARGIN, title, 1850, palette.TITLE_SIZE, weight="bold") + 20
    if not len(images):
        sheet.text(MARGIN, y, "There are none: every image was classified correctly.", palette.BODY_SIZE)
        return sheet.figure()
    high, wide = images.shape[1:3]
    width = 288 if wide > 288 else 288 // wide * wide
    height = max(1, round(high * width / wide))
    columns = min(6, len(images))
    step = 288 + 36
    row_height = height + (3 if len(mistakes.names) else 2) * line_height(palette.LABEL_SIZE) + 44
    for index in range(columns * math.ceil(len(images) / columns)):
        x, top = MARGIN + index % columns * step, y + index // columns * row_height
        if index >= len(images):
            sheet.empty(x, top, width, height)
            continue
        sheet.photo(x, top, images[index], width, height)
        below = top + height + 8
        share = f" {mistakes.confidence[index]:.0%}"
        width_left = 300 - text_width(share, palette.LABEL_SIZE)
        prediction = shorten(f"said {labels[mistakes.predicted[index]]}", width_left, palette.LABEL_SIZE) + share
        sheet.text(x, below, prediction, palette.LABEL_SIZE, color=palette.POSITIVE)
        is_class = shorten(f"is {labels[mistakes.true[index]]}", 300, palette.LABEL_SIZE)
        sheet.text(x, below + line_height(palette.LABEL_SIZE), is_class, palette.LABEL_SIZE)
        if len(mistakes.names):
            called = shorten_middle(mistakes.names[index], 300, palette.LABEL_SIZE)
            below += 2 * line_height(palette.LABEL_SIZE)
            sheet.text(x, below, called, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    return sheet.figure()
