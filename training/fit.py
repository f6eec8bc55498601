"""Fitting a model to data: everything that `model.fit` needs, in the order in which it is needed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np
from rich.console import Console

from convlens.configs import Train
from convlens.configs.schema import Training
from convlens.core.errors import Stopped, UserError, unknown
from convlens.core.program import command_line
from convlens.models import whitening
from convlens.training import callbacks
from convlens.training.averaging import MEASURED_ON, StatisticsOfAverage
from convlens.training.checkpoint import State
from convlens.training.devices import one_hot_batches, weighted_batches, xla_pays_off
from convlens.training.fused import fewer_passes
from convlens.training.optimization import build_optimizer
from convlens.training.records import check_resumable
from convlens.training.resume import longer
from convlens.training.run import Run
from convlens.training.snapshots import Pack, Snapshots
from convlens.training.state import Checkpoints, EpochDone, build_metrics
from convlens.training.tensorboard import Curves, Drawings, Pictures, Profile, Writers

if TYPE_CHECKING:
    from convlens.data import Dataset
    from convlens.data.cache.device import DeviceTraining
    from convlens.training.training_data import TrainingData

WHITENED_ON = 2000  # images


def fit_model(
    run: Run,
    model: keras.Model,
    data: "TrainingData",
    config: Train,
    *,
    drawings: Drawings | None = None,
    pack: Pack | None = None,
    devices: int = 1,
    on_device: bool = False,
    start: State | None = None,
    console: Console | None = None,
) -> list[dict[str, float]]:
    """Trains a model and keeps the best one, by the monitored metric, in the run.

    Args:
        run: where the model, the metrics and the logs go.
        model: gives logits (batch, classes); built inside `devices.distributed` for several devices.
        data: training batches with one-hot labels, validation batches with integer ones.
        config: what the run was asked to do.
        drawings: how TensorBoard's pictures are drawn; None: without pictures.
        pack: how snapshots of kernels and maps are packed; None: none are kept.
        devices: over how many the batches are split.
        on_device: images to train on and to validate on, of a `data.Dataset`, are put on the accelerator (JAX).
        start: the state of an earlier training in this run to go on from; None: the model as it is.

    Returns:
        The rows of `metrics.csv`.

    Raises:
        UserError: the loss or the weights are no longer finite, and what was saved before stays; or
            `training.steps_per_execution` does not divide the steps of an epoch.
        Stopped: Ctrl-C or SIGTERM came; the state is saved, and was told how to go on from it.
    """
    training, console = config.training, console or Console()
    if config.model.whiten and not start:
        _whiten(model, data)
    steps = data.steps(training.batch_size, training.limit_batches, training.overfit)
    together = steps_together(training.steps_per_execution, steps)
    confusion = callbacks.BalancedAccuracy(len(data.info.classes))
    model.compile(
        optimizer=build_optimizer(training, steps),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=training.label_smoothing),
        metrics=["accuracy", confusion],
        steps_per_execution=together,
        jit_compile=xla_pays_off(),
    )
    if on_device or (start and start.step):
        build_metrics(model)
    if start:
        _check_start(run, start, training, steps)
    _go_back(run, start)
    start = start and longer(start, training)
    if start and start.complete:
        return run.metrics
    resident, validation = None, None
    if on_device and not training.overfit:
        from convlens.training.dispatch import scan_steps

        resident = _resident(data, config)
        looked_at = data.evaluation_on_device("validation", training.batch_size, training.limit_batches)
        validation = scan_steps(model, resident, looked_at)
    writers = _writers(run, training, console)
    averaging = _averaging(training, data)
    interruption = callbacks.Interruption()
    with interruption.watching(), run.watched():
        while not (start and start.complete):
            best = callbacks.KeepBest(run, training.monitor, start.step if start else 0, training.keep == "last")
            lines = callbacks.ProgressLines(run, best, console, steps, best.first_step)
            table = callbacks.MetricsTable(run)
            clock = callbacks.Clock(min(training.batch_size, data.info.sizes["train"]))
            control = _control(training)
            checkpoints = Checkpoints(
                run, training, start, steps, best, interruption, (table, clock, *control), together
            )
            shown = [clock, best, table, lines, *_tensorboard(writers, run, data, config, drawings, confusion, start)]
            if pack and training.snapshots:
                image = data.examples("validation", [0])[0][0]
                shown.append(Snapshots(run, image, pack, training.snapshots, begins=not start))
            try:
                with lines.showing(), fewer_passes(model), checkpoints.writing():
                    model.fit(
                        _training_batches(data, config, start, resident, together),
                        epochs=training.epochs,
                        initial_epoch=checkpoints.first_epoch,
                        steps_per_epoch=steps - checkpoints.first_step,
                        validation_data=validation or _validation(data, config, devices),
                        # Averaging first, so that what follows sees the averaged weights.
                        callbacks=[*averaging, *shown, *control, checkpoints],
                        shuffle=False,  # the stream is shuffled already
                        verbose=0,
                    )
            except EpochDone:
                pass
            except Stopped as stop:
                tell_stop(run, stop, f"in {best.place()}", console)
                raise
            start = checkpoints.reached
        if interruption.requested:  # too late for any step
            interruption.stop()
    return run.metrics


def tell_stop(run: Run, stop: Stopped, where: str, console: Console) -> None:
    """Says where training stopped and how to go on, unless that was said."""
    if stop.reported:
        return
    told = f"Stopped {where}.\nGo on with: {command_line('train', resume=run.path)}"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    stop.reported = True


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


def _whiten(model: keras.Model, data: "TrainingData") -> None:
    """Sets the layer that whitens, unless its weights came from another model."""
    layer = model.get_layer(whitening.NAME)
    if np.any(keras.ops.convert_to_numpy(layer.kernel)):
        return
    layer.set_weights(whitening.whitening(_spread(data, WHITENED_ON)))


def steps_together(together: int | str, steps: int) -> int:
    """How many steps are executed in one call; they must not reach into the next epoch, or Keras trains on its batches.

    Raises `UserError`.
    """
    if together == "epoch":
        return steps
    if steps % together:
        divisors = [number for number in range(1, steps + 1) if steps % number == 0]
        below, above = max(n for n in divisors if n < together or n == 1), [n for n in divisors if n > together][:1]
        raise UserError(
            f"training.steps_per_execution={together} does not divide the {steps} steps of an epoch; "
            f"give {' or '.join(str(number) for number in [below, *above])}, or epoch for all of them."
        )
    return together


def _check_start(run: Run, start: State, training: Training, steps: int) -> None:
    """Raises `UserError` for a state that no training of this configuration has been in."""
    callbacks_kept = [
        "KeepBest",
        "MetricsTable",
        "Clock",
        *(type(callback).__name__ for callback in _control(training)),
    ]
    check_resumable(start.values, run.checkpoints_dir, callbacks_kept)
    if not start.complete and (start.epoch >= training.epochs or start.step >= steps):
        raise UserError(
            f"{run.checkpoints_dir} is damaged: it says epoch {start.epoch}, step {start.step}, of {training.epochs} "
            f"epochs of {steps} steps."
        )


def _go_back(run: Run, start: State | None) -> None:
    """Takes back what the run holds of the time after a state; None: of all time."""
    run.cut_logs(start.values["logs"] if start else {})
    if start and start.best_model:
        run.restore_model(start.best_model, start.values["best"])
    rows = start.values["callbacks"]["MetricsTable"]["rows"] if start else []
    if rows:
        run.write_metrics(rows)


def _resident(data: "Dataset", config: Train) -> "DeviceTraining":
    training, weights = config.training, None
    if training.class_weights:
        weights = class_weights(training, data.info.classes, data.labels("train"))
    return data.training_on_device(
        training.batch_size, config.seed, training.epochs, weights=weights, limit_batches=training.limit_batches
    )


def _training_batches(
    data: "TrainingData", config: Train, start: State | None, resident: "DeviceTraining | None", together: int
):
    """What `model.fit` goes through: batches, or what so many steps together over images on the device are told."""
    training = config.training
    if resident:
        return resident.step_inputs(start.epoch if start else 0, start.step if start else 0, together)
    batches = data.training(
        training.batch_size,
        config.seed,
        training.epochs,
        augment=not training.overfit,
        limit_batches=training.limit_batches,
        overfit=training.overfit,
        start_epoch=start.epoch if start else 0,
        start_step=start.step if start else 0,
    )
    if training.class_weights:
        weights = class_weights(training, data.info.classes, data.labels("train"))
        batches = weighted_batches(batches, weights)
    return batches


def _validation(data: "TrainingData", config: Train, devices: int):
    """Finite validation batches with one-hot labels; the training batch itself when it is to be learned by heart."""
    training, size = config.training, config.training.batch_size
    if training.overfit:
        batches, images = data.evaluation("train", size, overfit_seed=config.seed), min(size, data.info.sizes["train"])
    else:
        batches = data.evaluation("validation", size, limit_batches=training.limit_batches)
        images = data.info.sizes["validation"]
        if training.limit_batches:
            images = min(images, size * training.limit_batches)
    return one_hot_batches(batches, len(data.info.classes), devices, (images - 1) % size + 1)


def _averaging(training: Training, data: "TrainingData") -> list[keras.callbacks.Callback]:
    if not training.optimizer.ema:
        return []
    # Mixed, since they may be sorted by class and batch norm is to meet batches like those of training.
    images = np.random.default_rng(0).permutation(_spread(data, MEASURED_ON))
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), StatisticsOfAverage(images, training.batch_size)]


def _spread(data: "TrainingData", count: int) -> np.ndarray:
    """Some training images, evenly spread over all of them: uint8 (n, height, width, channels)."""
    size = data.info.sizes["train"]
    count = min(size, count)
    return data.examples("train", (np.arange(count) * size // count).tolist())[0]


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


def _writers(run: Run, training: Training, console: Console) -> Writers | None:
    if not training.tensorboard.enabled:
        return None
    if importlib.util.find_spec("tensorflow") is None:
        console.print("TensorBoard logs are left out: writing them needs TensorFlow.", highlight=False)
        return None
    return Writers(run)


def _tensorboard(
    writers: Writers | None,
    run: Run,
    data: "TrainingData",
    config: Train,
    drawings: Drawings | None,
    confusion: callbacks.BalancedAccuracy,
    start: State | None,
) -> list[keras.callbacks.Callback]:
    """What is written once, at the start of a run, is left out when it goes on."""
    wanted = config.training.tensorboard
    found = [Profile(run)] if config.training.profile and not start else []
    if writers:
        found.append(Curves(writers, graph=wanted.graph and not start, histograms_every=wanted.histograms_every))
    if writers and drawings and wanted.images_every:
        size = data.info.sizes["validation"]
        indices = np.linspace(0, size - 1, min(wanted.images, size)).astype(int).tolist()
        images = data.examples("validation", indices)[0]
        matrix = lambda: keras.ops.convert_to_numpy(confusion.matrix)  # noqa: E731
        pictures = Pictures(writers, drawings, images, data.info.classes, matrix, wanted.images_every, not start)
        found.append(pictures)
    return found
