"""Callbacks that run beside the training."""

import contextlib
import math
import signal
import time
from collections.abc import Iterator

import keras
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from convlens.core import streams
from convlens.core.errors import Stopped, UserError
from convlens.core.progress import print_note
from convlens.core.stopping import signals_to
from convlens.training.checkpoint import checkpoints, moment_of
from convlens.training.run import Run

METRICS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second")


class BalancedAccuracy(keras.metrics.Metric):
    """Mean recall over classes; its state is the confusion matrix (true, predicted), counted while validating.

    Soft labels, as MixUp makes them, count for their largest class.
    """

    def __init__(self, classes: int, name: str = "balanced_accuracy"):
        super().__init__(name=name)
        self.classes = classes
        self.matrix = self.add_variable((classes, classes), "zeros", name="matrix")

    def update_state(self, y_true, y_pred, sample_weight=None):
        true = keras.ops.one_hot(keras.ops.argmax(y_true, axis=-1), self.classes)
        predicted = keras.ops.one_hot(keras.ops.argmax(y_pred, axis=-1), self.classes)
        self.matrix.assign_add(keras.ops.matmul(keras.ops.transpose(true), predicted))

    def result(self):
        support = keras.ops.sum(self.matrix, axis=1)
        recall = keras.ops.diagonal(self.matrix) / keras.ops.maximum(support, 1.0)
        present = keras.ops.cast(support > 0, recall.dtype)
        return keras.ops.sum(recall) / keras.ops.maximum(keras.ops.sum(present), 1.0)


