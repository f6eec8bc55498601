"""Starting from weights that another model learned."""

import keras

from convlens.core.errors import UserError
from convlens.training.saved_model import load_model


def initialize_from(model: keras.Model, source: str) -> list[str]:
    """Copies the weights of a run, or of a `.keras` file, into a new model, layer by layer by name.

    The base must fit exactly. A layer of the head whose shape differs keeps its fresh weights, as it must where the
    classes are others. Returns the names of those layers. Raises `UserError` when the base does not fit.
    """
    head = head_of(model)
    learned = {layer.name: layer for layer in load_model(source).layers if layer.weights}
    fresh = []
    for layer in model.layers:
        if not layer.weights:
            continue
        there = _shapes(learned[layer.name]) if layer.name in learned else None
        if there == _shapes(layer):
            layer.set_weights(learned[layer.name].get_weights())
        elif layer.name in head:
            fresh.append(layer.name)
        else:
            in_source = f"has shapes {there}" if there else "does not exist"
            raise UserError(
                f"init_from={source} does not fit this model: layer '{layer.name}' needs shapes {_shapes(layer)} "
                f"and {in_source} there. Use the model configuration of that run."
            )
    return fresh


def freeze_base(model: keras.Model) -> None:
    """Freezes the base, so that only the head learns; call it before compiling."""
    head = head_of(model)
    for layer in model.layers:
        layer.trainable = layer.name in head


def head_of(model: keras.Model) -> set[str]:
    """The names of the layers behind the base; in a network that names none so, its last layer with weights."""
    named = {layer.name for layer in model.layers if layer.name.startswith("head_") or layer.name == "logits"}
    return named or {layer.name for layer in [layer for layer in model.layers if layer.weights][-1:]}


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
