"""What a person chose by name or number, looked up in the network; what does not exist is refused."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convlens.core.errors import UserError, unknown
from convlens.models.keras_file.reading import read_description

if TYPE_CHECKING:
    from convlens.configs import Visualize


def check_choices(model_path: Path, config: "Visualize") -> None:
    """Refuse unknown layers and units from the model's own description, before Keras takes its seconds to load.

    Raises UserError, also for a file that `read_model` would not read.
    """
    if config.layers is None and config.units is None:
        return
    layers = described_layers(model_path)
    if layers:
        refuse_unknown(config, layers)


def described_layers(model_path: Path) -> dict[str, int | None]:
    """The convolutions that a saved model describes, in its order, with their numbers of units where it tells.

    Raises ModelError for a file that `read_model` would not read.
    """
    return dict(_described_convolutions(read_description(model_path)["config"]))


def refuse_unknown(config: "Visualize", layers: dict[str, int | None]) -> None:
    """Raises UserError for a layer that is not in `layers`, or a unit that a layer of so many units does not have."""
    for name in config.layers or []:
        if name not in layers:
            raise UserError(unknown("layer", name, layers, where="figures=architecture shows them"))
    for name in config.layers or layers:
        for unit in config.units or []:
            count = layers[name]
            if count is not None and unit >= count:
                hint = "" if config.layers else " Name the layers to draw it for, too: layers=..."
                raise UserError(f"Layer {name} has no unit {unit}; its units are 0 to {count - 1}.{hint}")


def class_index(target: str | int, labels: Sequence[str], *, where: str = "") -> int:
    """The index of the class that the user named, by name or by index.

    Raises UserError where there is none; `where` says in which file the names stand.
    """
    if isinstance(target, str) and target not in labels:
        raise UserError(unknown("target", target, labels, where=where))
    index = labels.index(target) if isinstance(target, str) else target
    if not 0 <= index < len(labels):
        raise UserError(f"target={index} is not a class; give a name, or an index from 0 to {len(labels) - 1}")
    return index


def _described_convolutions(network: dict, path: str = "") -> Iterator[tuple[str, int | None]]:
    for layer in network["layers"]:
        settings = layer["config"]
        name = f"{path}{settings['name']}"
        if layer["class_name"] in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
            yield name, settings.get("filters")
        elif "layers" in settings:
            yield from _described_convolutions(settings, f"{name}/")
