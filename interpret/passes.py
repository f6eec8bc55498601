"""One pass over the images of a split that answers every question about units at once.

Each question is a collector: it sees every batch with the maps of all layers, and keeps no more than its answer needs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError, unknown
from convlens.interpret.gradient import compiled
from convlens.interpret.receptive_field import ReceptiveField, fields_of, graph_at
from convlens.models.inspection.graph import Graph, Node, Tap, image_dtype, image_shape
from convlens.models.inspection.images import batches as image_batches, check_images
from convlens.models.inspection.taps import noted_pass

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
    progress: Callable[[int], object] | None = None,
) -> list[Any]:
    """Shows every batch to every collector, in one forward pass each, and returns each collector's result.

    `batches` gives images, and what else the collectors need: an array of images, a list of image files, a mapping
    {"image": (n, height, width, channels), "label": (n,), "parts": (n, height, width)} of which only the first is
    needed, or an iterable of batches, each an array, a tuple (images, labels), (images, labels, parts) or such a
    mapping. Labels are class indices or one-hot.

    `layers` are names of layers with maps or of dense ones, a nested one by its path; None takes every convolution.
    Looked at is what a layer gives after its activation. `progress` is told how many images were seen.
    Raises ModelError for images or layers that do not suit the model.
    """
    watch, seen = None, 0
    for images, labels, masks in labelled_batches(batches, batch_size, image_shape(model) or (None, None, None)):
        if watch is None:
            watch = _Watch(model, layers, images.shape[1:])
            for collector in collectors:
                collector.start(watch.layers)
        batch = Batch(seen, images, labels, masks, watch(images))
        for collector in collectors:
            collector.add(batch)
        seen += len(images)
        if progress:
            progress(seen)
    if watch is None:
        raise ModelError("there are no images to look at")
    return [collector.result() for collector in collectors]


class _Watch:
    """The maps of chosen layers for a batch of images."""

    def __init__(self, model: keras.Model, layers: Sequence[str] | None, shape: tuple[int, int, int]):
        graph = graph_at(model, shape[:2], shape[2])
        nodes = _chosen(graph, layers)
        fields = fields_of(graph, nodes)
        self.layers = {name: UnitLayer(name, _units(node), fields[name], _kernel(node)) for name, node in nodes.items()}
        taps = [unit_tap(graph, node) for node in nodes.values()]

        def forward(values, images):
            calls = {call.name: call for call in noted_pass(model, images, values)}
            return [ops.cast(tap.of(calls[tap.call]), "float32") for tap in taps]

        self._run, self._dtype, self._size = compiled(model, forward), image_dtype(model), 0

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        # A shorter batch is filled up: another shape would have to be compiled.
        self._size = max(self._size, len(images))
        filled = np.concatenate([images, np.repeat(images[-1:], self._size - len(images), axis=0)])
        arrays = self._run(filled.astype(self._dtype, copy=False))
        return {
            name: array[: len(images)].reshape(len(images), *layer.field.map_size, layer.units)
            for (name, layer), array in zip(self.layers.items(), arrays, strict=True)
        }


def unit_tap(graph: Graph, node: Node) -> Tap:
    """Where the values of a layer's units are found: after the activation that follows a convolution, if any does."""
    if not node.is_convolution:
        return Tap(node.name)
    stages = graph.stages(node)
    return stages.get("detect", stages["filter"])


def _chosen(graph: Graph, layers: Sequence[str] | None) -> dict[str, Node]:
    nodes = {node.name: node for node in graph.nodes}
    if layers is None:
        layers = [node.name for node in graph.convolutions()]
    for name in layers:
        if name not in nodes:
            raise ModelError(unknown("layer", name, nodes))
        shapes = nodes[name].output_shapes
        if len(shapes) != 1 or len(shapes[0]) not in (2, 4):
            raise ModelError(f"layer '{name}' gives {shapes}; expected maps, or a value a unit")
    if not layers:
        raise ModelError("the model has no convolution; name the layers whose units are asked about")
    return {name: nodes[name] for name in layers}


def _units(node: Node) -> int:
    return node.output_shapes[0][-1]


def _kernel(node: Node) -> np.ndarray | None:
    if not isinstance(node.layer, KERNELS_OF_UNITS):
        return None
    kernel = np.array(ops.convert_to_numpy(ops.cast(node.layer.kernel, "float32")))
    # A depthwise layer's units are its input channels, times its multiplier.
    depthwise = isinstance(node.layer, keras.layers.DepthwiseConv2D)
    return kernel.reshape(*kernel.shape[:2], 1, -1) if depthwise else kernel


def labelled_batches(
    source: Any, batch_size: int, shape: tuple[int | None, int | None, int | None]
) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray | None]]:
    """Batches of images, labels and masks, as far as there are any; `source` is what `unit_pass` takes.

    Raises ModelError for images that are not of `shape`, and for labels or masks that do not belong to them.
    """
    if isinstance(source, Mapping):
        count = len(source["image"])
        starts = range(0, count, batch_size)
        elements = ({key: array[at : at + batch_size] for key, array in source.items()} for at in starts)
    elif hasattr(source, "shape") or (isinstance(source, Sequence) and source and not _is_element(source[0])):
        elements = image_batches(source, batch_size, shape)
    elif isinstance(source, Iterable):
        elements = source
    else:
        raise ModelError(f"cannot take images from {type(source).__name__}; give arrays, image files or batches")
    for element in elements:
        images, labels, masks = (None if part is None else np.asarray(part) for part in _parts(element))
        check_images(images, shape)
        yield images, _indices(labels, len(images)), _masks(masks, len(images))


def _is_element(item: Any) -> bool:
    return isinstance(item, tuple | Mapping) or hasattr(item, "shape")


def _parts(element: Any) -> tuple[Any, Any, Any]:
    if isinstance(element, Mapping):
        return element["image"], element.get("label"), element.get("parts")
    if isinstance(element, tuple):
        return (*element, None, None)[:3]
    return element, None, None


def _indices(labels: np.ndarray | None, count: int) -> np.ndarray | None:
    if labels is None:
        return None
    found = labels.argmax(axis=-1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(-1)
    if found.shape != (count,) or not np.issubdtype(found.dtype, np.integer):
        raise ModelError(f"labels of shape {labels.shape} for {count} images; expected class indices or one-hot rows")
    return found


def _masks(masks: np.ndarray | None, count: int) -> np.ndarray | None:
    if masks is None:
        return None
    found = masks[..., 0] if masks.ndim == 4 and masks.shape[-1] == 1 else masks
    if found.ndim != 3 or len(found) != count or not np.issubdtype(found.dtype, np.integer):
        raise ModelError(f"parts of shape {masks.shape} for {count} images; expected integers (n, height, width)")
    return found
