"""Fitting a model to data: everything that `model.fit` needs, in the order in which it is needed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np
from rich.console import Console

from configs import Train, UserError, unknown
from configs.schema import Training
from training import callbacks
from training.backend import one_hot_batches, weighted_batches, xla_pays_off
from training.optimization import build_optimizer
from training.run import Run
from training.tensorboard import Curves, Drawings, Pictures, Profile, Writers

if TYPE_CHECKING:
    from data import Dataset


def fit_model(
    run: Run,
    model: keras.Model,
    data: "Dataset",
    config: Train,
    *,
    drawings: Drawings | None = None,
    devices: int = 1,
    initial_epoch: int = 0,
    console: Console | None = None,
) -> list[dict[str, float]]:
    """Trains a model and keeps the best one, by the monitored metric, in the run.

    Args:
        run: where the model, the metrics and the logs go.
        model: gives logits (batch, classes); built inside `backend.distributed` for several devices.
        data: training batches with one-hot labels, validation batches with integer ones.
        config: what the run was asked to do.
        drawings: how TensorBoard's pictures are drawn; None: without pictures.
        devices: over how many the batches are split.
        initial_epoch: epochs that are already behind the model.

    Returns:
        The rows of `metrics.csv`.

    Raises:
        UserError: the loss or the weights are no longer finite; what was saved before stays.
        KeyboardInterrupt: Ctrl-C, after saying what is saved.
    """
    training, console = config.training, console or Console()
    classes = data.info.classes
    steps = data.steps(training.batch_size, training.limit_batches, training.overfit)
    confusion = callbacks.BalancedAccuracy(len(classes))
    model.compile(
        optimizer=build_optimizer(training, steps),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=training.label_smoothing),
        metrics=["accuracy", confusion],
        steps_per_execution=training.steps_per_execution,
        jit_compile=xla_pays_off(),
    )
    best = callbacks.KeepBest(run, training.monitor)
    table = callbacks.MetricsTable(run)
    interruption = callbacks.Interruption()
    lines = callbacks.ProgressLines(run, best, console, initial_epoch)
    clock = callbacks.Clock(min(training.batch_size, data.info.sizes["train"]))
    batches = data.training(
        training.batch_size,
        config.seed,
        training.epochs,
        augment=not training.overfit,
        limit_batches=training.limit_batches,
        overfit=training.overfit,
        start_epoch=initial_epoch,
    )
    if training.class_weights:
        batches = weighted_batches(batches, class_weights(training, classes, data.labels("train")))
    with lines.showing(), interruption.watching():
        try:
            model.fit(
                batches,
                epochs=training.epochs,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps,
                validation_data=_validation(data, config, devices),
                callbacks=[
                    *_averaging(training),  # first, so that what follows sees the averaged weights
                    clock,
                    best,
                    table,
                    lines,
                    *_tensorboard(run, data, config, drawings, confusion, console),
                    *_control(training),
                    interruption,
                ],
                shuffle=False,  # the stream is shuffled already
                verbose=0,
            )
        except KeyboardInterrupt:
            console.print(f"Stopped in {best.place()}.", highlight=False, markup=False, soft_wrap=True)
            raise
    return table.rows


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Models built inside compute with this dtype policy; what is built afterwards does not."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def class_weights(training: Training, classes: tuple[str, ...], labels: np.ndarray) -> np.ndarray:
    """How much a mistake on each class costs, (classes,) float32.

    `balanced`: every class weighs the same in all, whatever its number of images; the mean over images is 1.
    Raises `UserError` for an unknown class.
    """
    if training.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return (len(labels) / (len(classes) * np.maximum(counts, 1))).astype("float32")
    for name in training.class_weights:
        if name not in classes:
            raise UserError(unknown("class in training.class_weights", name, classes))
    return np.array([training.class_weights.get(name, 1.0) for name in classes], "float32")


def _validation(data: "Dataset", config: Train, devices: int):
    """Finite validation batches with one-hot labels; the training batch itself when it is to be learned by heart."""
    training = config.training
    if training.overfit:
        batches = data.evaluation("train", training.batch_size, overfit_seed=config.seed)
    else:
        batches = data.evaluation("validation", training.batch_size, limit_batches=training.limit_batches)
    return one_hot_batches(batches, len(data.info.classes), devices)


def _averaging(training: Training) -> list[keras.callbacks.Callback]:
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if training.optimizer.ema else []


def _control(training: Training) -> list[keras.callbacks.Callback]:
    """What changes the course of training at the end of an epoch."""
    mode = "min" if "loss" in training.monitor else "max"
    stopping, schedule = training.early_stopping, training.schedule
    control = []
    if stopping.patience:
        control.append(
            keras.callbacks.EarlyStopping(
                training.monitor, min_delta=stopping.min_delta, patience=stopping.patience, mode=mode
            )
        )
    if schedule.name == "plateau":
        control.append(
            keras.callbacks.ReduceLROnPlateau(
                training.monitor, factor=schedule.factor, patience=schedule.patience, mode=mode, min_delta=0.0
            )
        )
    return control


def _tensorboard(run, data, config, drawings, confusion, console) -> list[keras.callbacks.Callback]:
    training, wanted = config.training, config.training.tensorboard
    profile = [Profile(run)] if training.profile else []
    if not wanted.enabled:
        return profile
    if importlib.util.find_spec("tensorflow") is None:
        console.print("TensorBoard logs are left out: writing them needs TensorFlow.", highlight=False)
        return profile
    writers = Writers(run)
    found = [Curves(writers, graph=wanted.graph, histograms_every=wanted.histograms_every)]
    if drawings and wanted.images_every:
        size = data.info.sizes["validation"]
        indices = np.linspace(0, size - 1, min(wanted.images, size)).astype(int).tolist()
        images = data.examples("validation", indices)[0]
        matrix = lambda: keras.ops.convert_to_numpy(confusion.matrix)  # noqa: E731
        found.append(Pictures(writers, drawings, images, data.info.classes, matrix, wanted.images_every))
    return found + profile
