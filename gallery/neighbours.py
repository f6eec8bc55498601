"""Which images the network takes for alike."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "neighbours",
    group="networks",
    place=2,
    needs="split",
    shows="images of the split that the network takes for alike",
    reading="Right of each image are those that the layer takes for most alike; red ones are of another class.",
    page="gallery-networks.md#neighbours",
)
def neighbours(material: "Material") -> "Iterator[Drawing]":
    """For the last layer of each block, or those that the user named, what it takes for most like each image."""
    for layer in material.representative_layers:

        def draw(layer=layer):
            count = material.images_in(material.config.images)
            with progress_bar(f"Comparing in {layer}", count) as progress:
                nearest = interpret.nearest_neighbours(
                    material.model, material.images, material.batches(count), layer,
                    skip=material.rows_in_sample, progress=progress,
                )  # fmt: skip
            nearest = replace(nearest, index=material.sample[nearest.index])  # in the split
            figure = visualization.neighbours_figure(
                nearest, query_classes=material.true_labels(), names=material.names,
                caption=material.caption_of_split(layer),
            )  # fmt: skip
            return figure, {**nearest.arrays(), "names": material.names_of(nearest.index)}

        yield visualization.Drawing(f"neighbours-{layer}", draw)
