"""Choices that are right alone and wrong together, found before Keras is imported."""

from configs import Train, UserError
from training.run import model_file


def check_choices(config: Train) -> None:
    """Raises `UserError` for training settings that contradict each other, and for a start that does not exist."""
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
    if config.init_from:
        model_file(config.init_from)
