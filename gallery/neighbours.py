"""Which images the network takes for alike."""

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
            neighbouring = nearest.images[nearest.rows]
            figure = visualization.neighbours_figure(
                material.images, neighbouring, nearest.distances, labels=material.labels,
                query_classes=material.true_labels(), classes=nearest.labels[nearest.rows], names=material.names,
                images=count, split=material.split, caption=material.caption(layer),
            )  # fmt: skip
            arrays = {"queries": material.images, "neighbours": neighbouring, "distances": nearest.distances}
            return figure, {**arrays, "index": material.sample[nearest.index]}

        yield visualization.Drawing(f"neighbours-{layer}", draw)
