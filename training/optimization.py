"""Optimizers and learning rate schedules, by the names that a configuration uses."""

import inspect
import math
from typing import Any

import keras
from keras import ops

from convlens.configs.schema import Optimizer, Schedule, Training
from convlens.core.errors import UserError
from convlens.training.muon import Muon
from convlens.training.optimizer_options import check_options

ONE_CYCLE_RISE = 0.3  # share of the steps, Smith 2018, arXiv:1803.09820, section 4
ONE_CYCLE_START = 1 / 25  # the first rate as a share of the highest


def build_optimizer(config: Training, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer with its schedule inside, ready for `model.compile`.

    Weight decay leaves out biases and the scales of normalization layers: pulling those to zero does not
    regularize. Raises `UserError` for an option that the optimizer does not take.
    """
    optimizer = _optimizer_class(config.optimizer.name)
    arguments = _arguments(config.optimizer)
    try:
        built = optimizer(learning_rate=build_schedule(config, steps_per_epoch), **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"training.optimizer.name={config.optimizer.name} refuses its options: {error}") from None
    built.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return built


def build_schedule(config: Training, steps_per_epoch: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate as a function of the optimizer's step; a plain number for `constant` and `plateau`.

    A warm-up rises linearly to `learning_rate` in the first `warmup_epochs` and the schedule takes over from there,
    so that every schedule ends with the last epoch.
    """
    schedule, peak = config.schedule, float(config.optimizer.learning_rate)
    total = config.epochs * steps_per_epoch
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if schedule.name == "one_cycle":
        rise = warmup or max(1, round(ONE_CYCLE_RISE * total))
        return OneCycle(peak, rise, max(1, total - rise), float(schedule.final_share))
    after = _after_warmup(schedule, peak, steps_per_epoch, warmup, total)
    return WarmUp(peak, warmup, after) if warmup else after


def _after_warmup(schedule: Schedule, peak: float, steps_per_epoch: int, warmup: int, total: int) -> Any:
    if schedule.name == "cosine":
        steps = max(1, total - warmup)
        return keras.optimizers.schedules.CosineDecay(peak, steps, alpha=float(schedule.final_share))
    if schedule.name == "exponential":
        return keras.optimizers.schedules.ExponentialDecay(peak, steps_per_epoch, schedule.factor)
    if schedule.name == "step":
        # Keras keeps a value up to and including its boundary; a rate that falls at an epoch falls at its first step.
        boundaries = [round(epoch * steps_per_epoch) - warmup - 1 for epoch in sorted(schedule.step_epochs)]
        values = [peak * schedule.factor**falls for falls in range(len(boundaries) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    return peak


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to a peak, which step `steps - 1` reaches, then follows another schedule from its start."""

    def __init__(self, peak: float, steps: int, after: float | keras.optimizers.schedules.LearningRateSchedule):
        self.peak, self.steps, self.after = peak, steps, after

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.peak * (step + 1.0) / self.steps
        later = self.after(ops.maximum(step - self.steps, 0.0)) if callable(self.after) else self.after
        return ops.where(step < self.steps, rising, later)


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Half a cosine up to a peak, half a cosine down to `final_share` of it (Smith 2018, arXiv:1803.09820)."""

    def __init__(self, peak: float, rise: int, fall: int, final_share: float):
        self.peak, self.rise, self.fall, self.final_share = peak, rise, fall, final_share

    def __call__(self, step):
        step = ops.cast(step, "float32")
        up = self._between(ONE_CYCLE_START, 1.0, step / self.rise)
        down = self._between(1.0, self.final_share, ops.minimum((step - self.rise) / self.fall, 1.0))
        return self.peak * ops.where(step < self.rise, up, down)

    @staticmethod
    def _between(start: float, end: float, progress: Any) -> Any:
        return end + (start - end) * 0.5 * (1.0 + ops.cos(math.pi * progress))


def _optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """Keras spells its classes with capitals of their own: AdamW, RMSprop, SGD."""
    if name == "muon":
        return Muon
    return next(item for key, item in vars(keras.optimizers).items() if key.lower() == name and inspect.isclass(item))


def _arguments(config: Optimizer) -> dict[str, Any]:
    """What the constructor gets beside the learning rate."""
    chosen = {"weight_decay": config.weight_decay, "global_clipnorm": config.clip_norm, "clipvalue": config.clip_value}
    arguments = {key: value for key, value in chosen.items() if value is not None}
    if config.name == "muon" and config.weight_decay is not None:
        arguments["adam_weight_decay"] = config.weight_decay
    if config.name in ("sgd", "rmsprop"):
        arguments["momentum"] = config.momentum
    if config.name == "sgd":
        arguments["nesterov"] = config.nesterov and config.momentum > 0
    if config.ema:
        arguments |= {"use_ema": True, "ema_momentum": config.ema}
    return arguments | _options(config)


def _options(config: Optimizer) -> dict[str, Any]:
    known = inspect.signature(_optimizer_class(config.name)).parameters
    check_options(config, known)
    options = {}
    for key, value in config.options.items():
        meant_as_float = isinstance(known[key].default, float) and isinstance(value, int)
        options[key] = float(value) if meant_as_float else value
    return options
