"""Looking into a forward pass of any Keras model, or changing what a layer does in it, without touching its graph.

A layer of a nested or subclassed model is not connected to the outer model's inputs, so that no `keras.Model` can be
made around it. While a forward pass is traced, every layer's `call` is replaced by one that also notes what went in and
what came out; afterwards the model is as it was.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import layers

from convlens.models.tensors import computing

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


@dataclass(frozen=True)
class Call:
    """One call of a layer in a forward pass. Tensors are the backend's symbolic ones."""

    name: str  # the layers that it is in and its own, "backbone/conv1"; a second call's ends in "@2"
    layer: keras.Operation
    inputs: list[Any]
    preactivation: Any | None  # what the activation inside a convolution received
    outputs: list[Any]


@dataclass(frozen=True)
class Change:
    """A function that replaces one of a layer's own while a forward pass is traced."""

    layer: keras.Operation
    attribute: str  # "call" or "activation"
    make: Callable[[Callable], Callable]  # of the layer's own function


def in_call(number: int, change: Callable[[Any, Any], Any]) -> Callable[[Callable], Callable]:
    """For a `Change`: the layer's call number `number`, counted from 0, returns `change(output, input)`."""

    def make(function: Callable) -> Callable:
        times = 0

        def changed(*args, **kwargs):
            nonlocal times
            times += 1
            output = function(*args, **kwargs)
            return change(output, args[0] if args else None) if times == number + 1 else output

        return changed

    return make


def traced_calls(model: keras.Model, images: Any, values: list[Any], changes: Sequence[Change] = ()) -> list[Call]:
    """The calls of one forward pass in inference mode, with `values` as the model's variables, in order of completion.

    To be traced by the backend (see models/tensors.py), never run eagerly: every tensor is held until it returns.
    """
    training = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    variables = list(zip(model.variables, values, strict=True))
    tape = _Tape()
    with ExitStack() as patches:
        for change in changes:
            patches.enter_context(_patched(change.layer, change.attribute, change.make))
        for layer in _descendants(model):
            patches.enter_context(_patched(layer, "call", partial(tape.recording_call, layer)))
            if isinstance(layer, CONVOLUTIONS) and layer.activation is not None:
                patches.enter_context(_patched(layer, "activation", tape.recording_activation))
        # The scope keeps losses and seeds that layers would note on themselves off the model.
        patches.enter_context(keras.StatelessScope(state_mapping=variables))
        with computing():
            model(images, **training)
    return tape.calls


@contextmanager
def _patched(layer: keras.Operation, attribute: str, make: Callable[[Callable], Callable]) -> Iterator[None]:
    """Replaces a layer's own function by what `make` makes of it, while the block runs."""
    attributes = vars(layer)
    own = {attribute: attributes[attribute]} if attribute in attributes else {}
    # In the instance's dictionary: Keras' own __setattr__ would track what it is given.
    attributes[attribute] = make(getattr(layer, attribute))
    try:
        yield
    finally:
        del attributes[attribute]
        attributes.update(own)


class _Tape:
    def __init__(self):
        self.calls: list[Call] = []
        self._running: list[str] = []
        self._preactivations: list[Any] = []
        self._times: Counter[str] = Counter()

    def recording_call(self, layer: keras.Operation, call: Callable) -> Callable:
        def recorded(*args, **kwargs):
            self._running.append(layer.name)
            self._preactivations.append(None)
            try:
                outputs = call(*args, **kwargs)
            finally:
                path = "/".join(self._running)
                self._running.pop()
                preactivation = self._preactivations.pop()
            self._times[path] += 1
            name = path if self._times[path] == 1 else f"{path}@{self._times[path]}"
            self.calls.append(Call(name, layer, _tensors((args, kwargs)), preactivation, _tensors(outputs)))
            return outputs

        return recorded

    def recording_activation(self, activation: Callable) -> Callable:
        def recorded(x):
            self._preactivations[-1] = x
            return activation(x)

        return recorded


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if keras.ops.is_tensor(leaf)]


def _descendants(layer: keras.Layer) -> list[keras.Operation]:
    descendants: dict[int, keras.Operation] = {}
    waiting = _children(layer)
    while waiting:
        child = waiting.pop()
        if id(child) not in descendants:
            descendants[id(child)] = child
            waiting.extend(_children(child))
    return list(descendants.values())


def _children(layer: keras.Operation) -> list[keras.Operation]:
    if isinstance(layer, keras.Function):
        return layer.operations  # layers, and functions such as keras.ops.relu
    if isinstance(layer, keras.Model):
        return layer.layers
    # Keras has no public way to ask a plain layer for the layers that it is made of.
    return list(layer._layers) if isinstance(layer, keras.Layer) else []
