"""What excites each unit most: the images, and where in them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "top_patches",
    group="units",
    position=2,
    needs="split",
    shows="the patches of the split that excite a unit most",
    reading="Each row shows what excites one unit most: look for what all its patches share.",
    page="gallery-units.md#top_patches",
)
def top_patches(inputs: "FigureInputs") -> "Iterator[Drawing]":
    for layer in inputs.convolutions:

        def draw(layer=layer):
            patches = inputs.unit_results.patches[layer]
            patches = replace(patches, index=inputs.sample[patches.index])  # in the split
            figure = visualization.top_patches_figure(
                patches, caption=inputs.caption_of_split(layer), units=inputs.config.units
            )
            return figure, {**patches.arrays(), "names": inputs.names_of(patches.index)}

        yield visualization.Drawing(f"top_patches-{layer}", draw)
