"""Fitting a model to data: everything that `model.fit` needs, in the order in which it is needed."""

from typing import Any

import keras
import numpy as np

from convlens.configs.schema import Training
from convlens.core.errors import Stopped, UserError
from convlens.models import whitening
from convlens.training import callbacks
from convlens.training.averaging import MEASURED_ON, StatisticsOfAverage
from convlens.training.batches import (
    spread_images,
    steps_together,
    training_batches,
    training_on_device,
    validation_batches,
)
from convlens.training.checkpoint import State
from convlens.training.devices import xla_pays_off
from convlens.training.faster_layers import faster_layers
from convlens.training.optimization import build_optimizer
from convlens.training.records import check_resumable
from convlens.training.resume import ready_for_more_epochs
from convlens.training.run import Run
from convlens.training.session import Session
from convlens.training.snapshots import Snapshots
from convlens.training.state import Checkpoints, EpochDone, build_metrics
from convlens.training.tensorboard import open_writers, tensorboard_callbacks

WHITENED_ON = 2000  # images


def fit_model(session: Session, model: keras.Model) -> list[dict[str, float]]:
    """Trains a model and keeps the best one, by the monitored metric, in the session's run.

    It goes on from `session.start` where there is such a state.

    Args:
        session: the run, its data and its configuration; training batches have one-hot labels, validation batches
            integer ones.
        model: gives logits (batch, classes); built inside `session.on_its_devices()`.

    Returns:
        The rows of `metrics.csv`.

    Raises:
        UserError: the loss or the weights are no longer finite, and what was saved before stays; or
            `training.steps_per_execution` does not divide the steps of an epoch.
        Stopped: Ctrl-C or SIGTERM came; the state is saved, and it was said how to go on from it.
    """
    run, start = session.run, session.start
    if session.config.model.whiten and not start:
        _whiten(model, session)
    fitting = _Fitting(session, model)
    if start:
        _check_start(session, start, fitting.steps)
    _take_back_what_came_after(start, run)
    start = start and ready_for_more_epochs(start, session.config.training)
    if start and start.complete:
        return run.metrics
    fitting.make_ready()
    with fitting.interruption.watching(), run.watched():
        if start and start.step:  # Keras knows one length for all epochs: what is left of this one is fitted alone
            start = fitting.fit(start)
        if not (start and start.complete):
            fitting.fit(start)
        if fitting.interruption.requested:  # too late for any step
            fitting.interruption.stop()
    return run.metrics


