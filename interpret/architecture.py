"""What a network is made of: every layer's shape, weights, cost and receptive field."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from convlens.interpret.receptive_field import fields_of
from convlens.models.inspection.graph import Graph, Node
from convlens.models.inspection.inspection import Inspection

PLAIN_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
# Their weights shift and scale; a multiply-accumulate at inference, which a convolution before them can absorb.
RESCALING = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.PReLU,
)


@dataclass(frozen=True)
class LayerCost:
    """One call of a layer in a forward pass, for one image."""

    name: str  # a nested layer's is its path, "backbone/conv1"; a second call's ends in "@2"
    kind: str  # the layer's class
    shape: tuple[int, ...]  # of what it gives, without the batch
    kernel: tuple[int, ...]  # the sides of its window; () where it has none
    parameters: int  # of a layer that is called several times, at its first call
    multiply_adds: int | None  # None: the layer has weights, and how it uses them is not known
    receptive_field: tuple[int, int] | None  # pixels of the image; None: the whole image, or not a sliding window
    sources: tuple[int, ...]  # positions in the architecture of the layers that feed it; -1 is the image


@dataclass(frozen=True)
class Architecture:
    """A model's layers in the order in which they are computed, for images of one size."""

    image_shape: tuple[int, int, int]
    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """All weights, those that are not trained included, as Keras' `count_params` counts them."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of all layers whose cost is known."""
        return sum(layer.multiply_adds or 0 for layer in self.layers)

    @property
    def is_complete(self) -> bool:
        """Whether every layer's cost is known."""
        return all(layer.multiply_adds is not None for layer in self.layers)

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`, an entry a layer: `layers`, `parameters` and `multiply_adds`, -1 where they are not known."""
        costs = [-1 if layer.multiply_adds is None else layer.multiply_adds for layer in self.layers]
        return {
            "layers": np.array([layer.name for layer in self.layers]),
            "parameters": np.array([layer.parameters for layer in self.layers]),
            "multiply_adds": np.array(costs),
        }


def architecture(model: keras.Model, image_size: Sequence[int] | None = None) -> Architecture:
    """What each layer of a model makes of one image, and what that costs.

    Layers of nested models are listed one by one. A multiply-accumulate is one multiplication and one addition, so
    FLOPs as some count them are twice as many. Counted are those of convolutions and dense layers (at any depth) and,
    as in Sovrasov's ptflops and fvcore, not those of biases, normalization, activations, pooling and sums, which are
    few; nor the products of maps with maps in attention.
    `image_size` (height, width) is for models that take any. The receptive field is that of `receptive_field`.

    Raises ModelError for a model without weights or one that takes no images.
    """
    graph = Inspection(model).graph(image_size)
    listed = _listed(graph)
    fields = fields_of(graph, [node.name for node, _ in listed if node.outputs])
    makers = {graph.images: -1}
    counted: set[int] = set()
    costs = []
    for index, (node, weights) in enumerate(listed):
        field = fields[node.name].size if node.outputs else None
        costs.append(
            LayerCost(
                name=node.name,
                kind=type(node.layer).__name__,
                shape=tuple(node.output_shapes[0][1:]) if node.outputs else (),
                kernel=_window(node.layer),
                parameters=sum(math.prod(weight.shape) for key, weight in weights.items() if key not in counted),
                multiply_adds=_multiply_adds(node, bool(weights)),
                receptive_field=field,
                sources=tuple(dict.fromkeys(makers[key] for key in node.inputs if key in makers)),
            )
        )
        counted |= set(weights)
        # A layer that gives what it got, as dropout does, stands for its source from here on.
        makers |= dict.fromkeys(node.outputs, index)
    return Architecture(graph.image_shape, tuple(costs))


def _listed(graph: Graph) -> list[tuple[Node, dict[int, keras.Variable]]]:
    """The calls that do something themselves, with their own weights: not models that only call other layers."""
    below: dict[str, set[int]] = {}  # the weights of the layers inside a layer, by its path
    listed: list[tuple[Node, dict[int, keras.Variable]]] = []
    made: set[Hashable] = set()
    for node in graph.nodes:  # what is inside a layer comes before it
        path = node.name.split("@")[0]
        weights = {id(weight): weight for weight in getattr(node.layer, "weights", [])}
        own = {key: weight for key, weight in weights.items() if key not in below.get(path, ())}
        if path not in below or own or not set(node.outputs) <= made:
            listed.append((node, own))
        made |= set(node.outputs)
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            below.setdefault(path, set()).update(weights)
    return listed


def _window(layer: keras.Operation) -> tuple[int, ...]:
    for attribute in ("kernel_size", "pool_size"):
        if hasattr(layer, attribute):
            return tuple(getattr(layer, attribute))
    return ()


def _multiply_adds(node: Node, has_weights: bool) -> int | None:
    layer = node.layer
    if isinstance(layer, layers.Dense):
        return math.prod(node.output_shapes[0][1:]) * node.input_shapes[0][-1]
    if isinstance(layer, layers.EinsumDense):
        # Each output sums over the axes of the kernel that it does not have itself.
        inputs, rest = layer.equation.replace("...", "").split(",")
        kernel, output = rest.split("->")
        sides = dict(zip(kernel, layer.kernel.shape, strict=True))
        summed = math.prod(side for axis, side in sides.items() if axis not in output)
        return math.prod(node.output_shapes[0][1:]) * summed
    if isinstance(layer, (*PLAIN_CONVOLUTIONS, *TRANSPOSED, *DEPTHWISE, *SEPARABLE)):
        channels_last = layer.data_format == "channels_last"
        cell_counts = [
            math.prod(s[1:-1] if channels_last else s[2:]) for s in (node.input_shapes[0], node.output_shapes[0])
        ]
        return _of_convolution(layer, *cell_counts)
    return None if has_weights and not isinstance(layer, RESCALING) else 0


def _of_convolution(layer: keras.Layer, inputs: int, outputs: int) -> int:
    """Each weight of a kernel is used once in every cell of the output or, if it is transposed, of the input."""
    if isinstance(layer, SEPARABLE):
        return outputs * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))
    return math.prod(layer.kernel.shape) * (inputs if isinstance(layer, TRANSPOSED) else outputs)
