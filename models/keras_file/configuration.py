"""The configuration inside a `.keras` file, judged as plain data before Keras sees it."""

import re
from dataclasses import dataclass
from typing import Any

from convlens.core.errors import ModelError
from convlens.models.keras_file import allowed
from convlens.models.keras_file.archive import printable
from convlens.models.keras_file.links import CALLS, check_graph, cost_of_calls
from convlens.models.keras_file.objects import (
    LAYER_KEYS,
    check_dtype,
    check_options,
    class_of,
    kind_of,
    not_allowed,
    policy_of,
)
from convlens.models.keras_file.values import (
    DIMENSIONS,
    check_build_shapes,
    check_keys,
    check_name,
    check_plain,
    check_shape,
    name_of,
)

NESTED_MODELS = 5
LAYERS = 2000  # NASNetLarge, the largest of keras.applications, has 1,041


@dataclass(frozen=True)
class Weight:
    """What one dataset of the weights file must be."""

    layer: str
    shape: allowed.Shape
    dtype: str | None  # None: whole numbers


def expected_weights(saved: dict[str, Any]) -> dict[str, Weight]:
    """The weights that a model of this configuration has: {path in the weights file: what must stand there}.

    Training settings (optimizer, loss, metrics) are taken out of `saved`: nothing here trains, and a loss may be
    anybody's function. Raises ModelError, with a reason that begins with a verb, for anything but built-in layers
    with known options.
    """
    reader = _Reader()
    reader.model(saved, path="", depth=0)
    return reader.weights


class _Reader:
    def __init__(self):
        self.weights: dict[str, Weight] = {}
        self.layers = 0

    def model(self, saved: dict[str, Any], path: str, depth: int) -> int:
        """Checks a model and the models inside it; returns how many calls of layers it takes to link one use of it."""
        if depth == NESTED_MODELS:
            raise ModelError(f"nests models more than {NESTED_MODELS} deep")
        name = class_of(saved, "model")
        saved.pop("compile_config", None)
        key = (saved["module"], name)
        if key not in allowed.MODELS:
            raise not_allowed(saved, "model")
        config = saved["config"]
        check_keys(saved, LAYER_KEYS, f"model '{name_of(saved)}'")
        check_keys(config, allowed.MODELS[key], f"model '{name_of(saved)}'")
        check_name(config)
        check_plain(config.get("trainable"), f"model '{name_of(saved)}'")
        check_dtype(config.get("dtype") or "float32", allowed.POLICIES)
        check_build_shapes(saved.get("build_config"))
        check_shape(config.get("build_input_shape"))
        layers = config.get("layers")
        if not isinstance(layers, list) or not layers:
            raise ModelError("is not a model: its configuration lists no layers")
        self.layers += len(layers)
        if self.layers > LAYERS:
            raise ModelError(f"has {self.layers:,} layers; at most {LAYERS:,} are read")

        used: dict[str, int] = {}
        calls = 0
        for layer in layers:
            cost = self._layer(layer, path, depth, used)
            calls += cost_of_calls(layer, cost) if name == "Functional" else cost
            if calls > CALLS:
                raise ModelError(
                    f"calls its layers more than {CALLS:,} times: models are nested in models many times, or layers "
                    "take many tensors"
                )
        if name == "Functional":
            check_graph(config)
        return calls

    def _layer(self, saved: Any, path: str, depth: int, used: dict[str, int]) -> int:
        class_name = class_of(saved, "layer")
        folder = _unique(_snake_case(class_name), used)
        if (saved["module"], class_name) in allowed.MODELS:
            return self.model(saved, f"{path}layers/{folder}/", depth + 1)
        check_keys(saved, LAYER_KEYS, f"layer '{name_of(saved)}'")
        if class_name in allowed.OPERATIONS.get(saved["module"], ()):
            check_name(saved["config"])
            for value in saved["config"].values():
                check_plain(value, f"operation '{name_of(saved)}'")
            _no_build(saved)
            return 1
        kind = kind_of(saved)
        check_options(saved, kind)
        self._add_weights(saved, kind, f"{path}layers/{folder}/vars/")
        return 1

    def _add_weights(self, saved: dict[str, Any], kind: allowed.Kind, path: str) -> None:
        build = saved.get("build_config")
        check_build_shapes(build)
        if kind.weights is None:
            return
        options, name = saved["config"], name_of(saved)
        shape = build.get("input_shape") if build else None
        if not shape or not all(size is None or isinstance(size, int) for size in shape):
            raise ModelError(f"has no weights for layer '{name}': it was saved before its input's shape was known")
        try:
            shapes = kind.weights(options, tuple(shape))
        except (KeyError, TypeError, IndexError, ZeroDivisionError, ValueError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelError(f"has layer '{name}', whose options do not fit together ({printable(reason)})") from None
        for number, size in enumerate(shapes):
            if len(size) > DIMENSIONS or not all(type(side) is int and 0 < side < 2**40 for side in size):
                raise ModelError(f"asks for weights of shape {printable(size)} in layer '{name}'")
            dtype = allowed.POLICIES[policy_of(options.get("dtype") or "float32")]
            # The count of images that Normalization has seen is a whole number.
            whole = saved["class_name"] == "Normalization" and number == 2
            self.weights[f"{path}{number}"] = Weight(name, size, None if whole else dtype)


def _no_build(saved: dict[str, Any]) -> None:
    if saved.get("build_config"):
        raise ModelError(f"has an operation with an input shape of its own, '{name_of(saved)}'")


def _snake_case(name: str) -> str:
    # As Keras names the folders of a weights file.
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _unique(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name
