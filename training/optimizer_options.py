"""Which options an optimizer takes, known before Keras is imported, as a misspelt word should not take seconds."""

import ast
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from convlens.configs.schema import Optimizer
from convlens.core.errors import UserError, unknown

_OWN_KEYS = {
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "global_clipnorm": "clip_norm",
    "clipnorm": "clip_norm",
    "clipvalue": "clip_value",
    "use_ema": "ema",
    "ema_momentum": "ema",
}


def check_options(config: Optimizer, parameters: Iterable[str]) -> None:
    """Raises `UserError` for an option that is not among the parameters of the constructor, or has a key of its own."""
    free = [name for name in parameters if name not in ("kwargs", "name") and not _has_own_key(name, config.name)]
    for key in config.options:
        if _has_own_key(key, config.name):
            raise UserError(f"training.optimizer.options.{key} is set with training.optimizer.{_OWN_KEYS[key]}.")
        if key not in free:
            raise UserError(unknown(f"option of {config.name} in training.optimizer.options", key, free))


def parameters_in_source(optimizer: str) -> list[str]:
    """The parameters of an optimizer's constructor, read in Keras' source; none where that is not laid out as known."""
    keras = importlib.util.find_spec("keras")
    if keras is None or keras.origin is None:
        return []
    path = Path(keras.origin).with_name("src") / "optimizers" / f"{optimizer}.py"
    if not path.is_file():
        return []
    classes = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)]
    for function in (node for cls in classes if cls.name.lower() == optimizer for node in cls.body):
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            return [parameter.arg for parameter in (*function.args.args, *function.args.kwonlyargs)][1:]
    return []


def _has_own_key(option: str, optimizer: str) -> bool:
    if option in ("momentum", "nesterov"):
        return optimizer in ("sgd", "rmsprop")
    return option in _OWN_KEYS
