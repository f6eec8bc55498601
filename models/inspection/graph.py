"""Which layer of a model feeds which: the graph of a forward pass, and the three steps of a convolution in it."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from convlens.core.errors import ModelError, unknown
from convlens.models.inspection.taps import CONVOLUTIONS, Call, traced_calls
from convlens.models.tensors import traced

STAGES = ("filter", "detect", "condense")
ANY_SIZE = 224  # pixels, where a model takes images of any size and its graph is all that is asked for

ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax)
ACTIVATION_FUNCTIONS = ("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "Sigmoid", "HardSilu", "Tanh")
RESCALING = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.UnitNormalization,
    layers.Rescaling,
)
UNCHANGED = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout2D,
)
POOLINGS = (
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.AdaptiveMaxPooling2D,
    layers.AdaptiveAveragePooling2D,
)


@dataclass(frozen=True)
class Tap:
    """Where in a forward pass a feature is: a call's output, what its activation received, or what it was given."""

    call: str
    preactivation: bool = False
    received: bool = False

    def of(self, call: Call) -> Any:
        """The tensor itself, out of a call noted in a forward pass."""
        if self.received:
            return call.inputs[0]
        return call.preactivation if self.preactivation else call.outputs[0]


@dataclass(frozen=True)
class Node:
    """A call of a layer, with keys in place of tensors: an output's key is its consumers' input key."""

    name: str
    layer: keras.Operation
    inputs: tuple[Hashable, ...]
    input_shapes: tuple[tuple[int, ...], ...]  # known in full, since the pass is traced on one image of a given size
    outputs: tuple[Hashable, ...]
    output_shapes: tuple[tuple[int, ...], ...]
    preactivation: Hashable | None

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.layer, CONVOLUTIONS)

    def units(self, chosen: Sequence[int] | np.ndarray | None) -> np.ndarray:
        """The units that were chosen of those that the layer has, None for all; raises ModelError."""
        count = self.output_shapes[0][-1]
        units = np.arange(count) if chosen is None else np.asarray(chosen, int)
        if units.size and not (0 <= units.min() and units.max() < count):
            raise ModelError(f"units {units.tolist()} of layer '{self.name}'; it has the units 0 to {count - 1}")
        return units


class Graph:
    """The calls of one forward pass, in the order in which they ended."""

    def __init__(self, model: keras.Model, image_shape: tuple[int, int, int], dtype: str):
        """Raises ModelError for convolutions over channels-first maps."""
        self.image_shape = image_shape  # height, width, channels
        self.images, self.nodes = _trace(model, image_shape, dtype)
        self._by_name = {node.name: node for node in self.nodes}
        for node in self.convolutions():
            if node.layer.data_format != "channels_last":
                raise ModelError(
                    f"layer '{node.name}' keeps its channels first (data_format={node.layer.data_format}); "
                    f"only channels-last models are understood"
                )

    def node(self, name: str) -> Node:
        """The call of that name; raises ModelError, with the nearest name, where there is none."""
        if name not in self._by_name:
            raise ModelError(unknown("layer", name, self._by_name))
        return self._by_name[name]

    def earlier_calls(self, node: Node) -> int:
        """How many calls of the same layer precede this one: a shared layer has several, and one of them is meant."""
        return sum(earlier.layer is node.layer for earlier in self.nodes[: self.nodes.index(node)])

    def convolutions(self) -> list[Node]:
        return [node for node in self.nodes if node.is_convolution]

    def stages(self, node: Node) -> dict[str, Tap]:
        """Where the three steps of a convolution are found; a step that does not follow is left out.

        Filter is what the activation receives: the convolution with its bias, or the normalization between them. Detect
        is the activation, inside the layer or after it; condense is the pooling that follows. A sum with another branch
        ends the search: what an activation makes of the sum is not this convolution's.
        """
        taps = {"filter": Tap(node.name)}
        activated = node.preactivation is not None and node.preactivation not in node.outputs
        if activated:
            taps = {"filter": Tap(node.name, preactivation=True), "detect": Tap(node.name)}
        for follower in self._followers(node):
            kind = follower.layer
            if isinstance(kind, POOLINGS):
                taps["condense"] = Tap(follower.name)
                break
            if not activated and is_activation(kind):
                taps["detect"], activated = Tap(follower.name), True
            elif not activated and isinstance(kind, RESCALING):
                taps["filter"] = Tap(follower.name)
        return taps

    def unit_tap(self, node: Node) -> Tap:
        """Where a layer's units have their values: after the activation that follows a convolution, if any does."""
        if not node.is_convolution:
            return Tap(node.name)
        taps = self.stages(node)
        return taps.get("detect", taps["filter"])

    def feeding(self, node: Node) -> Node | None:
        """The convolution whose units are the channels that another one reads; None where they were mixed before."""
        # What a layer passes on unchanged, as dropout does, was made by the layer before it.
        makers = {key: maker for maker in reversed(self.nodes) for key in maker.outputs}
        maker = makers.get(node.inputs[0])
        while maker is not None and not maker.is_convolution:
            maker = makers.get(maker.inputs[0]) if _is_step(maker.layer) and len(maker.inputs) == 1 else None
        return maker

    def _followers(self, node: Node) -> Iterator[Node]:
        """What is done to a convolution's maps alone, step by step, until they are pooled or meet other maps."""
        key, done = node.outputs[0], {node.name}
        while True:
            readers = [reader for reader in self.nodes if key in reader.inputs and reader.name not in done]
            steps = [reader for reader in readers if _is_step(reader.layer)]
            if not steps:
                return
            # Where one map is both pooled and read by something else (another branch, a skip), the pooling counts.
            step = steps[0]
            done.add(step.name)
            yield step
            key = step.outputs[0]


