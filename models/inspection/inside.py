"""Which cells of a map lie inside the image, where no padding reaches them.

A convolution that pads with zeros sees a false edge all around: the image ends in black. Its strongest responses are
then often a frame, which says nothing of the image. What is inside can be told from the frame by the graph alone.
"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import layers as keras_layers

from convlens.models.inspection.graph import STAGES, Graph, Node
from convlens.models.inspection.inspection import Inspection
from convlens.models.inspection.receptive_field import Field, Span, receptive_fields, window_span

ENOUGH = 0.25  # of a map's cells: fewer are no measure of what the map holds
POOLINGS = (keras_layers.MaxPooling2D, keras_layers.AveragePooling2D)

Sides = tuple[np.ndarray, np.ndarray]  # which rows and which columns are inside, booleans


def inside_cells(
    model: keras.Model, layers: Iterable[str] | None = None, image_size: tuple[int, int] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Which cells of each convolution's maps are inside, as booleans (height, width) by layer and stage.

    A cell is inside if its receptive field lies in the image, so that no padding of this layer or an earlier one
    reaches it. If fewer than a quarter of the cells are inside, as in deep layers, or if the receptive field is not
    known, a cell counts as inside if the kernel lies completely on the layer's input, so that the padding of this layer
    does not reach it. If there is no such cell either, all cells count as inside. A pooled cell is inside if all cells
    that it pools are. `layers` names convolutions; None takes all. `image_size` (height, width) is only needed for
    models that take images of any size. Raises ModelError if a layer does not exist.
    """
    graph = Inspection(model).graph(image_size)
    fields = receptive_fields(graph)
    names = [node.name for node in graph.convolutions()] if layers is None else layers
    return {name: _stages(graph, graph.node(name), fields) for name in names}


def _stages(graph: Graph, node: Node, fields: dict[str, Field | None]) -> dict[str, np.ndarray]:
    map_size = node.output_shapes[0][1:3]
    seen = _within(fields[node.name], map_size, graph.image_shape[:2])
    sides = seen if _enough(seen) else _within(_own_window(node), map_size, node.input_shapes[0][1:3])
    taps = graph.stages(node)
    inside = dict.fromkeys([stage for stage in STAGES[:2] if stage in taps], _grid(sides, map_size))
    if "condense" in taps:
        pooling = graph.node(taps["condense"].call)
        inside["condense"] = _grid(_pooled(sides, pooling, map_size), pooling.output_shapes[0][1:3])
    return inside


def _own_window(node: Node) -> Field:
    """What the convolution's cells see of its own input."""
    height, width = (window_span(node.layer, Span(1, 1, 0), node.input_shapes[0][1 + side], side) for side in (0, 1))
    return height, width


def _within(field: Field | None, map_size: Sequence[int], size: Sequence[int]) -> Sides | None:
    """Which rows and columns see nothing outside of what is `size` (height, width) large; None where nothing does."""
    if field is None:
        return None
    sides = []
    for span, cells, pixels in zip(field, map_size, size, strict=True):
        first = span.start + span.stride * np.arange(cells)
        sides.append((first >= 0) & (first + span.size <= pixels))
    rows, columns = sides
    return (rows, columns) if rows.any() and columns.any() else None


def _enough(sides: Sides | None) -> bool:
    return sides is not None and sides[0].mean() * sides[1].mean() >= ENOUGH


def _pooled(sides: Sides | None, pooling: Node, map_size: Sequence[int]) -> Sides | None:
    """Which rows and columns of pooled maps come from inside alone."""
    layer = pooling.layer
    plain = isinstance(layer, POOLINGS) and tuple(pooling.input_shapes[0][1:3]) == tuple(map_size)
    if sides is None or not plain:  # a pool that padding precedes, or that adapts its windows
        return None
    pooled = []
    for side, (inside, cells) in enumerate(zip(sides, pooling.output_shapes[0][1:3], strict=True)):
        span = window_span(layer, Span(1, 1, 0), len(inside), side)
        first = span.start + span.stride * np.arange(cells)
        # What a pool pads takes no part in its result.
        pooled.append(np.array([inside[max(at, 0) : at + span.size].all() for at in first]))
    rows, columns = pooled
    return (rows, columns) if rows.any() and columns.any() else None


def _grid(sides: Sides | None, map_size: Sequence[int]) -> np.ndarray:
    return np.ones(map_size, bool) if sides is None else np.logical_and.outer(*sides)
