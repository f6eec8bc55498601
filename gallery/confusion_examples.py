"""What the network takes for what, with images of each confusion."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "confusion_examples",
    group="networks",
    position=3,
    needs="split",
    shows="images behind each cell of the confusion matrix",
    reading="A row is a true class, a column what was said, with the surest images in the cell.",
    page="gallery-networks.md#confusion_examples",
)
def confusion_examples(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        classified, labels = inputs.classified, inputs.labels
        confusions = interpret.confusion_examples(
            classified.true, classified.predicted, classified.confidence, len(labels), inputs.examples
        )
        confusions = replace(confusions, index=inputs.sample[confusions.index])  # in the split
        caption = replace(inputs.caption(), labels=labels)
        arrays = {**confusions.arrays(), "names": inputs.names_of(confusions.index)}
        return visualization.confusion_examples_figure(confusions, caption=caption), arrays

    yield visualization.Drawing("confusion_examples", draw)
