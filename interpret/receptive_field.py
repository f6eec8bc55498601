"""How much of the image a unit sees: exactly, from the graph, and effectively, from gradients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError
from convlens.core.progress import Progress
from convlens.models.inspection.graph import Graph, Tap
from convlens.models.inspection.images import check_images
from convlens.models.inspection.inspection import Inspection
from convlens.models.inspection.receptive_field import receptive_fields

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
        if self.size is None or self.stride is None or self.start is None:
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
        down: np.ndarray
        across: np.ndarray
        if self.size is None or self.stride is None or self.start is None:
            down, across = (
                (np.arange(cells) + 0.5) * pixels / cells - 0.5
                for cells, pixels in zip(self.map_size, self.image_size, strict=True)
            )
        else:
            down, across = (
                start + (size - 1) / 2 + stride * np.arange(cells)
                for start, size, stride, cells in zip(self.start, self.size, self.stride, self.map_size, strict=True)
            )
        return down, across


@dataclass(frozen=True)
class UnitView:
    """What the unit at one place of a layer's map sees of an image: exactly, and how much each pixel moves it."""

    field: ReceptiveField
    cell: tuple[int, int]  # row and column in the map
    effective: np.ndarray | None = None  # (height, width) from zero; None: not measured

    @property
    def layer(self) -> str:
        return self.field.layer

    @property
    def box(self) -> Box:
        """The pixels that can reach the unit, those that padding stands in for included."""
        return self.field.box(*self.cell)

    @property
    def effective_size(self) -> float | None:
        """The side, in pixels, of a square as large as the pixels that matter; see `effective_size`."""
        return None if self.effective is None else float(effective_size(self.effective[None])[0])


@dataclass(frozen=True)
class UnitViews:
    """What the unit in the middle of each layer's map sees; the effective fields are means over units and images."""

    views: tuple[UnitView, ...]
    images: int  # that the effective fields were measured on

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `layers` (l,), `boxes` (l, 4) and, where measured, `effective` (l, height, width)."""
        arrays = {
            "layers": np.array([view.layer for view in self.views]),
            "boxes": np.array([view.box for view in self.views]),
        }
        measured = [view.effective for view in self.views if view.effective is not None]
        return arrays | ({"effective": np.stack(measured)} if measured else {})


def unit_views(
    model: keras.Model, images: np.ndarray, layers: Sequence[str], *, progress: Progress | None = None
) -> UnitViews:
    """What the unit in the middle of each layer's map sees of `images` (n, height, width, channels).

    The effective field is the mean of `effective_receptive_field` over the layer's units. `progress` counts layers.
    Raises ModelError for a layer that does not exist.
    """
    views = []
    for done, layer in enumerate(layers, 1):
        field = receptive_field(model, layer, np.shape(images)[1:3])
        middle = (field.map_size[0] // 2, field.map_size[1] // 2)
        views.append(UnitView(field, middle, effective_receptive_field(model, images, layer).mean(axis=0)))
        if progress:
            progress(done, len(layers))
    return UnitViews(tuple(views), len(images))


def receptive_field(model: keras.Model, layer: str, image_size: tuple[int, int] | None = None) -> ReceptiveField:
    """What the units of a layer, at any depth of the model, see of an image, exactly.

    Strides, dilation, padding, pooling and branches are counted. The field is the smallest box around what is seen: it
    holds the gaps of a dilated kernel, and what lies between branches that look to different sides. Where padding
    depends on the image's size (`padding="same"` with a stride), so does the field: `image_size` (height, width) is for
    models that take any. Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
    https://distill.pub/2019/computing-receptive-fields.

    Raises ModelError for a layer that does not exist.
    """
    return fields_of(Inspection(model).graph(image_size), [layer])[layer]


def fields_of(graph: Graph, layers: Iterable[str]) -> dict[str, ReceptiveField]:
    """The receptive field of each of `layers`. Raises ModelError for one that does not exist."""
    spans = receptive_fields(graph)
    fields = {}
    for layer in layers:
        shape = graph.node(layer).output_shapes[0]
        sides = spans[layer] if len(shape) == 4 else None
        map_size = (shape[1], shape[2]) if len(shape) == 4 else (1, 1)
        fields[layer] = ReceptiveField(
            layer,
            graph.image_shape[:2],
            map_size,
            size=None if sides is None else (sides[0].size, sides[1].size),
            stride=None if sides is None else (sides[0].stride, sides[1].stride),
            start=None if sides is None else (sides[0].start, sides[1].start),
        )
    return fields


def effective_receptive_field(
    model: keras.Model,
    images: np.ndarray,
    layer: str,
    units: Sequence[int] | None = None,
    *,
    cell: tuple[int, int] | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """How much each pixel really moves a unit, shape (units, height, width), from zero, float32.

    The magnitude of the gradient of the unit's value at `cell` (row, column; by default the middle of its map) with
    respect to the pixels of `images` (n, height, width, channels), added over the channels, mean over the images. What
    the layer's own ReLU receives is differentiated: a unit that is off has no gradient behind it. It is zero outside
    the exact field, and usually concentrated in its middle: Luo, Li, Urtasun and Zemel, "Understanding the Effective
    Receptive Field in Deep Convolutional Neural Networks", https://arxiv.org/abs/1701.04128.

    `units` are by default all of the layer's. `progress` counts gradients, one for each unit and image. Raises
    ModelError for what does not exist.
    """
    inspection = Inspection(model)
    images = np.asarray(images, np.float32)
    check_images(images, inspection.image_shape)
    inspection.check_differentiable()
    graph = inspection.graph(images.shape[1:3], images.shape[3])
    node, field = graph.node(layer), fields_of(graph, [layer])[layer]
    chosen, count = node.units(units), node.output_shapes[0][-1]
    row, column = (cells // 2 for cells in field.map_size) if cell is None else cell
    if not all(0 <= at < cells for at, cells in zip((row, column), field.map_size, strict=True)):
        raise ModelError(f"cell {(row, column)} does not exist; the maps of layer '{layer}' are {field.map_size}")
    tap = graph.stages(node)["filter"] if node.is_convolution else Tap(layer)

    def slopes(values: list[Any], images: Any, units: Any) -> list[Any]:
        def score(calls):
            maps = tap.of(calls[tap.call])
            activations = maps[:, row, column] if len(maps.shape) == 4 else maps
            return ops.sum(ops.cast(activations, "float32") * ops.one_hot(units, count))

        gradients, _ = inspection.gradient(images, values, score)
        return [ops.sum(ops.abs(gradients), axis=-1)]

    def pairs(rows: np.ndarray) -> list[np.ndarray]:
        unit, image = np.divmod(rows, len(images))
        return [images[image], chosen[unit].astype(np.int32)]

    total = np.zeros((len(chosen), *images.shape[1:3]))
    name, gradient_count = ("slopes", layer, row, column), len(chosen) * len(images)
    for rows, (steepness,) in inspection.stream(name, slopes, gradient_count, pairs, batch_size, progress):
        np.add.at(total, rows // len(images), steepness)
    return (total / len(images)).astype(np.float32)


def effective_size(sensitivity: np.ndarray) -> np.ndarray:
    """The side, in pixels, of a square as large as what each unit effectively sees: shape (units,).

    Counted are pixels of `sensitivity` (units, height, width) with more than 4.55% of the unit's largest value, as in
    Luo et al. 2016.
    """
    largest = sensitivity.max(axis=(1, 2), keepdims=True)
    return np.sqrt((sensitivity > 0.0455 * largest).sum(axis=(1, 2)))
