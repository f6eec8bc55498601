"""A confusion matrix with the images themselves in its cells."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.overlays import fitted, rgb, scaled
from convlens.visualization.sheet import MARGIN, Sheet, line_height, percent, shorten, text_width

if TYPE_CHECKING:
    from convlens.interpret import ConfusionExamples

MOST_CLASSES = 12
LINE = line_height(palette.LABEL_SIZE)
FRAME, GAP = 5, 5


def confusion_examples_figure(confusions: "ConfusionExamples", *, caption: Caption = UNKNOWN) -> Figure:
    """A confusion matrix with images in its cells: a row a true class, a column a predicted one.

    At most four images are shown in a cell. Its frame is blue where the answer is right, red where it is wrong, the
    stronger the larger its share of the true class. Of more than 12 classes those with the most mistakes are shown.
    Raises ValueError where the caption names another number of classes.
    """
    matrix, images, examples = confusions.matrix, confusions.images, confusions.examples
    labels = caption.class_names(len(matrix))
    wrong = matrix - np.diag(np.diag(matrix))
    shown = np.sort(np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:MOST_CLASSES])
    totals = matrix.sum(axis=1)
    shares = matrix / np.maximum(totals, 1)[:, None]
    worst = float((wrong / np.maximum(totals, 1)[:, None]).max(initial=0.0)) or 1.0

    cell = _cell_side(len(shown), max(images.shape[1:3]) if len(images) else 1)
    names = [shorten(labels[index], 330, palette.LABEL_SIZE, "bold") for index in shown]
    sheet = Sheet(width=1200)
    right = int(np.trace(matrix))
    facts = caption.facts(
        f"{right:,} of {int(matrix.sum()):,} images right",
        "rows: true class, columns: predicted class",
        "in a cell: the number of images, and the most confident of them",
        f"{len(shown)} of {len(labels)} classes, those with the most mistakes" if len(shown) < len(labels) else "",
    )
    step_y = cell + LINE + 16
    left = MARGIN + max(text_width(name, palette.LABEL_SIZE, "bold") for name in names) + 24
    y = heading(sheet, "What does it confuse?", facts, max(1200, left + len(shown) * (cell + 16) - MARGIN))
    for column, name in enumerate(names):
        x = left + column * (cell + 16) + cell / 2
        text = shorten(name, cell, palette.LABEL_SIZE, "bold")
        sheet.text(x, y, text, palette.LABEL_SIZE, ha="center", weight="bold")
    y += LINE + 14
    for row, true in enumerate(shown):
        top = y + row * step_y
        sheet.text(left - 16, top + cell / 2, names[row], palette.LABEL_SIZE, ha="right", va="center", weight="bold")
        if not totals[true]:
            sheet.text(
                left - 16, top + cell / 2 + LINE, "no images", palette.LABEL_SIZE, ha="right", color=palette.DEAD_TEXT
            )
        for column, predicted_class in enumerate(shown):
            x = left + column * (cell + 16)
            in_cell = [images[row] for row in examples[true, predicted_class] if row >= 0]
            is_right = true == predicted_class
            strength = shares[true, predicted_class] / (1.0 if is_right else worst)
            table = palette.AGREEMENT if is_right else palette.SEQUENTIAL
            frame = table[round(40 + 180 * strength)] if matrix[true, predicted_class] else np.array(palette.HATCH[1])
            sheet.paint(x, top, _cell(in_cell, cell, frame))
            if matrix[true, predicted_class]:
                ink = palette.NEGATIVE if is_right else palette.POSITIVE
                count = (
                    f"{int(matrix[true, predicted_class]):,}  ({percent(shares[true, predicted_class])})"
                    if cell >= 150
                    else str(matrix[true, predicted_class])
                )
                sheet.text(x + 2, top + cell + 4, count, palette.LABEL_SIZE, color=ink)
    sheet.grow_to(y + len(shown) * step_y + line_height(palette.LABEL_SIZE))
    return sheet.figure()


def _cell_side(classes: int, image_side: int) -> int:
    """Pixels of a cell: about as many as fit, and such that four small images keep whole pixels."""
    side = int(np.clip(1900 // classes, 150, 300))
    frame = 2 * FRAME + 3 * GAP
    whole = frame + 2 * image_side * max(1, round((side - frame) / 2 / image_side))
    return whole if 150 <= whole <= 300 else side


def _cell(images: Sequence[np.ndarray], side: int, frame: np.ndarray) -> np.ndarray:
    """One image large, or up to four in a square, inside a frame; (side, side, 3)."""
    tile = np.empty((side, side, 3), np.uint8)
    tile[:] = frame
    inside = side - 2 * FRAME
    tile[FRAME:-FRAME, FRAME:-FRAME] = palette.hatch(inside, inside) if not images else rgb("#ffffff")
    across = 1 if len(images) == 1 else 2
    image_side = (inside - (across + 1) * GAP) // across
    for position, image in enumerate(images[: across * across]):
        height, width = fitted(image.shape[:2], image_side)
        top = FRAME + GAP + position // across * (image_side + GAP) + (image_side - height) // 2
        left = FRAME + GAP + position % across * (image_side + GAP) + (image_side - width) // 2
        tile[top : top + height, left : left + width] = scaled(image, height, width)
    return tile
