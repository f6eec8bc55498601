"""The configuration inside a `.keras` file, judged as plain data before Keras sees it."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models import allowed
from models.archive import shown
from models.errors import ModelError

NESTED_MODELS = 5
LAYERS = 2000  # NASNetLarge, the largest of keras.applications, has 1,041
CALLS = 50_000  # of layers, when the graph is linked: a nested model called twice counts twice
ROUNDS = 20  # in which Keras may link the graph; it tries every layer that is not linked yet in each of them
DIMENSIONS, SIDE = 8, 2**24
VALUES = 10_000  # in one list of numbers
_PART_KEYS = {"class_name", "config", "module", "registered_name", "shared_object_id"}
_LAYER_KEYS = _PART_KEYS | {"build_config", "inbound_nodes", "name"}


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
        """Checks a model and the models inside it; returns how many layer calls it takes to link one use of it."""
        if depth == NESTED_MODELS:
            raise ModelError(f"nests models more than {NESTED_MODELS} deep")
        name = _class_name(saved, "model")
        saved.pop("compile_config", None)
        key = (saved["module"], name)
        if key not in allowed.MODELS:
            raise _not_allowed(saved, "model")
        config = saved["config"]
        _only_known(saved, _LAYER_KEYS, f"model '{_name_of(saved)}'")
        _only_known(config, allowed.MODELS[key], f"model '{_name_of(saved)}'")
        _name(config)
        _plain(config.get("trainable"), f"model '{_name_of(saved)}'")
        _dtype(config.get("dtype") or "float32", allowed.POLICIES)
        _build_shapes(saved.get("build_config"))
        _shape(config.get("build_input_shape"))
        layers = config.get("layers")
        if not isinstance(layers, list) or not layers:
            raise ModelError("is no model: its configuration lists no layers")
        self.layers += len(layers)
        if self.layers > LAYERS:
            raise ModelError(f"has {self.layers:,} layers; at most {LAYERS:,} are read")

        used: dict[str, int] = {}
        calls = 0
        for layer in layers:
            cost = self._layer(layer, path, depth, used)
            calls += cost * (max(1, _nodes(layer)) if name == "Functional" else 1)
            if calls > CALLS:
                raise ModelError(f"calls its layers more than {CALLS:,} times: models are nested in models many times")
        if name == "Functional":
            _check_graph(config)
        return calls

    def _layer(self, saved: Any, path: str, depth: int, used: dict[str, int]) -> int:
        class_name = _class_name(saved, "layer")
        folder = _unique(_snake_case(class_name), used)
        if (saved["module"], class_name) in allowed.MODELS:
            return self.model(saved, f"{path}layers/{folder}/", depth + 1)
        _only_known(saved, _LAYER_KEYS, f"layer '{_name_of(saved)}'")
        if class_name in allowed.OPERATIONS.get(saved["module"], ()):
            _name(saved["config"])
            for value in saved["config"].values():
                _plain(value, f"operation '{_name_of(saved)}'")
            _no_build(saved)
            return 1
        kind = _kind(saved)
        _check_options(saved, kind)
        self._add_weights(saved, kind, f"{path}layers/{folder}/vars/")
        return 1

    def _add_weights(self, saved: dict[str, Any], kind: allowed.Kind, path: str) -> None:
        build = saved.get("build_config")
        _build_shapes(build)
        if kind.weights is None:
            return
        options, name = saved["config"], _name_of(saved)
        shape = build.get("input_shape") if build else None
        if not shape or not all(size is None or isinstance(size, int) for size in shape):
            raise ModelError(f"has no weights for layer '{name}': it was saved before its input's shape was known")
        try:
            shapes = kind.weights(options, tuple(shape))
        except (KeyError, TypeError, IndexError, ZeroDivisionError, ValueError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelError(f"has layer '{name}', whose options do not fit together ({shown(reason)})") from None
        for number, size in enumerate(shapes):
            if not all(type(side) is int and 0 < side < 2**40 for side in size):
                raise ModelError(f"asks for weights of shape {shown(size)} in layer '{name}'")
            dtype = allowed.POLICIES[_policy(options.get("dtype") or "float32")]
            # The count of images that Normalization has seen is a whole number.
            whole = saved["class_name"] == "Normalization" and number == 2
            self.weights[f"{path}{number}"] = Weight(name, size, None if whole else dtype)


def _class_name(saved: Any, what: str) -> str:
    """The class that a serialized object names, once it is sure to be Keras' own and to have a group of options."""
    if not isinstance(saved, dict) or not isinstance(saved.get("class_name"), str):
        raise ModelError(f"is no model: it has {_described(saved)} where a {what} belongs")
    name = saved["class_name"]
    if name in ("Lambda", "__lambda__"):
        raise ModelError(f"holds a Lambda {what} '{_name_of(saved)}', which runs code; only built-in layers are read")
    if saved.get("registered_name") not in (None, name) or not isinstance(saved.get("module"), str):
        raise _not_allowed(saved, what)
    if name != "function" and not isinstance(saved.get("config"), dict):
        raise ModelError(f"has a {what} of class {shown(name)} whose options are {_described(saved.get('config'))}")
    return name


