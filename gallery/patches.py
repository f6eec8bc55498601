"""What each unit likes best: the images, and where in them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "top_patches",
    group="units",
    place=2,
    needs="split",
    shows="the patches of the split that excite a unit most",
    reading="Each row shows what excites one unit most: look for what all its patches share.",
    page="gallery-units.md#top_patches",
)
def top_patches(material: "Material") -> "Iterator[Drawing]":
    for layer in material.convolutions:

        def draw(layer=layer):
            patches = material.unit_results.patches[layer]
            patches = replace(patches, index=material.sample[patches.index])  # in the split
            figure = visualization.top_patches_figure(
                patches, caption=material.caption_of_split(layer), units=material.config.units
            )
            return figure, patches.arrays()

        yield visualization.Drawing(f"top_patches-{layer}", draw)
