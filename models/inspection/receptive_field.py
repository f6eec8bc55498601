"""Which pixels of the image a unit sees, exactly, from the graph of a forward pass.

After Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
https://distill.pub/2019/computing-receptive-fields.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import keras
from keras import layers

from convlens.models.inspection.graph import RESCALING, UNCHANGED, Graph, Node, is_activation, is_one_of
from convlens.models.inspection.taps import CONVOLUTIONS

POINTWISE = (*RESCALING, *UNCHANGED, layers.Normalization)
MERGING = (
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
MERGING_FUNCTIONS = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Concatenate")
WINDOWS = (*CONVOLUTIONS, layers.MaxPooling2D, layers.AveragePooling2D)


@dataclass(frozen=True)
class Span:
    """What units see along one side of the image: unit i sees `size` pixels from pixel `start + i * stride` on.

    Pixels outside the image, which padding stands in for, are counted.
    """

    size: int
    stride: int
    start: int


Field = tuple[Span, Span]  # along the height, along the width


def receptive_fields(graph: Graph) -> dict[str, Field | None]:
    """The receptive field of a unit in each call's output; None where it is not a window that slides with the unit.

    None after layers that mix the whole map (global pooling, dense, attention, squeeze-and-excitation) or enlarge it,
    where branches of different strides meet, and after layers that are not Keras' own.
    """
    seen: dict[Hashable, Field | None] = {graph.images: (Span(1, 1, 0), Span(1, 1, 0))}
    fields: dict[str, Field | None] = {}
    for node in graph.nodes:
        for key in node.outputs:
            if key not in seen:  # a nested model's output was already seen as its last layer's
                seen[key] = _field(node, [seen.get(key) for key in node.inputs])
        fields[node.name] = seen[node.outputs[0]] if node.outputs else None
    return fields


def _field(node: Node, inputs: list[Field | None]) -> Field | None:
    layer = node.layer
    known = [field for field in inputs if field is not None]
    if not inputs or len(known) < len(inputs):
        return None
    if isinstance(layer, WINDOWS) and layer.data_format == "channels_last":
        return _each_side(known[0], lambda span, side: window_span(layer, span, node.input_shapes[0][1 + side], side))
    if isinstance(layer, layers.ZeroPadding2D):
        return _each_side(known[0], lambda span, side: _shifted(span, -layer.padding[side][0]))
    if isinstance(layer, layers.Cropping2D):
        return _each_side(known[0], lambda span, side: _shifted(span, layer.cropping[side][0]))
    if is_one_of(layer, MERGING, MERGING_FUNCTIONS):
        return _union(node, known)
    if _is_pointwise(layer):
        return known[0]
    return None


def _is_pointwise(layer: keras.Operation) -> bool:
    if isinstance(layer, layers.GroupNormalization):
        return False  # its statistics are the whole map's
    if isinstance(layer, layers.LayerNormalization | layers.UnitNormalization | layers.Softmax):
        return layer.axis in (-1, 3, [-1], [3], (-1,), (3,))
    return isinstance(layer, POINTWISE) or is_activation(layer)


def _each_side(field: Field, change: Callable[[Span, int], Span]) -> Field:
    return change(field[0], 0), change(field[1], 1)


def _shifted(span: Span, pixels: int) -> Span:
    return Span(span.size, span.stride, span.start + pixels * span.stride)


def window_span(layer: keras.Layer, span: Span, length: int, side: int) -> Span:
    """What a convolution or a pooling makes of a span along a side, 0 or 1, of its input of `length` cells."""
    if isinstance(layer, CONVOLUTIONS):
        kernel, dilation = layer.kernel_size[side], layer.dilation_rate[side]
    else:
        kernel, dilation = layer.pool_size[side], 1
    stride, extent = layer.strides[side], (kernel - 1) * dilation + 1
    padded = 0
    if layer.padding == "same":
        outputs = -(-length // stride)
        padded = max((outputs - 1) * stride + extent - length, 0) // 2
    return Span(span.size + (extent - 1) * span.stride, span.stride * stride, span.start - padded * span.stride)


def _union(node: Node, fields: list[Field]) -> Field | None:
    if len({shape[1:3] for shape in node.input_shapes}) > 1:
        return None  # maps of another size are broadcast
    spans = []
    for side in zip(*fields, strict=True):
        if len({span.stride for span in side}) > 1:
            return None
        start = min(span.start for span in side)
        spans.append(Span(max(span.start + span.size for span in side) - start, side[0].stride, start))
    return spans[0], spans[1]