def _kind(saved: dict[str, Any]) -> allowed.Kind:
    module, name = saved["module"], saved["class_name"]
    kind = allowed.LAYERS.get(name) if module == "keras.layers" else allowed.INTERNAL_LAYERS.get((module, name))
    if kind is None:
        raise _not_allowed(saved, "layer")
    return kind


def _not_allowed(saved: dict[str, Any], what: str) -> ModelError:
    """Says which of the ways of not being built in this is."""
    name, module, registered = (saved.get(key) for key in ("class_name", "module", "registered_name"))
    place = f" (layer '{_name_of(saved)}')" if what == "layer" else ""
    if name == "function":
        return ModelError(f"calls the function {_function(saved)} as a {what}; no functions but activations are read")
    if isinstance(registered, str) and ">" in registered or module is None:
        return ModelError(f"needs the custom class '{shown(registered or name)}'{place}; only built-in layers are read")
    full = f"{shown(module)}.{shown(name)}"
    if not (isinstance(module, str) and module.split(".")[0] == "keras"):
        return ModelError(f"names {full} as a {what}{place}; only Keras' own are read")
    if isinstance(registered, str) and registered != name:
        return ModelError(f"registers {full} under another name, '{shown(registered)}'{place}")
    return ModelError(f"has a {what} of class {full}{place}, which is not one of the built-in {what}s that are read")


def _check_options(saved: dict[str, Any], kind: allowed.Kind) -> None:
    options, name = saved["config"], _name_of(saved)
    place = f"layer '{name}'"
    _only_known(options, kind.options, place)
    _name(options)
    for key, value in options.items():
        if value is None or key == "name":
            continue
        if key == "dtype":
            _dtype(value, allowed.INPUT_DTYPES if saved["class_name"] == "InputLayer" else allowed.POLICIES)
        elif key == "activation":
            _activation(value, place)
        elif key.endswith("_initializer"):
            _part(value, "initializer", allowed.INITIALIZERS, place)
        elif key.endswith("_regularizer"):
            _part(value, "regularizer", allowed.REGULARIZERS, place)
        elif key.endswith("_constraint"):
            _part(value, "constraint", allowed.CONSTRAINTS, place)
        elif key in ("batch_shape", "target_shape"):
            _shape(value, negative=key == "target_shape")
        elif key == "data_format":
            if value not in ("channels_last", "channels_first"):
                raise ModelError(f"has {place} with data_format={shown(value)}")
        else:
            _plain(value, f"{place}, option {key}")


def _part(value: Any, what: str, choices: set[str], place: str) -> None:
    """An initializer, a regularizer or a constraint: an object of a known class whose options are numbers or words."""
    if isinstance(value, str):
        name = value.replace("_", "").lower()
        if name not in {choice.lower() for choice in choices}:
            raise ModelError(f"has {place} with the unknown {what} '{shown(value)}'")
        return
    name = _class_name(value, what)
    if value["module"] != f"keras.{what}s" or name not in choices:
        raise _not_allowed(value, what)
    _only_known(
        value, {"module", "class_name", "config", "registered_name", "shared_object_id"}, f"a {what} in {place}"
    )
    for option in value["config"].values():
        _plain(option, f"a {what} in {place}")


