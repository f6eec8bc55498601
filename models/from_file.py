"""A network whose layers a `.keras` file describes, made ready to be trained: read by the gate, ending in logits.

What it takes (`file_input`) is known from the file's description alone, before Keras is imported.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlens.core.errors import ModelError
from convlens.models.keras_file.reading import read_description, read_model

if TYPE_CHECKING:
    import keras

SHAPE_ONLY = ("Flatten", "Reshape", "Identity", "Dropout", "Squeeze")  # pass on the values that they are given
LOGITS = ("linear", "log_softmax", "logsoftmax")  # activations after which the softmax of the loss is right
SCALING = ("Rescaling", "Normalization", "BatchNormalization")
ARITHMETIC = ("Add", "Divide", "TrueDivide", "Multiply", "Subtract")  # of keras.ops, between the input and a layer


@dataclass(frozen=True)
class FileNetwork:
    """A network out of a file, and what a person should know of it, a line each."""

    model: "keras.Model"
    notes: list[str]


def file_input(path: str | os.PathLike) -> tuple[int | None, int | None, int]:
    """(height, width, channels) of the images that the network in a file takes; None for a side that may be any.

    Keras is not imported. Raises ModelError for what the gate refuses, and for a network that does not take one image
    of 1 or 3 channels, channels last, and give one output.
    """
    description = read_description(path)
    config = description["config"]
    layers = {layer["config"]["name"]: layer["config"] for layer in config["layers"]}
    inputs = _ends(config["input_layers"]) if "input_layers" in config else list(layers)[:1]
    outputs = _ends(config["output_layers"]) if "output_layers" in config else ["last"]
    for ends, kind in ((inputs, "inputs"), (outputs, "outputs")):
        if len(ends) != 1:
            raise ModelError(f"{path} has {len(ends)} {kind}; training takes a network of one input and one output.")
    shape: Sequence[Any] = layers[inputs[0]].get("batch_shape") or config.get("build_input_shape") or ()
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ModelError(
            f"{path} takes {_shape_text(shape)}; expected images of shape (batch, height, width, channels) with 1 or 3 "
            "channels."
        )
    return shape[1], shape[2], shape[3]


def network_from_file(
    config: Any, image_size: Sequence[int], channels: int, classes: int, *, seed: int | None = None
) -> FileNetwork:
    """The network in `config.path`, for images of `image_size` (height, width) and so many classes.

    Its layers keep their names. With `config.weights=fresh` they begin as their initializers say, drawn by `seed`; what
    does not learn (a frozen layer, `Normalization`) keeps the file's weights. A softmax at its end is taken out, so
    that it gives logits (batch, classes). A last dense layer for another number of classes is made anew where
    `config.replace_head` says so. Raises ModelError, one line, where the network does not fit images or classes.
    """
    import keras

    from convlens.models.inspection.convolutions import conv_layers

    file = os.fspath(config.path)
    model = _read_for(file, (*image_size, channels))
    notes = [f"Network from {file}: {len(model.layers)} layers, {config.weights} weights. {_scaling_note(model)}"]
    if config.weights == "fresh":
        model = _with_fresh_weights(model, seed)
    output = model.outputs[0]
    if activation_at_end(output) == "softmax":
        output = _without_softmax(output, file)
        notes.append("The softmax at its end is taken out: training, and the model that is saved, use logits.")
    if output.shape[-1] != classes:
        units, output = output.shape[-1], _with_other_head(output, classes, file, config.replace_head)
        notes.append(f"Its last layer of {units} units is replaced by one of {classes}.")
    activation = activation_at_end(output)
    if activation not in LOGITS:
        raise ModelError(
            f"{file} ends in {activation}, which gives no logits. Save it with a last dense layer of {classes} units "
            "without activation, or with softmax."
        )
    model = keras.Model(model.inputs[0], output, name=model.name)
    conv_layers(model)  # what cannot be looked into is refused before it is trained
    return FileNetwork(model, notes)


def _read_for(file: str, image_shape: tuple[int, ...]) -> "keras.Model":
    taken = file_input(file)
    if any(side not in (None, given) for side, given in zip(taken, image_shape, strict=True)):
        raise ModelError(f"{file} takes images of {sides(taken)}, and the data has {sides(image_shape)}.")
    model = read_model(file)
    if len(model.output_shape) != 2:
        raise ModelError(
            f"{file} gives outputs of shape {_shape_text(model.output_shape)}; expected a number for each class, "
            "(batch, classes)."
        )
    return model


def build_from_file(
    config: Any, image_size: Sequence[int], channels: int, classes: int, *, seed: int | None = None
) -> "keras.Model":
    """The model of `network_from_file`."""
    return network_from_file(config, image_size, channels, classes, seed=seed).model


def activation_at_end(output: Any) -> str:
    """The name of the function whose values a network's output, a KerasTensor, has: "softmax", ..., or "linear"."""
    operation, _ = _producer(output)
    return _activation(operation)


