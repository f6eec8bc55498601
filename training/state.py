"""The state of a running training: saved between two steps, restored before the next one."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from convlens.configs.schema import Training
from convlens.core.errors import UserError
from convlens.training.callbacks import Interruption, KeepBest
from convlens.training.checkpoint import State, write_checkpoint
from convlens.training.records import CALLBACKS
from convlens.training.run import Run


class EpochDone(Exception):
    """Ends a `model.fit` that was to bring one epoch to its end."""


class Checkpoints(keras.callbacks.Callback):
    """Starts `model.fit` from a state, saves states as the configuration asks, and stops where an interruption does.

    Must be the last callback: what it takes and gives back is what the others hold. States are taken where a step
    begins, so that averaged weights are never swapped in at that moment. Since Keras knows one length for all
    epochs, a `fit` that starts within an epoch is ended with `EpochDone` after it; `reached` is then the state to
    start the next one from. At the end of training it is complete.

    States are taken at once and written beside the steps that follow, one after another. Inside `writing` the last one
    is waited for; a write that failed raises where the next one begins, or there.

    Args:
        run: where checkpoints go.
        config: how the run is trained.
        start: the state to start from; None: the model as it is.
        steps: steps of an epoch.
        best, interruption: of this training.
        others: more callbacks whose state counts.
        steps_together: steps between two calls of callbacks.
    """

    def __init__(
        self,
        run: Run,
        config: Training,
        start: State | None,
        steps: int,
        best: KeepBest,
        interruption: Interruption,
        others: Sequence[keras.callbacks.Callback],
        steps_together: int = 1,
    ):
        super().__init__()
        self.run, self.start, self.steps = run, start, steps
        self.config, self.stride = config.checkpoint, steps_together
        self.best, self.interruption, self.others = best, interruption, (best, *others)
        self.first_epoch, self.first_step = (start.epoch, start.step) if start else (0, 0)
        self.saved_at = time.monotonic()
        self.before_last_step: State | None = None
        self.reached: State | None = None
        self.writer = ThreadPoolExecutor(1, "checkpoint")
        self.written: Future | None = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self.writer:
            yield
            self._wait()

    def on_train_begin(self, logs=None):
        if not self.start:
            return
        assign(self.model, self.start)
        for callback in self.others:
            name = type(callback).__name__
            for attribute in CALLBACKS[name].model_fields:
                setattr(callback, attribute, self.start.values["callbacks"][name][attribute])

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.offset = epoch, 0
        if epoch > self.first_epoch:
            state = self._save_if_due(epoch, 0)
            if self.first_step:
                self.reached = state or self._state(epoch, 0)
                self._wait()
                raise EpochDone
        elif self.first_step and self.start:
            self.offset = self.first_step
            assign_metrics(self.model, self.start)

    def on_train_batch_begin(self, batch, logs=None):
        step = self.offset + batch
        if self.written and self.written.done():
            self._wait()  # raises what went wrong
        state = self._save_if_due(self.epoch, step) if batch or self.interruption.requested else None
        if step + self.stride >= self.steps:
            # While validating, the metrics are those of the validation: an interruption then goes back one step.
            self.before_last_step = state or self._state(self.epoch, step)

    def on_test_batch_end(self, batch, logs=None):
        if self.interruption.requested and self.before_last_step is not None:
            self._save(self.before_last_step)
            self._stop()

    def on_train_end(self, logs=None):
        self.reached = self._state(self.epoch + 1, 0, complete=True)
        self._save(self.reached)

    def _save_if_due(self, epoch: int, step: int) -> State | None:
        """Saves the state where that is due, or where training is to stop; returns it if it was taken."""
        if not self._is_due(epoch, step) and not self.interruption.requested:
            return None
        state = self._state(epoch, step)
        self._save(state)
        if self.interruption.requested:
            self._stop()
        return state

    def _is_due(self, epoch: int, step: int) -> bool:
        config = self.config
        if step == 0 and epoch % config.every_epochs == 0:
            return True
        if config.every_minutes and time.monotonic() - self.saved_at >= 60 * config.every_minutes:
            return True
        done, every = epoch * self.steps + step, config.every_steps
        if not every:
            return False
        # A stride may step over the very step that is due.
        return done // every > (done - self.stride) // every

    def _state(self, epoch: int, step: int, complete: bool = False) -> State:
        values = {}
        for callback in self.others:
            name = type(callback).__name__
            values[name] = {attribute: getattr(callback, attribute) for attribute in CALLBACKS[name].model_fields}
        _build_optimizer(self.model)  # a stop before the first step leaves a whole state, too
        arrays = {name: _copied(variable) for name, variable in _variables(self.model, metrics=step > 0)}
        return State(epoch, step, complete, arrays, {"callbacks": values})

    def _save(self, state: State) -> None:
        bad = state.not_finite()
        if bad:
            raise UserError(self.best.stopped(f"{bad} is no longer finite"))
        self.run.check_folder()
        best = self.run.best
        model = self.run.model_bytes() if best else None
        values = {**state.values, "best": best, "logs": self.run.logs()}
        whole = replace(state, values=values, best_model=model)
        self._wait()
        self.written = self.writer.submit(write_checkpoint, self.run.checkpoints_dir, whole)
        self.saved_at = time.monotonic()

    def _wait(self) -> None:
        """Until what was to be written is."""
        if self.written:
            self.written.result()

    def _stop(self) -> None:
        self._wait()
        self.interruption.stop()


def assign(model: keras.Model, state: State) -> None:
    """Gives the variables of a compiled model and its optimizer the values of a state, but not those of its metrics.

    Raises `UserError` when the state is not one of this model.
    """
    _build_optimizer(model)
    _assign(dict(_variables(model, metrics=False)), state)


def assign_metrics(model: keras.Model, state: State) -> None:
    """Gives the metrics of a compiled model the values that they had within an epoch."""
    _assign({f"metrics.{index}": variable for index, variable in enumerate(model.metrics_variables)}, state)


def build_metrics(model: keras.Model) -> None:
    """Keras makes the variables of some metrics only when it first sees labels: here are some.

    To be called before another function takes the place of the model's own for steps of validation.
    """
    images = np.zeros((1, *model.input_shape[1:]), "float32")
    model.test_on_batch(images, np.zeros((1, model.output_shape[-1]), "float32"))


def _build_optimizer(model: keras.Model) -> None:
    """Makes the optimizer's variables, which Keras does in the first step."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _assign(variables: dict[str, Any], state: State) -> None:
    for name, variable in variables.items():
        array = state.arrays.get(name)
        if array is None or array.shape != tuple(variable.shape):
            in_checkpoint = "does not exist" if array is None else f"has shape {array.shape}"
            raise UserError(
                f"The checkpoint is of another network: {name} ({variable.path}) has shape {tuple(variable.shape)} "
                f"and {in_checkpoint} there."
            )
        variable.assign(array)


def _variables(model: keras.Model, *, metrics: bool) -> Iterator[tuple[str, Any]]:
    """Everything that a step changes, seeds included. Keras numbers paths anew in each process, so places name them."""
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    if metrics:
        groups["metrics"] = model.metrics_variables
    for group, variables in groups.items():
        for index, variable in enumerate(variables):
            yield f"{group}.{index}", variable


def _copied(variable: Any) -> np.ndarray:
    # A copy, because what Keras gives may be the very memory that the next step writes to.
    return keras.ops.convert_to_numpy(variable).copy()