class _Fitting:
    """A compiled model and what the calls of `model.fit` in one training share."""

    def __init__(self, session: Session, model: keras.Model):
        training, data = session.config.training, session.data
        self.session, self.model = session, model
        self.steps = data.steps(training.batch_size, training.limit_batches, training.overfit)
        self.steps_together = steps_together(training.steps_per_execution, self.steps)
        self.confusion = callbacks.BalancedAccuracy(len(data.info.classes))
        self.interruption = callbacks.Interruption()
        self.on_device = session.on_device and not training.overfit
        model.compile(
            optimizer=build_optimizer(training, self.steps),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=training.label_smoothing),
            metrics=["accuracy", self.confusion],
            steps_per_execution=self.steps_together,
            jit_compile=xla_pays_off(),
        )
        if session.on_device or (session.start and session.start.step):
            build_metrics(model)

    def make_ready(self) -> None:
        """Puts images where they are wanted and opens the logs."""
        session, training = self.session, self.session.config.training
        self.device_data = self.device_validation = None
        if self.on_device:
            from convlens.training.device_steps import run_steps_on_device

            self.device_data = training_on_device(session)
            validation = session.dataset.evaluation_on_device("validation", training.batch_size, training.limit_batches)
            self.device_validation = run_steps_on_device(self.model, self.device_data, validation)
        self.writers = open_writers(session)
        self.averaging = _averaging(session)

    def fit(self, start: State | None) -> State:
        """One call of `model.fit`: from a state within an epoch to the end of this epoch, else to the last one's.

        Returns the state that was reached.
        """
        session = self.session
        run, training = session.run, session.config.training
        best = callbacks.KeepBest(run, training.monitor, start.step if start else 0, training.keep == "last")
        lines = callbacks.ProgressLines(run, best, session.console, self.steps, best.first_step)
        table = callbacks.MetricsTable(run)
        clock = callbacks.Clock(min(training.batch_size, session.data.info.sizes["train"]))
        control = _control(training)
        others = (table, clock, *control)
        checkpoints = Checkpoints(
            run, training, start, self.steps, best, self.interruption, others, self.steps_together
        )
        logging = tensorboard_callbacks(session, self.writers, self.confusion, begins=not start)
        shown = [clock, best, table, lines, *logging, *_snapshots(session, begins=not start)]
        try:
            with lines.showing(), faster_layers(self.model), checkpoints.writing():
                self.model.fit(
                    self._batches(start),
                    epochs=training.epochs,
                    initial_epoch=checkpoints.first_epoch,
                    steps_per_epoch=self.steps - checkpoints.first_step,
                    validation_data=self.device_validation or validation_batches(session),
                    # Averaging first, so that what follows sees the averaged weights.
                    callbacks=[*self.averaging, *shown, *control, checkpoints],
                    shuffle=False,  # the stream is shuffled already
                    verbose=0,
                )
        except EpochDone:
            pass
        except Stopped as stop:
            session.report_stop(stop, f"in {best.saved_so_far()}")
            raise
        if checkpoints.reached is None:
            raise RuntimeError("Keras ended the training without saying so to its callbacks")
        return checkpoints.reached

    def _batches(self, start: State | None) -> Any:
        """Batches, or the inputs of as many steps as are executed together over images on the device."""
        if self.device_data:
            step = (start.epoch, start.step) if start else (0, 0)
            return self.device_data.step_inputs(*step, self.steps_together)
        return training_batches(self.session, start)


def _whiten(model: keras.Model, session: Session) -> None:
    """Sets the layer that whitens, unless its weights came from another model."""
    layer = model.get_layer(whitening.NAME)
    if np.any(keras.ops.convert_to_numpy(layer.kernel)):
        return
    layer.set_weights(whitening.whitening(spread_images(session.data, WHITENED_ON)))


def _check_start(session: Session, start: State, steps: int) -> None:
    """Raises `UserError` for a state that no training of this configuration has been in."""
    training, folder = session.config.training, session.run.checkpoints_dir
    control = (type(callback).__name__ for callback in _control(training))
    check_resumable(start.values, folder, ["KeepBest", "MetricsTable", "Clock", *control])
    if not start.complete and (start.epoch >= training.epochs or start.step >= steps):
        raise UserError(
            f"{folder} is damaged: it says epoch {start.epoch}, step {start.step}, of {training.epochs} "
            f"epochs of {steps} steps."
        )


def _take_back_what_came_after(start: State | None, run: Run) -> None:
    """Takes back what the run holds of the time after a state; None: of all time."""
    run.cut_logs(start.values["logs"] if start else {})
    if start and start.best_model:
        run.restore_model(start.best_model, start.values["best"])
    rows = start.values["callbacks"]["MetricsTable"]["rows"] if start else []
    if rows:
        run.write_metrics(rows)


def _averaging(session: Session) -> list[keras.callbacks.Callback]:
    training = session.config.training
    if not training.optimizer.ema:
        return []
    # Mixed, since they may be sorted by class and batch norm is to meet batches like those of training.
    images = np.random.default_rng(0).permutation(spread_images(session.data, MEASURED_ON))
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), StatisticsOfAverage(images, training.batch_size)]


def _snapshots(session: Session, begins: bool) -> list[keras.callbacks.Callback]:
    most = session.config.training.snapshots
    if not (session.pack and most):
        return []
    image = session.data.examples("validation", [0])[0][0]
    return [Snapshots(session.run, image, session.pack, most, begins)]


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