def _is_step(layer: keras.Operation) -> bool:
    return isinstance(layer, (*RESCALING, *UNCHANGED, *POOLINGS, layers.ZeroPadding2D)) or is_activation(layer)


def is_activation(layer: keras.Operation) -> bool:
    """Whether a layer, or a function such as keras.ops.relu in a Functional model, is an activation."""
    return is_one_of(layer, ACTIVATIONS, ACTIVATION_FUNCTIONS)


def is_one_of(layer: keras.Operation, kinds: tuple[type, ...], functions: tuple[str, ...]) -> bool:
    """Whether a layer is of these kinds, or a function in a Functional model has one of these names."""
    return isinstance(layer, kinds) or (not isinstance(layer, keras.Layer) and type(layer).__name__ in functions)


def _trace(model: keras.Model, image_shape: tuple[int, int, int], dtype: str) -> tuple[Hashable, list[Node]]:
    calls: list[Call] = []

    def every_tensor(images):
        calls.extend(traced_calls(model, images, [variable.value for variable in model.variables]))
        return [images] + [tensor for call in calls for tensor in _in_order(call)]

    keys = iter(traced(every_tensor, (1, *image_shape), dtype))
    images = next(keys)
    return images, [_node(call, keys) for call in calls]


def _in_order(call: Call) -> list[Any]:
    return [*call.inputs, *call.outputs, *([] if call.preactivation is None else [call.preactivation])]


def _node(call: Call, keys: Iterator[Hashable]) -> Node:
    return Node(
        name=call.name,
        layer=call.layer,
        inputs=tuple(next(keys) for _ in call.inputs),
        input_shapes=tuple(tuple(tensor.shape) for tensor in call.inputs),
        outputs=tuple(next(keys) for _ in call.outputs),
        output_shapes=tuple(tuple(tensor.shape) for tensor in call.outputs),
        preactivation=None if call.preactivation is None else next(keys),
    )


def image_shape(model: keras.Model) -> tuple[int | None, int | None, int | None] | None:
    """The (height, width, channels) of the images that a model takes; None for a side that may vary.

    None altogether for a subclassed model that does not tell. Raises ModelError for a model that takes no images, and
    for one that has no weights yet.
    """
    if not model.built:
        raise ModelError(f"model '{model.name}' has no weights yet; call it on a batch of images first")
    inputs = getattr(model, "inputs", None)
    if inputs:
        shapes = [tuple(tensor.shape) for tensor in inputs]
    else:
        built_on = (model.get_build_config() or {}).get("input_shape")
        if built_on is None:
            return None
        shapes = [tuple(built_on)]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(f"model '{model.name}' takes {shapes}; expected one batch of images, channels last")
    return shapes[0][1:]


def image_dtype(model: keras.Model) -> str:
    """The dtype in which a model takes its images."""
    inputs = getattr(model, "inputs", None)
    return keras.backend.standardize_dtype(inputs[0].dtype) if inputs else "float32"
