"""Which images the network considers most similar."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "neighbours",
    group="networks",
    position=2,
    needs="split",
    shows="images of the split that the network takes for alike",
    reading="Right of each image are those that the layer takes for most alike; red ones are of another class.",
    page="gallery-networks.md#neighbours",
)
def neighbours(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """For the last layer of each block, or the layers that the user named: the images that it considers most similar to
    each image.
    """
    for layer in inputs.representative_layers:

        def draw(layer=layer):
            count = inputs.images_in(inputs.config.images)
            with progress_bar(f"Comparing in {layer}", count) as progress:
                nearest = interpret.nearest_neighbours(
                    inputs.model, inputs.images, inputs.batches(count), layer,
                    skip=inputs.rows_in_sample, progress=progress,
                )  # fmt: skip
            nearest = replace(nearest, index=inputs.sample[nearest.index])  # in the split
            figure = visualization.neighbours_figure(
                nearest, query_classes=inputs.true_labels(), names=inputs.names,
                caption=inputs.caption_of_split(layer),
            )  # fmt: skip
            return figure, {**nearest.arrays(), "names": inputs.names_of(nearest.index)}

        yield visualization.Drawing(f"neighbours-{layer}", draw)
