"""What would excite a unit, or a class, most: images that are made for it."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.material import BATCH
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            units = _strongest(material, layer)
            return _made_for(material, units, [f"unit {unit}" for unit in units], layer)

        yield visualization.Drawing(f"activation_maximization-{layer}", draw)

    def draw_classes():
        explained = material.targets.tolist()
        classes = sorted(list(dict.fromkeys([*explained, *range(len(material.labels))]))[:UNITS_SHOWN])
        return _made_for(material, classes, [material.labels[index] for index in classes])

    yield visualization.Drawing("activation_maximization-classes", draw_classes)


def _strongest(material: "Material", name: str) -> list[int]:
    """The units that the user named, or those that the images excite most."""
    if material.config.units is not None:
        return list(dict.fromkeys(material.config.units))[:UNITS_SHOWN]
    layer = next(layer for layer in material.scene.layers if layer.name == name)
    order = np.argsort(-np.nan_to_num(layer.activation), kind="stable")
    return order[:UNITS_SHOWN].tolist()


def _made_for(material: "Material", units: list[int], names: list[str], layer: str | None = None):
    """The figure of images made for units of a layer or, without one, for classes, beside the best real ones."""
    size = material.images.shape[1:3]
    with progress_bar(f"Climbing for {layer or 'classes'}") as progress:
        made = interpret.activation_maximization(
            material.network, units, layer=layer, image_size=size, seed=material.config.seed, progress=progress
        )
    best, activations = _best_real(material, units, layer) if material.lacks_data is None else (None, None)
    figure = visualization.maximization_figure(
        made.images, made.activations, names, best=best, best_activations=activations,
        caption=material.caption(layer), **({} if layer else {"measure": "logit"}),
    )  # fmt: skip
    real = {} if best is None else {"best": best, "best_activations": activations}
    return figure, {"units": np.array(units), "images": made.images, "activations": made.activations, **real}


def _best_real(material: "Material", units: list[int], layer: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Of the split, the image that excites each unit most, (units, height, width, channels), and how strongly."""
    best, activations = None, np.full(len(units), -np.inf, np.float32)
    seen, total, batches = 0, material.images_in(material.config.images), material.batches(material.config.images)
    with progress_bar("Looking for real images", total) as progress:
        for images, _, _ in batches:
            reached = interpret.unit_activations(material.network, images, layer=layer, batch_size=BATCH)[:, units]
            best = np.zeros((len(units), *images.shape[1:]), images.dtype) if best is None else best
            better = reached.max(axis=0) > activations
            best[better] = images[reached.argmax(axis=0)[better]]
            activations = np.maximum(activations, reached.max(axis=0))
            progress(seen := seen + len(images), total)
    return best, activations
