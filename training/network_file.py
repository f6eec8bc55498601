"""A training of a network in a file (`model=keras model.path=net.keras`): what is asked of it before data is read."""

from pathlib import Path

from convlens.configs import Train
from convlens.core.errors import UserError
from convlens.core.program import word
from convlens.models.from_file import file_input, sides
from convlens.models.keras_file.other_formats import other_format
from convlens.training.saved_model import lasting_name, model_file

OWN_KEYS = ("model.path", "model.weights", "model.replace_head")  # read with model=keras and with no other family


def check_network(config: Train) -> None:
    """Raises `UserError` for keys of `model` that were typed and would not be read, and for a file that is refused."""
    from_file = config.model.family == "keras"
    for key in config.typed:
        if key.startswith("model.") and key != "model.family" and (key in OWN_KEYS) != from_file:
            way = "leave it out" if from_file else "add model=keras"
            reader = f"with model=keras, which reads {', '.join(OWN_KEYS)}" if from_file else "without model=keras"
            raise UserError(f"{key} has no effect {reader}; {way}.")
    if not from_file:
        return
    if config.training.precision != "float32":
        raise UserError(
            f"training.precision={config.training.precision} has no effect with model=keras: the layers in "
            f"{config.model.path} say themselves how they compute. Leave it out."
        )
    path = Path(config.model.network_file)
    if path.is_file() and path.suffix != ".keras" and not other_format(path):
        raise UserError(
            f"{word('model.path', path)} is not a file of Keras; expected one whose name ends in .keras, or a run."
        )
    file_input(model_file(path))


def keys_of_network(config: Train) -> set[str]:
    """The keys that `with_input_of_network` gives a value, since nobody wrote them."""
    if config.model.family != "keras":
        return set()
    return {f"data.{key}" for key in ("image_size", "channels") if getattr(config.data, key) is None}


def with_input_of_network(config: Train) -> Train:
    """The configuration in which images have the size and the channels that the network in `model.path` takes.

    The file is named so that it goes on meaning the same. Raises `UserError` where other images are configured.
    """
    if config.model.family != "keras":
        return config
    file = model_file(config.model.network_file)
    height, width, channels = file_input(file)
    size = None if None in (height, width) else [height, width]
    data = config.data
    for key, given, taken in (("image_size", data.image_size, size), ("channels", data.channels, channels)):
        if given is not None and taken is not None and given != taken:
            typed, needed = (f"data.{key}={value}".replace(" ", "") for value in (given, taken))
            raise UserError(
                f"{file} takes images of {sides((height, width, channels))}, which {typed} does not give; use {needed}."
            )
    fitting = {"image_size": data.image_size or size, "channels": channels}
    network = {"path": lasting_name(config.model.network_file)}
    return config.model_copy(
        update={"data": data.model_copy(update=fitting), "model": config.model.model_copy(update=network)}
    )
