"""How the layers of a saved model are linked, judged before Keras links them."""

from typing import Any

from convlens.core.errors import ModelError
from convlens.models.keras_file import allowed
from convlens.models.keras_file.archive import printable
from convlens.models.keras_file.objects import check_dtype
from convlens.models.keras_file.values import check_plain, check_shape, described, name_of

CALLS = (
    5_000  # of layers, when the graph is linked, and of tensors beyond one that they take: of a nested model each time
)
TENSORS = 1_000  # that one call of a layer takes; concatenating them takes the square of their number
ENDS = 100  # inputs of a model, and outputs
ROUNDS = 20  # in which Keras may link the graph; it tries every layer that is not linked yet in each of them


def cost_of_calls(layer: dict[str, Any], cost: int) -> int:
    """What it takes to link a layer, where one call of it takes `cost`: a tensor beyond one takes as much as a call."""
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list) or not isinstance(layer.get("name"), str):
        raise ModelError(f"has layer '{name_of(layer)}' without its place in the graph")
    more = sum(max(0, len(_sources(node)) - 1) for node in nodes)
    return cost * max(1, len(nodes)) + more


def check_graph(config: dict[str, Any]) -> None:
    """Follows the links as Keras does, so that a loop, a missing layer or too long a search is found before Keras
    starts.
    """
    waiting = {layer["name"]: [_sources(node) for node in layer["inbound_nodes"]] for layer in config["layers"]}
    sources = {name: {source for node in nodes for source, _ in node} for name, nodes in waiting.items()}
    if len(waiting) < len(config["layers"]):
        raise ModelError("has two layers of the same name")
    linked = {layer["name"]: int(layer["class_name"] == "Functional") for layer in config["layers"]}
    for source in (source for nodes in waiting.values() for node in nodes for source in node):
        if source[0] not in linked:
            raise ModelError(f"links to the layer '{printable(source[0])}', which it does not have")
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
        raise ModelError(f"cannot be linked: layer '{printable(name)}' waits for others, in a loop or in reverse order")
    for key in ("input_layers", "output_layers"):
        ends = _histories(config.get(key))
        if not 0 < len(ends) <= ENDS:
            raise ModelError(f"has {len(ends):,} {key.replace('_', ' ')}; expected 1 to {ENDS}")
        for name, _ in ends:
            if name not in linked:
                raise ModelError(f"links to the layer '{printable(name)}', which it does not have")
    _check_use(config, sources)


def _check_use(config: dict[str, Any], sources: dict[str, set[str]]) -> None:
    """Raises ModelError for a layer that no output needs: Keras drops it, and then numbers the folders of weights
    without it.
    """
    used, waiting = set(), [name for name, _ in _histories(config["output_layers"])]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += sources[name]
    for layer in config["layers"]:
        if layer["name"] not in used and layer["class_name"] != "InputLayer":
            raise ModelError(f"has the layer '{name_of(layer)}', which no output of its model needs")


def _sources(node: Any) -> list[tuple[str, int]]:
    """The tensors that one call of a layer takes, as (layer, number of that layer's call)."""
    if not isinstance(node, dict) or set(node) != {"args", "kwargs"} or not isinstance(node["kwargs"], dict):
        raise ModelError(f"has {described(node)} where a layer's call belongs")
    sources: list[tuple[str, int]] = []
    _collect([node["args"], list(node["kwargs"].values())], sources)
    if len(sources) > TENSORS:
        raise ModelError(f"passes {len(sources):,} tensors to a layer at once; at most {TENSORS:,} are read")
    return sources


def _collect(value: Any, sources: list[tuple[str, int]], depth: int = 0) -> None:
    if isinstance(value, list) and depth < 6:
        for item in value:
            _collect(item, sources, depth + 1)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        tensor = value.get("config")
        if not isinstance(tensor, dict) or not set(tensor) <= {"shape", "dtype", "keras_history"}:
            raise ModelError("has a tensor that is more than a shape and its origin")
        check_shape(tensor.get("shape"))
        check_dtype(tensor.get("dtype"), allowed.INPUT_DTYPES | {"bool"})
        sources += _histories(tensor.get("keras_history"))
    else:
        check_plain(value, "a layer's call")


def _histories(value: Any) -> list[tuple[str, int]]:
    """`[layer, call, tensor]`, or any list or group of these."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        if not all(type(number) is int and 0 <= number < CALLS for number in value[1:]):
            raise ModelError(f"has {described(value)} where a tensor's origin belongs")
        return [(value[0], value[1])]
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, list | dict) or not all(isinstance(item, list | dict) for item in items):
        raise ModelError(f"has {described(value)} where a tensor's origin belongs")
    return [origin for item in items for origin in _histories(item)]