def _activation(value: Any, place: str) -> None:
    if isinstance(value, str):
        name = value
    elif isinstance(value, dict) and value.get("class_name") == "function":
        name = value.get("config")
        own = value.get("module") in ("builtins", "keras.activations") and value.get("registered_name") in (None, name)
        if not own or not isinstance(name, str):
            raise ModelError(f"calls the function {_function(value)} in {place}; no functions but activations are read")
    else:
        if _class_name(value, "activation") not in allowed.ACTIVATION_LAYERS or value["module"] != "keras.layers":
            raise _not_allowed(value, "activation")
        _only_known(value, _LAYER_KEYS - {"inbound_nodes"}, f"the activation of {place}")
        _check_options(value, allowed.LAYERS[value["class_name"]])
        _build_shapes(value.get("build_config"))
        return
    if name not in allowed.ACTIVATIONS:
        raise ModelError(f"has {place} with the unknown activation '{shown(name)}'")


def _dtype(value: Any, choices: Iterable[str]) -> None:
    name = _policy(value)
    if name not in choices:
        raise ModelError(f"asks for the dtype '{shown(name)}', which is not read")


def _policy(value: Any) -> Any:
    if not isinstance(value, dict):
        return value if isinstance(value, str) else shown(value)
    if _class_name(value, "dtype policy") != "DTypePolicy" or value["module"] not in ("keras", "keras.dtype_policies"):
        raise _not_allowed(value, "dtype policy")
    if set(value["config"]) != {"name"} or not isinstance(value["config"]["name"], str):
        raise ModelError("has a dtype policy that is more than a name")
    return value["config"]["name"]


def _plain(value: Any, place: str, depth: int = 0) -> int:
    """Refuses whatever is not a number, a word, true, false, null or a list of these; returns how many there are."""
    if isinstance(value, list):
        count = len(value)
        for item in value if count <= VALUES and depth < 4 else []:
            count += _plain(item, place, depth + 1)
            if count > VALUES:
                break
        if count > VALUES or depth == 4:
            raise ModelError(f"has an over-long list in {place}")
        return count
    if isinstance(value, dict):
        raise ModelError(f"has {_described(value)} in {place}, where a number or a word belongs")
    if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) > 2**63:
        raise ModelError(f"has the number {shown(value, 20)} in {place}")
    if isinstance(value, str) and len(value) > 200:
        raise ModelError(f"has a text of {len(value):,} characters in {place}")
    return 0


def _shape(value: Any, *, negative: bool = False) -> None:
    """A tensor's shape: a few sides, each null or a size that a tensor may have."""
    if value is None:
        return
    if not isinstance(value, list) or len(value) > DIMENSIONS:
        raise ModelError(f"has {_described(value)} where a shape of at most {DIMENSIONS} sides belongs")
    for side in value:
        if side is None or (negative and side == -1 and type(side) is int):
            continue
        if type(side) is not int or not 0 < side <= SIDE:
            raise ModelError(f"has a shape with the side {shown(side, 20)}; a side is a number from 1 to {SIDE:,}")
    if math.prod(side for side in value[1:] if side) > 2**30:
        raise ModelError(f"asks for a tensor of shape {shown(value)}, of more than 2**30 values an image")


def _build_shapes(build: Any) -> None:
    """What a layer says that it was built for: one shape, several, or several by name."""
    if build is None:
        return
    if not isinstance(build, dict) or not set(build) <= {"input_shape", "shapes_dict"}:
        raise ModelError(f"has {_described(build)} where a layer's input shape belongs")
    shapes = list(build.values())
    if isinstance(build.get("shapes_dict"), dict):
        shapes = list(build["shapes_dict"].values())
    for shape in shapes:
        several = isinstance(shape, list) and shape and all(isinstance(item, list) for item in shape)
        for one in shape if several else [shape]:
            _shape(one)


def _no_build(saved: dict[str, Any]) -> None:
    if saved.get("build_config"):
        raise ModelError(f"has an operation with an input shape of its own, '{_name_of(saved)}'")


def _nodes(layer: dict[str, Any]) -> int:
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list) or not isinstance(layer.get("name"), str):
        raise ModelError(f"has layer '{_name_of(layer)}' without its place in the graph")
    return len(nodes)


