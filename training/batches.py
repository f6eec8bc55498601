"""The batches of a training and of its validation, the steps of an epoch, and the weights of classes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.configs.schema import Training
from convlens.core.errors import UserError, unknown
from convlens.training.checkpoint import State
from convlens.training.devices import one_hot_batches, weighted_batches

if TYPE_CHECKING:
    from convlens.data.cache.device import DeviceTraining
    from convlens.training.session import Session
    from convlens.training.training_data import TrainingData


def training_batches(session: "Session", start: State | None) -> Any:
    """Images, one-hot labels and, where classes are weighted, weights, from the state `start` to the last epoch."""
    training, data = session.config.training, session.data
    batches = data.training(
        training.batch_size,
        session.config.seed,
        training.epochs,
        augment=not training.overfit,
        limit_batches=training.limit_batches,
        overfit=training.overfit,
        start_epoch=start.epoch if start else 0,
        start_step=start.step if start else 0,
    )
    weights = _weights(training, data)
    return batches if weights is None else weighted_batches(batches, weights)


def validation_batches(session: "Session") -> Any:
    """Finite batches with one-hot labels; the training batch itself when it is to be learned by heart."""
    training, data = session.config.training, session.data
    size = training.batch_size
    if training.overfit:
        batches = data.evaluation("train", size, overfit_seed=session.config.seed)
        images = min(size, data.info.sizes["train"])
    else:
        batches = data.evaluation("validation", size, limit_batches=training.limit_batches)
        images = data.info.sizes["validation"]
        if training.limit_batches:
            images = min(images, size * training.limit_batches)
    return one_hot_batches(batches, len(data.info.classes), len(session.devices), (images - 1) % size + 1)


def training_on_device(session: "Session") -> "DeviceTraining":
    """The training images of a `data.Dataset` on the accelerator, with what picks the batches of every step (JAX)."""
    training, data = session.config.training, session.data
    return session.dataset.training_on_device(
        training.batch_size,
        session.config.seed,
        training.epochs,
        weights=_weights(training, data),
        limit_batches=training.limit_batches,
    )


def spread_images(data: "TrainingData", count: int) -> np.ndarray:
    """Some training images, evenly spread over all of them: uint8 (n, height, width, channels)."""
    size = data.info.sizes["train"]
    count = min(size, count)
    return data.examples("train", (np.arange(count) * size // count).tolist())[0]


def class_weights(training: Training, classes: tuple[str, ...], labels: np.ndarray) -> np.ndarray:
    """How much a mistake on each class costs, (classes,) float32.

    `balanced`: every class weighs the same in all, whatever its number of images; the mean over images is 1.
    Raises `UserError` for an unknown class.
    """
    if training.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return (len(labels) / (len(classes) * np.maximum(counts, 1))).astype("float32")
    weights = training.class_weights or {}
    for name in weights:
        if name not in classes:
            raise UserError(unknown("class in training.class_weights", name, classes))
    return np.array([weights.get(name, 1.0) for name in classes], "float32")


def steps_together(steps_per_execution: int | str, steps: int) -> int:
    """How many steps are executed in one call; they must not cross the end of an epoch. Raises `UserError`.

    Raises `UserError`.
    """
    if isinstance(steps_per_execution, str):  # "epoch"
        return steps
    if steps % steps_per_execution:
        divisors = [number for number in range(1, steps + 1) if steps % number == 0]
        below = max(number for number in divisors if number < steps_per_execution or number == 1)
        above = [number for number in divisors if number > steps_per_execution][:1]
        raise UserError(
            f"training.steps_per_execution={steps_per_execution} does not divide the {steps} steps of an epoch; "
            f"give {' or '.join(str(number) for number in [below, *above])}, or epoch for all of them."
        )
    return steps_per_execution


def _weights(training: Training, data: "TrainingData") -> np.ndarray | None:
    if not training.class_weights:
        return None
    return class_weights(training, data.info.classes, data.labels("train"))
