"""One pass over the images of a split that answers every question about units at once.

Each question is a collector: it sees every batch with the maps of all layers, and keeps no more than its answer needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError
from convlens.core.progress import Progress
from convlens.interpret.receptive_field import ReceptiveField, fields_of
from convlens.models.inspection.batches import image_count, labelled_batches
from convlens.models.inspection.graph import Graph, Node
from convlens.models.inspection.inspection import Inspection

KERNELS_OF_UNITS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class UnitLayer:
    """One layer whose units are looked at."""

    name: str
    units: int
    field: ReceptiveField
    kernel: np.ndarray | None  # (height, width, inputs, units); None where a unit has no kernel of its own


@dataclass(frozen=True)
class Batch:
    """Some images of a split, and what every layer makes of them."""

    start: int  # the first image's index in the split
    images: np.ndarray  # (n, height, width, channels)
    labels: np.ndarray | None  # (n,) class indices
    masks: np.ndarray | None  # (n, height, width) which part each pixel shows
    maps: Mapping[str, np.ndarray]  # (n, rows, columns, units) float32, by layer, after the activation


class Collector(Protocol):
    """A question about units. `start` may be called again, and then forgets what was collected."""

    def start(self, layers: Mapping[str, UnitLayer]) -> None: ...

    def add(self, batch: Batch) -> None: ...

    def result(self) -> Any: ...


def unit_pass(
    model: keras.Model,
    batches: Any,
    layers: Sequence[str] | None = None,
    *,
    collectors: Sequence[Collector],
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[Any]:
    """Shows every batch to every collector, in one forward pass each, and returns each collector's result.

    `batches` gives the images and whatever else the collectors need: an array of images, a list of image files, a
    mapping {"image": (n, height, width, channels), "label": (n,), "parts": (n, height, width)} of which only "image" is
    required, or an iterable of batches, each an array, a tuple (images, labels), (images, labels, parts) or such a
    mapping. Labels are class indices or one-hot.

    `layers` are names of layers with maps or of dense ones, a nested one by its path; None takes every convolution.
    Collectors get the output of a layer after its activation. `progress` counts images. Raises ModelError if images or
    layers do not suit the model.
    """
    inspection = Inspection(model)
    unit_maps, seen, total = None, 0, image_count(batches)
    for images, labels, masks in labelled_batches(batches, batch_size, inspection.image_shape):
        if unit_maps is None:
            unit_maps = _UnitMaps(inspection, layers, images.shape[1:])
            for collector in collectors:
                collector.start(unit_maps.layers)
        batch = Batch(seen, images, labels, masks, unit_maps(images))
        for collector in collectors:
            collector.add(batch)
        seen += len(images)
        if progress:
            progress(seen, total)
    if unit_maps is None:
        raise ModelError("there are no images")
    return [collector.result() for collector in collectors]


class _UnitMaps:
    """The maps of chosen layers, after their activation, for a batch of images of one size."""

    def __init__(self, inspection: Inspection, layers: Sequence[str] | None, image_shape: tuple[int, int, int]):
        graph = inspection.graph(image_shape[:2], image_shape[2])
        nodes = {name: _unit_node(graph, name) for name in _names(graph, layers)}
        fields = fields_of(graph, nodes)
        self.layers = {
            name: UnitLayer(name, node.output_shapes[0][-1], fields[name], _kernel(node))
            for name, node in nodes.items()
        }
        self._inspection, self._taps = inspection, {name: graph.unit_tap(node) for name, node in nodes.items()}

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: maps.reshape(len(images), *self.layers[name].field.map_size, self.layers[name].units)
            for name, maps in self._inspection.maps(images, self._taps).items()
        }


def _names(graph: Graph, layers: Sequence[str] | None) -> Sequence[str]:
    names = [node.name for node in graph.convolutions()] if layers is None else layers
    if not names:
        raise ModelError("the model has no convolution; name the layers whose units you want")
    return names


def _unit_node(graph: Graph, name: str) -> Node:
    node = graph.node(name)
    if len(node.output_shapes) != 1 or len(node.output_shapes[0]) not in (2, 4):
        raise ModelError(f"layer '{name}' gives {node.output_shapes}; expected maps, or a value a unit")
    return node


def _kernel(node: Node) -> np.ndarray | None:
    if not isinstance(node.layer, KERNELS_OF_UNITS):
        return None
    kernel = np.array(ops.convert_to_numpy(ops.cast(node.layer.kernel, "float32")))
    # A depthwise layer's units are its input channels, times its multiplier.
    depthwise = isinstance(node.layer, keras.layers.DepthwiseConv2D)
    return kernel.reshape(*kernel.shape[:2], 1, -1) if depthwise else kernel
