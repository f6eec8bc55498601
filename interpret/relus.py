"""The ReLUs of a network, and what may stand in their place while a gradient flows back through them."""

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

from convlens.models.inspection.graph import Node, is_one_of
from convlens.models.tensors import positive_gradient_only

FUNCTIONS = (keras.activations.relu, keras.activations.relu6)


def relus(nodes: Sequence[Node]) -> list[tuple[keras.Operation, str]]:
    """Every ReLU of a pass, as a layer and the attribute that computes it, each once."""
    by_layer = {}
    for node in nodes:
        if getattr(node.layer, "activation", None) in FUNCTIONS:
            by_layer[id(node.layer)] = node.layer, "activation"
        elif is_one_of(node.layer, (layers.ReLU,), ("Relu", "Relu6")):
            by_layer[id(node.layer)] = node.layer, "call"
    return list(by_layer.values())


def guided(relu: Callable) -> Callable:
    """A ReLU that lets only positive gradients back."""
    return lambda *args, **kwargs: positive_gradient_only(relu(*args, **kwargs))


def revived(relu: Callable) -> Callable:
    """A ReLU that lets a tenth of the gradient back also where it is off."""

    def revived_relu(x, *args, **kwargs):
        leak = 0.1 * x
        return relu(x, *args, **kwargs) + (leak - ops.stop_gradient(leak))  # nothing is added but a gradient

    return revived_relu
