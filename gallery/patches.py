"""What each unit likes best: the images, and where in them."""

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
            figure = visualization.top_patches_figure(
                patches.images, patches.rows, patches.boxes, patches.values, caption=material.caption(layer),
                labels=[material.labels[label] for label in patches.labels], split=material.split,
                units=material.config.units, sort="activation", dead=material.unit_results.statistics[layer].dead,
            )  # fmt: skip
            arrays = {name: getattr(patches, name) for name in ("images", "rows", "boxes", "values", "places")}
            return figure, {**arrays, "index": material.sample[patches.index]}

        yield visualization.Drawing(f"top_patches-{layer}", draw)
