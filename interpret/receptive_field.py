"""How much of the image a unit sees: exactly, from the graph, and effectively, from gradients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError, unknown
from convlens.interpret.gradient import compiled, with_gradient
from convlens.models.inspection.graph import ANY_SIZE, Graph, image_dtype, image_shape
from convlens.models.inspection.images import check_images
from convlens.models.inspection.receptive_field import receptive_fields
from convlens.models.inspection.taps import noted_pass

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels; bottom and right are just outside


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of one layer see of images of one size. Pairs are (height, width)."""

    layer: str
    image_size: tuple[int, int]
    map_size: tuple[int, int]  # (1, 1) of a layer without maps
    size: tuple[int, int] | None  # pixels that a unit sees; None: the whole image, whatever its place
    stride: tuple[int, int] | None  # pixels between neighbouring units
    start: tuple[int, int] | None  # first pixel that the first unit sees; below zero: padding

    def box(self, row: int, column: int) -> Box:
        """The pixels that the unit at a place sees, those that padding stands in for included."""
        if self.size is None:
            return 0, 0, *self.image_size
        top, left = (first + step * at for first, step, at in zip(self.start, self.stride, (row, column), strict=True))
        return top, left, top + self.size[0], left + self.size[1]

    def visible(self, row: int, column: int) -> Box:
        """The part of `box` that lies in the image."""
        top, left, bottom, right = self.box(row, column)
        height, width = self.image_size
        return max(top, 0), max(left, 0), min(bottom, height), min(right, width)

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the middles of the units' fields lie: pixels down (rows,), and pixels across (columns,)."""
        if self.size is None:
            return tuple(
                (np.arange(cells) + 0.5) * pixels / cells - 0.5
                for cells, pixels in zip(self.map_size, self.image_size, strict=True)
            )
        return tuple(
            start + (size - 1) / 2 + stride * np.arange(cells)
            for start, size, stride, cells in zip(self.start, self.size, self.stride, self.map_size, strict=True)
        )


def receptive_field(model: keras.Model, layer: str, image_size: tuple[int, int] | None = None) -> ReceptiveField:
    """What the units of a layer, at any depth of the model, see of an image, exactly.

    Strides, dilation, padding, pooling and branches are counted. The field is the smallest box around what is seen: it
    holds the gaps of a dilated kernel, and what lies between branches that look to different sides. Where padding
    depends on the image's size (`padding="same"` with a stride), so does the field: `image_size` (height, width) is for
    models that take any. Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
    https://distill.pub/2019/computing-receptive-fields.

    Raises ModelError for a layer that does not exist.
    """
    graph = graph_at(model, image_size)
    return fields_of(graph, [layer])[layer]


def graph_at(model: keras.Model, image_size: Sequence[int] | None = None, channels: int | None = None) -> Graph:
    """The graph of a pass over images of `image_size`; what the model fixes itself need not be given."""
    own = image_shape(model) or (None, None, None)
    height, width = (side or given for side, given in zip(own, image_size or (ANY_SIZE, ANY_SIZE), strict=False))
    channels = own[2] or channels
    if channels is None:
        raise ModelError(f"model '{model.name}' does not tell the shape of its images; call it on a batch first")
    return Graph(model, (height, width, channels), image_dtype(model))


def fields_of(graph: Graph, layers: Iterable[str]) -> dict[str, ReceptiveField]:
    """The receptive field of each of `layers`. Raises ModelError for one that does not exist."""
    nodes = {node.name: node for node in graph.nodes}
    inputs = (pair for node in graph.nodes for pair in zip(node.inputs, node.input_shapes, strict=True))
    image_size = next(shape for key, shape in inputs if key == graph.images)[1:3]
    spans = receptive_fields(graph)
    fields = {}
    for layer in layers:
        if layer not in nodes:
            raise ModelError(unknown("layer", layer, nodes))
        shape = nodes[layer].output_shapes[0]
        found = spans[layer] if len(shape) == 4 else None
        pairs = [tuple(getattr(side, part) for side in found) for part in ("size", "stride", "start")] if found else []
        map_size = shape[1:3] if len(shape) == 4 else (1, 1)
        fields[layer] = ReceptiveField(layer, image_size, map_size, *(pairs or [None] * 3))
    return fields


