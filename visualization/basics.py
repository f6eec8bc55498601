"""The figures that are drawn of an observation alone: kernels, the maps that they make, and the steps between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization.caption import UNKNOWN, Caption
from convlens.visualization.display import Display, reasons, units_alive
from convlens.visualization.extraction import unit_extraction_figure
from convlens.visualization.feature_maps import feature_maps_figure, kernels_and_maps_figure
from convlens.visualization.forward_pass import pipeline_figure, stops_of_image
from convlens.visualization.kernels import kernels_figure, show_kernel
from convlens.visualization.palette import largest
from convlens.visualization.relu import UNITS, relu_figure

if TYPE_CHECKING:
    from convlens.interpret import Observation, ObservedLayer

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its file name without suffix, and what gives it and the arrays behind it."""

    name: str
    draw: Callable[[], tuple[Figure, Arrays]]


def plan(
    observation: "Observation", figure: str, display: Display | None = None, caption: Caption = UNKNOWN
) -> list[Drawing]:
    """Every drawing that a figure of `FIGURES` stands for, none of them drawn yet; none where nothing fits it.

    `caption` is that of the network; the drawings of a layer name it too.
    """
    return list(FIGURES[figure](observation, display or Display(), caption))


def _kernels(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    limit = largest(np.concatenate([layer.kernel.ravel() for layer in observation.layers]))
    for layer in observation.layers:

        def draw(layer=layer):
            return kernels_figure(layer, caption=caption, display=display, limit=limit), layer.arrays()

        yield Drawing(f"kernels-{layer.name}", draw)


def _kernel(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    for layer in (layer for layer in observation.layers if layer.paired):
        for unit in units_alive(layer, display, 1):

            def draw(layer=layer, unit=unit):
                kernel = layer.kernel[..., unit]
                channels = _shown_channels(layer, unit)
                panels = ["R", "G", "B"] if layer.rgb else [f"channel {channel}" for channel in channels]
                figure = show_kernel(
                    kernel[..., channels], caption=caption.of_layer(layer), name=f"unit {unit}", panels=panels,
                    rgb=layer.rgb, total_channels=kernel.shape[-1], reason=reasons(layer, display, [unit])[0],
                )  # fmt: skip
                return figure, {"kernel": kernel, "channels_shown": channels}

            yield Drawing(f"kernel-{layer.name}-unit{unit}", draw)


def _shown_channels(layer: "ObservedLayer", unit: int) -> np.ndarray:
    """The channels of a colour image, or the three strongest input channels of a unit."""
    strength = (layer.kernel[..., unit].astype(np.float64) ** 2).sum(axis=(0, 1))
    return np.arange(3) if layer.rgb else np.sort(np.argsort(-strength, kind="stable")[:3])


def _kernels_and_maps(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    for layer in (layer for layer in observation.layers if layer.paired):

        def draw(layer=layer):
            figure = kernels_and_maps_figure(observation, layer.name, caption=caption, display=display)
            return figure, {"kernel": layer.kernel, "images": observation.images, "filter": layer.maps["filter"]}

        yield Drawing(f"kernels_and_maps-{layer.name}", draw)


def _feature_maps(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    for layer in observation.layers:
        for image in range(len(observation.images)):

            def draw(layer=layer, image=image):
                figure = feature_maps_figure(observation, layer.name, image, caption=caption, display=display)
                maps = {stage: array[image] for stage, array in layer.maps.items()}
                return figure, {"image": observation.images[image], **maps}

            yield Drawing(f"feature_maps-{layer.name}-image{image}", draw)


def _extraction(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    for layer in observation.layers:
        for unit in units_alive(layer, display, 1):

            def draw(layer=layer, unit=unit):
                figure = unit_extraction_figure(observation, layer.name, unit, caption=caption, display=display)
                arrays = {"kernel": layer.kernel[..., unit]} if layer.paired else {}
                arrays |= layer.reading(unit).arrays() if layer.reading else {}
                stages = {stage: array[..., unit] for stage, array in layer.maps.items()}
                return figure, {"images": observation.images, **arrays, **stages}

            yield Drawing(f"extraction-{layer.name}-unit{unit}", draw)


def _relu(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    for layer in (layer for layer in observation.layers if layer.has_relu):

        def draw(layer=layer):
            units = units_alive(layer, display, UNITS)
            filtered = np.stack([layer.maps["filter"][..., unit] for unit in units])
            figure = relu_figure(observation, layer.name, caption=caption, display=display)
            return figure, {"units": units, "filter": filtered}

        yield Drawing(f"relu-{layer.name}", draw)


def _pipeline(observation: "Observation", display: Display, caption: Caption) -> Iterator[Drawing]:
    for image in range(len(observation.images)):

        def draw(image=image):
            stops = stops_of_image(observation, image)
            arrays = {f"{stop.layer}:{stop.stage}".replace("/", ":"): stop.maps for stop in stops}
            if observation.probabilities is not None:
                arrays["shares"] = observation.probabilities[image]
            figure = pipeline_figure(observation, image, caption=replace(caption, layer=None), display=display)
            return figure, {"image": observation.images[image], **arrays}

        yield Drawing(f"pipeline-image{image}", draw)


FIGURES: dict[str, Callable[["Observation", Display, Caption], Iterator[Drawing]]] = {
    "kernels": _kernels,
    "kernel": _kernel,
    "kernels_and_maps": _kernels_and_maps,
    "feature_maps": _feature_maps,
    "extraction": _extraction,
    "relu": _relu,
    "pipeline": _pipeline,
}