def _check_graph(config: dict[str, Any]) -> None:
    """Follows Keras linking the layers, so that a loop, a missing layer or a long search is found at once."""
    waiting = {layer["name"]: [_sources(node) for node in layer["inbound_nodes"]] for layer in config["layers"]}
    if len(waiting) < len(config["layers"]):
        raise ModelError("has two layers of the same name")
    linked = {layer["name"]: int(layer["class_name"] == "Functional") for layer in config["layers"]}
    for source in (source for nodes in waiting.values() for node in nodes for source in node):
        if source[0] not in linked:
            raise ModelError(f"links to the layer '{shown(source[0])}', which it does not have")
    for layer in config["layers"]:
        linked[layer["name"]] += layer["class_name"] == "InputLayer"
    for _ in range(ROUNDS):
        for name, nodes in waiting.items():
            while nodes and all(index < linked[source] for source, index in nodes[0]):
                nodes.pop(0)
                linked[name] += 1
        if not any(waiting.values()):
            break
    else:
        name = next(name for name, nodes in waiting.items() if nodes)
        raise ModelError(f"cannot be linked: layer '{shown(name)}' waits for others, in a loop or in reverse order")
    for key in ("input_layers", "output_layers"):
        for name, _ in _histories(config.get(key)):
            if name not in linked:
                raise ModelError(f"links to the layer '{shown(name)}', which it does not have")


def _sources(node: Any) -> list[tuple[str, int]]:
    """The tensors that one call of a layer takes, as (layer, number of that layer's call)."""
    if not isinstance(node, dict) or set(node) != {"args", "kwargs"} or not isinstance(node["kwargs"], dict):
        raise ModelError(f"has {_described(node)} where a layer's call belongs")
    found: list[tuple[str, int]] = []
    _collect([node["args"], list(node["kwargs"].values())], found)
    return found


def _collect(value: Any, found: list[tuple[str, int]], depth: int = 0) -> None:
    if isinstance(value, list) and depth < 6:
        for item in value:
            _collect(item, found, depth + 1)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        tensor = value.get("config")
        if not isinstance(tensor, dict) or not set(tensor) <= {"shape", "dtype", "keras_history"}:
            raise ModelError("has a tensor that is more than a shape and its origin")
        _shape(tensor.get("shape"))
        _dtype(tensor.get("dtype"), allowed.INPUT_DTYPES | {"bool"})
        found += _histories(tensor.get("keras_history"))
    else:
        _plain(value, "a layer's call")


def _histories(value: Any) -> list[tuple[str, int]]:
    """`[layer, call, tensor]`, or any list or group of these."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        if not all(type(number) is int and 0 <= number < CALLS for number in value[1:]):
            raise ModelError(f"has {_described(value)} where a tensor's origin belongs")
        return [(value[0], value[1])]
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, list | dict) or not all(isinstance(item, list | dict) for item in items):
        raise ModelError(f"has {_described(value)} where a tensor's origin belongs")
    return [origin for item in items for origin in _histories(item)]


def _name(options: dict[str, Any]) -> None:
    name = options.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise ModelError(f"has the name '{shown(name)}'; a name is a printable text of at most 200 characters")


def _only_known(group: dict[str, Any], known: Iterable[str], place: str) -> None:
    """Refuses options that were not reviewed; one that is left off (null or false) does nothing."""
    known = set(known)
    for key, value in group.items():
        if key not in known and value is not None and value is not False:
            raise ModelError(f"sets '{shown(key)}' in {place}, which is not an option that is read")


def _snake_case(name: str) -> str:
    # As Keras names the folders of a weights file.
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _unique(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


def _name_of(saved: dict[str, Any]) -> str:
    """A layer's name for an error's text, wherever it is written, whatever it is."""
    options = saved.get("config")
    return shown((options.get("name") if isinstance(options, dict) else None) or saved.get("name") or "?", 60)


def _function(saved: dict[str, Any]) -> str:
    return f"'{shown(saved.get('module'))}.{shown(saved.get('config'))}'"


def _described(value: Any) -> str:
    if isinstance(value, dict):
        name = value.get("class_name")
        return f"an object of class {shown(name)}" if name else "a group of keys"
    return "a list" if isinstance(value, list) else f"'{shown(value, 30)}'"
