"""What would excite a unit, or a class, most: images that are made for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure
from convlens.gallery.split_inputs import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

UNITS_SHOWN = 8


@figure(
    "activation_maximization",
    group="attribution",
    position=4,
    needs="images",
    shows="an image made to excite a unit",
    reading="An image made to excite the unit: what it would like to see, not what it does see.",
    page="gallery-attribution.md#activation_maximization",
)
def activation_maximization(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """Images made for the strongest units of the chosen layers, by default of each block's last, and for classes."""
    for layer in inputs.representative_layers:

        def draw(layer=layer):
            return _made_for(inputs, _strongest(inputs, layer), layer)

        yield visualization.Drawing(f"activation_maximization-{layer}", draw)

    def draw_classes():
        explained = inputs.targets.tolist()
        classes = sorted(list(dict.fromkeys([*explained, *range(len(inputs.labels))]))[:UNITS_SHOWN])
        return _made_for(inputs, classes)

    yield visualization.Drawing("activation_maximization-classes", draw_classes)


def _strongest(inputs: "FigureInputs", name: str) -> list[int]:
    """The units that the user named, or those that the images excite most."""
    if inputs.config.units is not None:
        return list(dict.fromkeys(inputs.config.units))[:UNITS_SHOWN]
    activation, _ = inputs.observation.layer(name).activity()
    order = np.argsort(-np.nan_to_num(activation), kind="stable")
    return order[:UNITS_SHOWN].tolist()


def _made_for(
    inputs: "FigureInputs", units: list[int], layer: str | None = None
) -> "tuple[Figure, dict[str, np.ndarray]]":
    """The figure of images made for units of a layer or, without a layer, for classes, beside the best real ones."""
    size = inputs.images.shape[1:3]
    with progress_bar(f"Climbing for {layer or 'classes'}") as progress:
        made = interpret.activation_maximization(
            inputs.network, units, layer=layer, image_size=size, seed=inputs.config.seed, progress=progress
        )
    real = _strongest_real(inputs, units, layer) if inputs.lacks_data is None else None
    caption = replace(inputs.caption(layer), labels=inputs.labels)
    figure = visualization.maximization_figure(made, real=real, caption=caption)
    return figure, made.arrays() | ({} if real is None else real.arrays())


def _strongest_real(inputs: "FigureInputs", units: list[int], layer: str | None) -> "interpret.StrongestImages":
    """Of the split, the image that excites each unit most."""
    count = inputs.config.images
    total = inputs.images_in(count)
    with progress_bar("Looking for real images", total) as progress:
        return interpret.strongest_images(
            inputs.network, inputs.batches(count), units, layer=layer, batch_size=BATCH,
            progress=lambda done, _=None: progress(done, total),
        )  # fmt: skip
