"""The serialized objects inside a saved configuration: each is a built-in one, with options that are known."""

from collections.abc import Iterable
from typing import Any

from convlens.core.errors import ModelError
from convlens.models.keras_file import allowed
from convlens.models.keras_file.archive import printable
from convlens.models.keras_file.values import (
    check_build_shapes,
    check_keys,
    check_name,
    check_plain,
    check_shape,
    described,
    name_of,
)

_OBJECT_KEYS = {"class_name", "config", "module", "registered_name", "shared_object_id"}
_WORDS = {
    "fill_mode",
    "interpolation",
    "mode",
    "padding",
}  # options that are words, besides those with a rule of their own
LAYER_KEYS = _OBJECT_KEYS | {"build_config", "inbound_nodes", "name"}


def class_of(saved: Any, what: str) -> str:
    """The class that a serialized object names, once it is sure to be Keras' own and to have a group of options."""
    if not isinstance(saved, dict) or not isinstance(saved.get("class_name"), str):
        raise ModelError(f"is not a model: it has {described(saved)} where a {what} belongs")
    name = saved["class_name"]
    if name in ("Lambda", "__lambda__"):
        raise ModelError(f"holds a Lambda {what} '{name_of(saved)}', which runs code; only built-in layers are read")
    if saved.get("registered_name") not in (None, name) or not isinstance(saved.get("module"), str):
        raise not_allowed(saved, what)
    if name != "function" and not isinstance(saved.get("config"), dict):
        raise ModelError(f"has a {what} of class {printable(name)} whose options are {described(saved.get('config'))}")
    return name


def kind_of(saved: dict[str, Any]) -> allowed.Kind:
    module, name = saved["module"], saved["class_name"]
    kind = allowed.LAYERS.get(name) if module == "keras.layers" else allowed.INTERNAL_LAYERS.get((module, name))
    if kind is None:
        raise not_allowed(saved, "layer")
    return kind


def not_allowed(saved: dict[str, Any], what: str) -> ModelError:
    """The ModelError for an object that is not allowed, saying why: custom, unknown or renamed."""
    name, module, registered = (saved.get(key) for key in ("class_name", "module", "registered_name"))
    where = f" (layer '{name_of(saved)}')" if what == "layer" else ""
    if name == "function":
        return ModelError(f"calls the function {_function(saved)} as a {what}; no functions but activations are read")
    if isinstance(registered, str) and ">" in registered or module is None:
        return ModelError(
            f"needs the custom class '{printable(registered or name)}'{where}; only built-in layers are read"
        )
    full = f"{printable(module)}.{printable(name)}"
    if not (isinstance(module, str) and module.split(".")[0] == "keras"):
        return ModelError(f"names {full} as a {what}{where}; only Keras' own are read")
    if isinstance(registered, str) and registered != name:
        return ModelError(f"registers {full} under another name, '{printable(registered)}'{where}")
    return ModelError(f"has a {what} of class {full}{where}, which is not one of the built-in {what}s that are read")


def check_options(saved: dict[str, Any], kind: allowed.Kind) -> None:
    options, name = saved["config"], name_of(saved)
    where = f"layer '{name}'"
    check_keys(options, kind.options, where)
    check_name(options)
    for key, value in options.items():
        if value is None or key == "name":
            continue
        if key == "dtype":
            check_dtype(value, allowed.INPUT_DTYPES if saved["class_name"] == "InputLayer" else allowed.POLICIES)
        elif key == "activation":
            _activation(value, where)
        elif key.endswith("_initializer"):
            _object(value, "initializer", allowed.INITIALIZERS, where)
        elif key.endswith("_regularizer"):
            _object(value, "regularizer", allowed.REGULARIZERS, where)
        elif key.endswith("_constraint"):
            _object(value, "constraint", allowed.CONSTRAINTS, where)
        elif key in ("batch_shape", "target_shape"):
            check_shape(value, negative=key == "target_shape")
        elif key == "data_format":
            if value not in ("channels_last", "channels_first"):
                raise ModelError(f"has {where} with data_format={printable(value)}")
        else:
            check_plain(value, f"{where}, option {key}")
            if isinstance(value, str) and key not in _WORDS and kind.weights is None:
                raise ModelError(
                    f"has the text '{printable(value, 30)}' in {where}, option {key}, where a number belongs"
                )


def _object(value: Any, what: str, choices: set[str], where: str) -> None:
    """An initializer, a regularizer or a constraint: an object of a known class whose options are numbers or words."""
    if isinstance(value, str):
        name = value.replace("_", "").lower()
        if name not in {choice.lower() for choice in choices}:
            raise ModelError(f"has {where} with the unknown {what} '{printable(value)}'")
        return
    name = class_of(value, what)
    if value["module"] != f"keras.{what}s" or name not in choices:
        raise not_allowed(value, what)
    check_keys(value, _OBJECT_KEYS, f"a {what} in {where}")
    for option in value["config"].values():
        check_plain(option, f"a {what} in {where}")


def _activation(value: Any, where: str) -> None:
    name: Any
    if isinstance(value, str):
        name = value
    elif isinstance(value, dict) and value.get("class_name") == "function":
        name = value.get("config")
        own = value.get("module") in ("builtins", "keras.activations") and value.get("registered_name") in (None, name)
        if not own or not isinstance(name, str):
            raise ModelError(f"calls the function {_function(value)} in {where}; no functions but activations are read")
    else:
        if class_of(value, "activation") not in allowed.ACTIVATION_LAYERS or value["module"] != "keras.layers":
            raise not_allowed(value, "activation")
        check_keys(value, LAYER_KEYS - {"inbound_nodes"}, f"the activation of {where}")
        check_options(value, allowed.LAYERS[value["class_name"]])
        check_build_shapes(value.get("build_config"))
        return
    if name not in allowed.ACTIVATIONS:
        raise ModelError(f"has {where} with the unknown activation '{printable(name)}'")


def check_dtype(value: Any, choices: Iterable[str]) -> None:
    name = policy_of(value)
    if name not in choices:
        raise ModelError(f"asks for the dtype '{printable(name)}', which is not read")


def policy_of(value: Any) -> str:
    """The name of a dtype or of a dtype policy."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else printable(value)
    if class_of(value, "dtype policy") != "DTypePolicy" or value["module"] not in ("keras", "keras.dtype_policies"):
        raise not_allowed(value, "dtype policy")
    if set(value["config"]) != {"name"} or not isinstance(value["config"]["name"], str):
        raise ModelError("has a dtype policy that is more than a name")
    return value["config"]["name"]


def _function(saved: dict[str, Any]) -> str:
    return f"'{printable(saved.get('module'))}.{printable(saved.get('config'))}'"
