"""Starting from weights that another model learned."""

import keras

from convlens.core.errors import UserError
from convlens.training.saved_model import load_model


def initialize_from(model: keras.Model, source: str) -> list[str]:
    """Copies the weights of a run, or of a `.keras` file, into a new model, layer by layer by name.

    The base must fit exactly. A layer of the head whose shape differs keeps its fresh weights, as it must where the
    classes are others. Returns the names of those layers. Raises `UserError` when the base does not fit.
    """
    learned = {layer.name: layer for layer in load_model(source).layers if layer.weights}
    fresh = []
    for layer in model.layers:
        if not layer.weights:
            continue
        there = _shapes(learned[layer.name]) if layer.name in learned else None
        if there == _shapes(layer):
            layer.set_weights(learned[layer.name].get_weights())
        elif in_head(layer):
            fresh.append(layer.name)
        else:
            found = f"has shapes {there}" if there else "does not exist"
            raise UserError(
                f"init_from={source} does not fit this model: layer '{layer.name}' needs shapes {_shapes(layer)} "
                f"and {found} there. Use the model configuration of that run."
            )
    return fresh


def freeze_base(model: keras.Model) -> None:
    """From here on only the head learns; call it before compiling."""
    for layer in model.layers:
        layer.trainable = in_head(layer)


def in_head(layer: keras.Layer) -> bool:
    return layer.name.startswith("head_") or layer.name == "logits"


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
