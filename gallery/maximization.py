"""What would excite a unit, or a class, most: images that are made for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.material import BATCH
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing

UNITS_SHOWN = 8


@figure(
    "activation_maximization",
    group="attribution",
    place=4,
    needs="images",
    shows="an image made to excite a unit",
    reading="An image made to excite the unit: what it would like to see, not what it does see.",
    page="gallery-attribution.md#activation_maximization",
)
def activation_maximization(material: "Material") -> "Iterator[Drawing]":
    """Images made for the strongest units of the chosen layers, by default of each block's last, and for classes."""
    for layer in material.representative_layers:

        def draw(layer=layer):
            return _made_for(material, _strongest(material, layer), layer)

        yield visualization.Drawing(f"activation_maximization-{layer}", draw)

    def draw_classes():
        explained = material.targets.tolist()
        classes = sorted(list(dict.fromkeys([*explained, *range(len(material.labels))]))[:UNITS_SHOWN])
        return _made_for(material, classes)

    yield visualization.Drawing("activation_maximization-classes", draw_classes)


def _strongest(material: "Material", name: str) -> list[int]:
    """The units that the user named, or those that the images excite most."""
    if material.config.units is not None:
        return list(dict.fromkeys(material.config.units))[:UNITS_SHOWN]
    layer = next(layer for layer in material.scene.layers if layer.name == name)
    order = np.argsort(-np.nan_to_num(layer.activation), kind="stable")
    return order[:UNITS_SHOWN].tolist()


def _made_for(
    material: "Material", units: list[int], layer: str | None = None
) -> "tuple[Figure, dict[str, np.ndarray]]":
    """The figure of images made for units of a layer or, without one, for classes, beside the best real ones."""
    size = material.images.shape[1:3]
    with progress_bar(f"Climbing for {layer or 'classes'}") as progress:
        made = interpret.activation_maximization(
            material.network, units, layer=layer, image_size=size, seed=material.config.seed, progress=progress
        )
    real = _strongest_real(material, units, layer) if material.lacks_data is None else None
    caption = replace(material.caption(layer), labels=material.labels)
    figure = visualization.maximization_figure(made, real=real, caption=caption)
    return figure, made.arrays() | ({} if real is None else real.arrays())


def _strongest_real(material: "Material", units: list[int], layer: str | None) -> "interpret.StrongestImages":
    """Of the split, the image that excites each unit most."""
    count = material.config.images
    total = material.images_in(count)
    with progress_bar("Looking for real images", total) as progress:
        return interpret.strongest_images(
            material.network, material.batches(count), units, layer=layer, batch_size=BATCH,
            progress=lambda done, _=None: progress(done, total),
        )  # fmt: skip
