"""Choices that the schema takes one by one and that are wrong all the same, found before Keras is imported."""

from convlens.configs import Train
from convlens.core.errors import UserError
from convlens.training.optimizer_options import check_options, parameters_in_source
from convlens.training.run import model_file


def check_choices(config: Train) -> None:
    """Raises `UserError` for training settings that contradict each other, an option that the optimizer does not take,
    and a start that does not exist."""
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
