"""Looking into a forward pass of any Keras model, without touching its graph.

A layer of a nested or subclassed model is not connected to the outer model's inputs, so that no `keras.Model` can be
made around it. While a forward pass is traced, every layer's `call` is replaced by one that also notes what went in and
what came out; afterwards the model is as it was.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


@dataclass(frozen=True)
class Call:
    """One call of a layer in a forward pass. Tensors are the backend's symbolic ones."""

    name: str  # the layers that it is in and its own, "backbone/conv1"; a second call's ends in "@2"
    layer: keras.Operation
    inputs: list[Any]
    preactivation: Any | None  # what the activation inside a convolution received
    outputs: list[Any]


@contextmanager
def taped(model: keras.Model) -> Iterator[list[Call]]:
    """Note every call of a layer of `model`, at any depth, into the list that is yielded, in order of completion."""
    tape = _Tape()
    replaced: list[tuple[keras.Operation, dict[str, Any]]] = []
    try:
        for layer in _descendants(model):
            # Assigned in the instance's dictionary: Keras' own __setattr__ would track what it is given.
            attributes = vars(layer)
            replaced.append((layer, {name: attributes[name] for name in ("call", "activation") if name in attributes}))
            attributes["call"] = tape.noting_call(layer, layer.call)
            if isinstance(layer, CONVOLUTIONS) and layer.activation is not None:
                attributes["activation"] = tape.noting_activation(layer.activation)
        yield tape.calls
    finally:
        for layer, originals in replaced:
            vars(layer).pop("call", None)
            vars(layer).update(originals)


def noted_pass(model: keras.Model, images: Any, values: list[Any]) -> list[Call]:
    """The calls of one forward pass in inference mode, with `values` as the model's variables.

    To be traced by the backend (see backend.py), never run eagerly: every tensor is held until it returns.
    """
    training = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    variables = list(zip(model.variables, values, strict=True))
    # The scope keeps losses and seeds that layers would note on themselves off the model.
    with taped(model) as calls, keras.StatelessScope(state_mapping=variables):
        model(images, **training)
    return calls


class _Tape:
    def __init__(self):
        self.calls: list[Call] = []
        self._running: list[str] = []
        self._preactivations: list[Any] = []
        self._times = Counter()

    def noting_call(self, layer: keras.Operation, call: Callable) -> Callable:
        def noted(*args, **kwargs):
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

        return noted

    def noting_activation(self, activation: Callable) -> Callable:
        def noted(x):
            self._preactivations[-1] = x
            return activation(x)

        return noted


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if keras.ops.is_tensor(leaf)]


def _descendants(layer: keras.Layer) -> list[keras.Operation]:
    found: dict[int, keras.Operation] = {}
    waiting = _children(layer)
    while waiting:
        child = waiting.pop()
        if id(child) not in found:
            found[id(child)] = child
            waiting.extend(_children(child))
    return list(found.values())


def _children(layer: keras.Operation) -> list[keras.Operation]:
    if isinstance(layer, keras.Function):
        return layer.operations  # layers, and functions such as keras.ops.relu
    if isinstance(layer, keras.Model):
        return layer.layers
    # Keras has no public way to ask a plain layer for the layers that it is made of.
    return list(layer._layers) if isinstance(layer, keras.Layer) else []
