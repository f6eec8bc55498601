"""The convolutions of any Keras model: their learned kernels, and what their units see."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.models.inspection.graph import Node
from convlens.models.inspection.inspection import Inspection
from convlens.models.inspection.receptive_field import Field, receptive_fields


@dataclass(frozen=True)
class ConvInfo:
    """One convolutional layer. Pairs are (height, width)."""

    name: str  # a nested layer's is its path, "backbone/conv1"
    kind: str  # "Conv2D", "DepthwiseConv2D" or "SeparableConv2D"
    kernel: np.ndarray  # (height, width, inputs, units); depthwise and separable: (height, width, inputs, multiplier)
    bias: np.ndarray | None  # (units,)
    strides: tuple[int, int]
    padding: str
    dilation: tuple[int, int]
    groups: int  # units see only their own group of input channels
    activation: str  # the function inside the layer, "linear" where there is none
    input_shape: tuple[int | None, int | None, int]  # (height, width, channels)
    output_shape: tuple[int | None, int | None, int]  # (height, width, units)
    receptive_field: tuple[int, int] | None  # pixels of the image that a unit sees; None: not a sliding window
    receptive_stride: tuple[int, int] | None  # pixels of the image between neighbouring units
    receptive_start: tuple[int, int] | None  # first pixel that the first unit sees; below zero: padding
    reads: str | None  # the convolution whose units are its input channels; None: the image, or units that were mixed
    pointwise: np.ndarray | None = None  # (inputs, multiplier, units) how a separable one mixes what its kernels give


def conv_layers(model: keras.Model) -> list[ConvInfo]:
    """Every Conv2D, DepthwiseConv2D and SeparableConv2D of a model, nested ones included, in execution order.

    A layer that is called several times appears once, with its first call. A side of a shape is None if it may vary;
    receptive fields then have no start. Raises ModelError for a model without weights or with channels-first maps.
    """
    inspection = Inspection(model)
    graph = inspection.graph()
    fields = receptive_fields(graph)
    free = (inspection.image_shape[0] is None, inspection.image_shape[1] is None)
    first_calls = {id(node.layer): node for node in reversed(graph.convolutions())}
    nodes = [node for node in graph.convolutions() if node in first_calls.values()]
    return [_describe(node, graph.feeding(node), fields[node.name], free) for node in nodes]


def kernel_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """The variable of each kernel of `conv_layers`, by the layer's name there: its value is always the present one."""
    layers = {node.name: node.layer for node in reversed(Inspection(model).graph().convolutions())}
    return {
        info.name: layers[info.name].depthwise_kernel if info.kind == "SeparableConv2D" else layers[info.name].kernel
        for info in conv_layers(model)
    }


def _describe(node: Node, feeding: Node | None, field: Field | None, free: tuple[bool, bool]) -> ConvInfo:
    layer = node.layer
    separable = isinstance(layer, keras.layers.SeparableConv2D)
    kinds = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D, keras.layers.Conv2D)
    return ConvInfo(
        name=node.name,
        kind=next(kind.__name__ for kind in kinds if isinstance(layer, kind)),
        kernel=_array(layer.depthwise_kernel if separable else layer.kernel),
        bias=_array(layer.bias) if layer.use_bias else None,
        strides=tuple(layer.strides),
        padding=layer.padding,
        dilation=tuple(layer.dilation_rate),
        groups=getattr(layer, "groups", 1),
        activation=getattr(layer.activation, "__name__", type(layer.activation).__name__),
        input_shape=_known(node.input_shapes[0], free),
        output_shape=_known(node.output_shapes[0], free),
        receptive_field=field and (field[0].size, field[1].size),
        receptive_stride=field and (field[0].stride, field[1].stride),
        receptive_start=None if field is None or any(free) else (field[0].start, field[1].start),
        reads=None if feeding is None else feeding.name,
        pointwise=_array(layer.pointwise_kernel).reshape(*layer.depthwise_kernel.shape[2:], -1) if separable else None,
    )


def _array(weights: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(keras.ops.cast(weights, "float32")))


def _known(shape: tuple[int, ...], free: tuple[bool, bool]) -> tuple[int | None, int | None, int]:
    height, width = (None if unknown else side for unknown, side in zip(free, shape[1:3], strict=True))
    return height, width, shape[3]
