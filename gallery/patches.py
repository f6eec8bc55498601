"""What each unit likes best: the images, and where in them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import visualization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


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