def effective_receptive_field(
    model: keras.Model,
    images: np.ndarray,
    layer: str,
    units: Sequence[int] | None = None,
    *,
    place: tuple[int, int] | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """How much each pixel really moves a unit, shape (units, height, width), from zero, float32.

    The magnitude of the gradient of the unit's value at `place` (row, column; by default the middle of its map) with
    respect to the pixels of `images` (n, height, width, channels), added over the channels, mean over the images. What
    the layer's own ReLU receives is differentiated: a unit that is off has no gradient behind it. It is zero outside
    the exact field, and usually concentrated in its middle: Luo, Li, Urtasun and Zemel, "Understanding the Effective
    Receptive Field in Deep Convolutional Neural Networks", https://arxiv.org/abs/1701.04128.

    `units` are by default all of the layer's. Raises ModelError for what does not exist.
    """
    images = np.asarray(images, np.float32)
    check_images(images, image_shape(model) or (None, None, None))
    if not image_dtype(model).startswith(("float", "bfloat")):
        raise ModelError(f"model '{model.name}' takes images as {image_dtype(model)}, to which there is no gradient")
    graph = graph_at(model, images.shape[1:3], images.shape[3])
    nodes = {node.name: node for node in graph.nodes}
    field = fields_of(graph, [layer])[layer]
    shape = nodes[layer].output_shapes[0]
    units = np.arange(shape[-1]) if units is None else np.asarray(units, int)
    row, column = (cells // 2 for cells in field.map_size) if place is None else place
    if units.size and not (0 <= units.min() and units.max() < shape[-1]):
        raise ModelError(f"units {units.tolist()} of layer '{layer}'; it has the units 0 to {shape[-1] - 1}")
    if not all(0 <= at < cells for at, cells in zip((row, column), field.map_size, strict=True)):
        raise ModelError(f"place {(row, column)} does not exist; the maps of layer '{layer}' are {field.map_size}")
    tap = graph.stages(nodes[layer])["filter"] if nodes[layer].is_convolution else None

    def slopes(values: list[Any], images: Any, units: Any) -> list[Any]:
        def reached(images):
            calls = {call.name: call for call in noted_pass(model, images, values)}
            maps = tap.of(calls[tap.call]) if tap else calls[layer].outputs[0]
            there = maps[:, row, column] if len(maps.shape) == 4 else maps
            return ops.sum(ops.cast(there, "float32") * ops.one_hot(units, shape[-1])), ()

        return [ops.sum(ops.abs(with_gradient(reached, images)[0]), axis=-1)]

    run = compiled(model, slopes)
    total = np.zeros((len(units), *images.shape[1:3]))
    pairs = [(unit, image) for unit in range(len(units)) for image in range(len(images))]
    size = min(batch_size, len(pairs))
    for start in range(0, len(pairs), size):
        chosen = np.array(pairs[start : start + size])
        filled = np.concatenate([chosen, np.repeat(chosen[-1:], size - len(chosen), axis=0)])  # one shape to compile
        found = run(images[filled[:, 1]], units[filled[:, 0]].astype(np.int32))[0]
        np.add.at(total, chosen[:, 0], found[: len(chosen)])
    return (total / len(images)).astype(np.float32)


def effective_size(sensitivity: np.ndarray) -> np.ndarray:
    """The side, in pixels, of a square as large as what each unit effectively sees: shape (units,).

    Counted are pixels of `sensitivity` (units, height, width) with more than 4.55% of the unit's largest value, as in
    Luo et al. 2016.
    """
    largest = sensitivity.max(axis=(1, 2), keepdims=True)
    return np.sqrt((sensitivity > 0.0455 * largest).sum(axis=(1, 2)))