def _producer(tensor: Any) -> tuple[Any, Any]:
    """The operation that computes the values of a tensor of a graph, and the tensor that it was given."""
    import keras

    while True:
        operation, _, index = tensor._keras_history
        if isinstance(operation, keras.Model):
            tensor = operation.outputs[index]
            continue
        _, given = _last_call(tensor)
        if type(operation).__name__ not in SHAPE_ONLY or given is None:
            return operation, given
        tensor = given


def _activation(operation: Any) -> str:
    import keras

    own = getattr(operation, "activation", None)
    if own is not None:
        return getattr(own, "__name__", type(own).__name__).lower()
    kind = type(operation).__name__
    is_function = isinstance(operation, keras.layers.Layer) and kind in ("Softmax", "ReLU", "LeakyReLU", "ELU", "PReLU")
    return kind.lower() if is_function or type(operation).__module__ == "keras.src.ops.nn" else "linear"


def _without_softmax(output: Any, file: str) -> Any:
    """What the softmax at the end of a network was given."""
    import keras

    operation, given = _producer(output)
    if not isinstance(operation, keras.layers.Activation) and hasattr(operation, "activation"):
        operation.activation = keras.activations.linear
        return output
    if operation is not output._keras_history[0]:
        raise ModelError(
            f"{file} has its softmax within another layer, where it cannot be taken out; save the network with logits "
            "as its output."
        )
    return given


def _with_other_head(output: Any, classes: int, file: str, replace: bool) -> Any:
    """The output of a new dense layer in the place of the last one."""
    import keras

    if not replace:
        raise ModelError(
            f"{file} gives {output.shape[-1]} outputs and the data has {classes} classes. Add model.replace_head=true "
            f"to give it a new last layer, or choose data of {output.shape[-1]} classes."
        )
    layer, given = _last_call(output)
    if isinstance(layer, keras.layers.Activation):  # of the layer that is replaced
        layer, given = _last_call(given)
    if type(layer) is not keras.layers.Dense:
        raise ModelError(
            f"{file} ends in '{layer.name}' ({type(layer).__name__}), and model.replace_head=true replaces only a "
            "dense layer."
        )
    return keras.layers.Dense.from_config(layer.get_config() | {"units": classes, "activation": "linear"})(given)


def _last_call(tensor: Any) -> tuple[Any, Any]:
    """The operation of which a tensor is the output, and the tensor that it was given."""
    operation, node, _ = tensor._keras_history
    return operation, next(iter(operation._inbound_nodes[node].input_tensors), None)


def _with_fresh_weights(model: "keras.Model", seed: int | None) -> "keras.Model":
    import keras

    saved = keras.saving.serialize_keras_object(model)
    _seed_initializers(saved, seed)
    fresh = keras.saving.deserialize_keras_object(saved)
    for new, old in zip(_layers(fresh), _layers(model), strict=True):
        if old.weights and (not old.trainable or isinstance(old, keras.layers.Normalization)):
            new.set_weights(old.get_weights())
    return fresh


def _seed_initializers(saved: dict[str, Any], seed: int | None, path: str = "") -> None:
    """A seed for each initializer that draws by chance, from `seed` and the name of what it is for."""
    for layer in saved["config"].get("layers", []):
        name = f"{path}/{layer['config']['name']}"
        for key, value in layer["config"].items():
            draws = key.endswith("_initializer") and isinstance(value, dict) and "seed" in value.get("config", {})
            if draws and seed is not None:
                value["config"]["seed"] = zlib.crc32(f"{seed}{name}/{key}".encode()) % 2**31
        _seed_initializers(layer, seed, name)


def _layers(model: "keras.Model") -> Iterator[Any]:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _scaling_note(model: "keras.Model") -> str:
    """What becomes of pixels, which are 0 to 255, before the first layer that has kernels."""
    scaling = list(_scaling_operations(model))
    if scaling:
        return f"Inside it, pixels (0 to 255) are scaled by {', '.join(scaling)}."
    return (
        "Nothing in it scales pixels: it gets them as they are, 0 to 255. If it was made for 0 to 1, begin it with "
        "keras.layers.Rescaling(1 / 255)."
    )


def _scaling_operations(model: "keras.Model") -> Iterator[str]:
    import keras

    for operation in model.operations if hasattr(model, "operations") else model.layers:
        kind = type(operation).__name__
        if isinstance(operation, keras.Model):
            yield from _scaling_operations(operation)
            return
        if kind in SCALING or (kind in ARITHMETIC and type(operation).__module__.startswith("keras.src.ops")):
            yield f"'{operation.name}' ({kind})"
        elif getattr(operation, "weights", None):
            return


def _ends(ends: Any) -> list[str]:
    """The names of the layers in `input_layers` or `output_layers`, which are one ["name", 0, 0] or several."""
    if isinstance(ends, dict):
        ends = list(ends.values())
    return [ends[0]] if ends and isinstance(ends[0], str) else [end[0] for end in ends]


def sides(shape: Sequence[int | None]) -> str:
    """A shape for people, such as 32 x 32 x 3."""
    return " x ".join("any" if side is None else str(side) for side in shape)


def _shape_text(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if side is None else str(side) for side in shape)})"