class Clock(keras.callbacks.Callback):
    """Adds `learning_rate`, `seconds` and `images_per_second` (of training alone) to an epoch's logs.

    The very first step compiles the model and is left out of the throughput.
    """

    def __init__(self, images_per_step: int):
        super().__init__()
        self.images_per_step = images_per_step
        self.compiled = False
        self.carried = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds that the epoch has taken so far; what is set is counted into the next epoch that begins."""
        return time.perf_counter() - self.epoch_start

    @elapsed.setter
    def elapsed(self, seconds: float) -> None:
        self.carried = seconds

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_start = time.perf_counter() - self.carried
        self.carried = 0.0

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.steps_start = self.steps_end = time.perf_counter()
            self.first_step = self.last_step = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps_end, self.last_step = time.perf_counter(), batch + 1
        if not self.compiled:
            self.compiled = True
            if self.last_step < self.params["steps"]:
                self.steps_start, self.first_step = self.steps_end, self.last_step

    def on_epoch_end(self, epoch, logs=None):
        images = (self.last_step - self.first_step) * self.images_per_step
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = self.elapsed
        logs["images_per_second"] = images / (self.steps_end - self.steps_start)


class KeepBest(keras.callbacks.Callback):
    """Saves the model whenever the monitored metric is better than ever before; refuses weights that are not finite.

    `first_step` is where the first epoch starts; `last`: the model of the last epoch is saved whatever its metric.
    """

    def __init__(self, run: Run, monitor: str, first_step: int = 0, last: bool = False):
        super().__init__()
        self.run, self.monitor, self.first_step, self.last = run, monitor, first_step, last
        self.epoch: int | None = None
        self.value: float | None = None

    def on_train_batch_end(self, batch, logs=None):
        self.step = self.first_step + batch + 1
        if not math.isfinite(logs["loss"]):
            raise UserError(self.stopped(f"the loss became {logs['loss']}"))

    def on_epoch_begin(self, epoch, logs=None):
        self.current, self.step = epoch + 1, self.first_step

    def on_epoch_end(self, epoch, logs=None):
        self.run.check_folder()
        self.first_step = 0
        if not all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in self.model.weights):
            raise UserError(self.stopped("weights are no longer finite"))
        if not math.isfinite(logs["val_loss"]):
            raise UserError(self.stopped(f"the validation loss became {logs['val_loss']}"))
        value = float(logs[self.monitor])
        if self._is_better(value) or (self.last and epoch + 1 == self.params["epochs"]):
            self.run.save_model(self.model, epoch=epoch + 1, **{self.monitor: value})
            self.epoch, self.value = epoch + 1, value

    def mark(self, epoch: int) -> str:
        """The end of an epoch's line: whether its model was saved, and for how long where the last one is kept."""
        if self.epoch != epoch:
            return ""
        if not self.last:
            return "  best"
        return "  last, kept" if epoch == self.params["epochs"] else "  best so far"

    def saved_so_far(self) -> str:
        """The moment that training has reached, and what is saved."""
        saved = [f"the best model (epoch {self.epoch}, {self.monitor} {self.value:.4f})"] if self.epoch else []
        saved += [f"the state {moment_of(path)}" for path in checkpoints(self.run.checkpoints_dir)[:1]]
        is_kept = f"{' and '.join(saved)} {'are' if len(saved) > 1 else 'is'}" if saved else "nothing is"
        moment = f"step {self.step} of epoch {self.current}" if self.step else f"epoch {self.current}"
        return f"{moment}; {is_kept} saved in {self.run.path}"

    def stopped(self, reason: str) -> str:
        """The message when training cannot go on: why, where, what is saved and what to do."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        return (
            f"Training stopped, {reason} in {self.saved_so_far()}. Lower training.optimizer.learning_rate "
            f"(it is {rate:.3g}) or set training.optimizer.clip_norm=1."
        )

    def _is_better(self, value: float) -> bool:
        return self.value is None or (value < self.value if "loss" in self.monitor else value > self.value)


class MetricsTable(keras.callbacks.Callback):
    """Keeps `metrics.csv`, a row an epoch; an epoch that is trained again replaces its row."""

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch, logs=None):
        row = {name: logs.get(name) for name in METRICS} | {"epoch": epoch + 1}
        self.rows = [old for old in self.rows if old["epoch"] <= epoch] + [row]
        self.run.write_metrics(self.rows)


class Interruption:
    """Ctrl-C, SIGTERM and the end of the terminal stop training between two steps, where everything is in order; a
    second one stops at once."""

    requested: signal.Signals | None = None

    def watching(self) -> contextlib.AbstractContextManager[None]:
        return signals_to(self._request)

    def stop(self) -> None:
        raise Stopped(self.requested or signal.SIGINT)

    def _request(self, number, frame):
        # A terminal's end is told twice, by the system and by the shell; nobody is impatient then.
        if self.requested and number != getattr(signal, "SIGHUP", None):
            raise Stopped(signal.Signals(number))
        self.requested = self.requested or signal.Signals(number)


class ProgressLines(keras.callbacks.Callback):
    """A line an epoch, in the terminal and in `train.log`; on a terminal also a bar with the time left of the run."""

    # A bar of its own, not core.progress': it stays open for hours between the lines that are printed on stdout, where
    # only a bar of the same console does not get in their way, and it shows scores and the time that has passed.

    def __init__(self, run: Run, best: KeepBest, console: Console, steps: int, first_step: int):
        super().__init__()
        self.run, self.best, self.console, self.steps, self.first_step = run, best, console, steps, first_step
        self.task: TaskID | None = None
        self.told_lost = False

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[scores]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        with self.bar, self.run.log_path.open("a", encoding="utf-8") as self.log:
            yield

    def on_epoch_begin(self, epoch, logs=None):
        task = self.task
        if task is None:
            task = self.task = self.bar.add_task("", total=self.params["epochs"] * self.steps, scores="")
        self.done, self.first_step = epoch * self.steps + self.first_step, 0
        self.bar.update(task, description=f"epoch {epoch + 1}/{self.params['epochs']}", completed=self.done)

    def on_train_batch_end(self, batch, logs=None):
        scores = f"loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}"
        if self.task is not None:
            self.bar.update(self.task, completed=self.done + batch + 1, scores=scores)

    def on_epoch_end(self, epoch, logs=None):
        width = len(str(self.params["epochs"]))
        line = (
            f"epoch {epoch + 1:{width}}/{self.params['epochs']}"
            f"  loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}"
            f"  val_loss {logs['val_loss']:.4f}  val_accuracy {logs['val_accuracy']:.4f}"
            f"  rate {logs['learning_rate']:.2e}  {logs['images_per_second']:,.0f} images/s  {logs['seconds']:.1f} s"
            f"{self.best.mark(epoch + 1)}"
        )
        self.log.write(line + "\n")
        self.log.flush()
        self.console.print(line, highlight=False, soft_wrap=True)
        self._report_lost_output()

    def _report_lost_output(self) -> None:
        """Reports once, on stderr, where the lines can be read if stdout no longer works."""
        reason = "" if self.told_lost else streams.lost()
        if reason:
            self.told_lost = True
            print_note(
                f"Standard output cannot be written: {reason}. Training continues, its lines are in {self.run.log_path}"
            )
