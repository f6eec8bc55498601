"""Checks of values that are valid one by one but not together, made before Keras is imported."""

from convlens.configs import Train
from convlens.configs.schema import ADDRESS_KEYS, ADDRESSES
from convlens.core.errors import UserError
from convlens.core.program import word
from convlens.data import check_address
from convlens.models import check_model
from convlens.training.network_file import check_network
from convlens.training.optimizer_options import check_options, parameters_in_source
from convlens.training.recipe import open_keys
from convlens.training.saved_model import model_file


def check_choices(config: Train) -> None:
    """Raises `UserError` for training settings that contradict each other, an option that the optimizer does not take,
    a start or a dataset that does not exist, a network that does not fit images of a size that is known, and what was
    typed of the data and would not be read."""
    _check_source(config)
    check_network(config)
    optimizer, schedule = config.training.optimizer, config.training.schedule
    if optimizer.clip_norm and optimizer.clip_value:
        raise UserError(
            f"training.optimizer has clip_norm={optimizer.clip_norm:g} and clip_value={optimizer.clip_value:g}; "
            f"give one."
        )
    if schedule.name == "plateau" and schedule.warmup_epochs:
        raise UserError(
            f"training.schedule.name=plateau has no warm-up; training.schedule.warmup_epochs is "
            f"{schedule.warmup_epochs:g}, expected 0 (or a schedule such as cosine)."
        )
    parameters = parameters_in_source(optimizer.name) if optimizer.options else []
    if parameters:  # otherwise the constructor is asked, once it is imported
        check_options(optimizer, parameters)
    if config.init_from:
        model_file(config.init_from)
    check_address(config.data)
    if config.data.image_size and "model.filters" not in open_keys(config):
        check_model(config.model, config.data.image_size, config.data.channels or 3, classes=2)


def _check_source(config: Train) -> None:
    """Raises `UserError` for the address of another source of data than the one that is read."""
    data = config.data
    if data.source == "arrays":
        raise UserError(
            "data.source=arrays is for convlens.fit, which takes them from a program; begin with data=folder."
        )
    if data.root is not None and "root" not in data.address:
        takers = " or ".join(f"data={source}" for source, keys in ADDRESSES.items() if "root" in keys)
        raise UserError(
            f"{word('data.root', data.root)} applies only to {takers}, but this training reads {data.source}. Add "
            f"{takers}, or begin with experiment=folder."
        )
    for key in ADDRESS_KEYS:
        # Not what an experiment says: it may have been made for another source.
        if key not in data.address and f"data.{key}" in config.typed and getattr(data, key) is not None:
            typed, taken = word(f"data.{key}", getattr(data, key)), " and ".join(f"data.{own}" for own in data.address)
            raise UserError(
                f"{typed} has no effect with data={data.source}, which takes {taken}. Leave it out, or add data=tfds."
            )
