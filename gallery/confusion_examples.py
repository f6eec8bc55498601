"""What the network takes for what, with images of each confusion."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "confusion_examples",
    group="networks",
    place=3,
    needs="split",
    shows="images behind each cell of the confusion matrix",
    reading="A row is a true class, a column what was said, with the surest images in the cell.",
    page="gallery-networks.md#confusion_examples",
)
def confusion_examples(material: "Material") -> "Iterator[Drawing]":
    def draw():
        classified, classes = material.classified, len(material.labels)
        true, predicted = classified.true, classified.predicted
        matrix = np.zeros((classes, classes), int)
        np.add.at(matrix, (true, predicted), 1)
        examples = interpret.examples_of_confusions(true, predicted, classified.confidence, classes)
        rows, place_of = np.unique(examples[examples >= 0], return_inverse=True)
        images = material.examples(rows)
        shown = examples.copy()
        shown[examples >= 0] = place_of
        figure = visualization.confusion_examples_figure(
            matrix, images, shown, material.labels, caption=material.caption()
        )
        return figure, {"matrix": matrix, "images": images, "examples": shown, "index": material.sample[rows]}

    yield visualization.Drawing("confusion_examples", draw)
