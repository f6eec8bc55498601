"""What safety costs: python -m benchmarks.safety

Each figure is measured against its alternative in the same run, taking turns, and printed as a ratio: saving a
checkpoint against Keras' own callbacks, training with a checkpoint an epoch against training without, and
`training.deterministic=true` against false (each training in a process of its own).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from convlens.configs import Train
from convlens.core.quiet import quietly

with quietly():
    import keras
    import tensorflow as tf

    from convlens.models import build_model
    from convlens.training import Run, Session, fit_model
    from convlens.training.callbacks import Interruption, KeepBest
    from convlens.training.checkpoint import checkpoints
    from convlens.training.devices import make_deterministic
    from convlens.training.state import Checkpoints

SIDE, CLASSES, IMAGES, EPOCHS, TURNS = 64, 8, 1024, 3, 3
NEVER = 1000  # epochs


class Noise:
    """Random images: how long a step takes does not depend on what it sees."""

    def __init__(self):
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 256, (IMAGES, SIDE, SIDE, 3), "uint8")
        self.classes = generator.integers(0, CLASSES, IMAGES, "int32")
        self.info = SimpleNamespace(classes=tuple("abcdefgh"), sizes={"train": IMAGES, "validation": 64})

    def steps(self, batch_size, limit_batches=None, overfit=False):
        return IMAGES // batch_size

    def training(self, batch_size, seed, epochs, **_):
        data = tf.data.Dataset.from_tensor_slices((self.images, tf.one_hot(self.classes, CLASSES)))
        return data.repeat(epochs).batch(batch_size).prefetch(2)

    def evaluation(self, split, batch_size, **_):
        return tf.data.Dataset.from_tensor_slices((self.images[:64], self.classes[:64])).batch(batch_size)


def configuration(every_epochs: int) -> Train:
    settings = {"epochs": EPOCHS, "checkpoint": {"every_epochs": every_epochs}, "tensorboard": {"enabled": False}}
    return Train.model_validate({"training": settings})


def train(folder: str, every_epochs: int = 1) -> tuple[float, Run, keras.Model]:
    """Images a second over whole epochs, checkpoints and validation included, without the first one."""
    config = configuration(every_epochs)
    keras.utils.set_random_seed(0)
    model = build_model(config.model, (SIDE, SIDE), 3, CLASSES, seed=0)
    run = Run.create(folder, "benchmark", config)
    data: Any = Noise()  # as much of a TrainingData as this training asks for
    rows = fit_model(Session(config, run, data, console=Console(quiet=True)), model)
    return IMAGES * (EPOCHS - 1) / sum(row["seconds"] for row in rows[1:]), run, model


def in_a_process(deterministic: bool) -> float:
    command = [sys.executable, "-m", "benchmarks.safety", "deterministic" if deterministic else "free"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def saving(run: Run, model: keras.Model, folder: Path) -> dict[str, tuple[float, int]]:
    """Seconds and bytes of one checkpoint, ours and Keras' own, of the same model with the same optimizer."""
    best = KeepBest(run, "val_loss")

    def save_ours() -> None:
        ours = Checkpoints(run, run.config.training, None, IMAGES // 64, best, Interruption(), ())
        ours.epoch = 0
        ours.set_model(model)
        with ours.writing():
            ours.on_train_end()

    whole = keras.callbacks.ModelCheckpoint(folder / "whole.keras")
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    for callback in (whole, backup):
        callback.set_model(model)
        callback.set_params({"epochs": 99, "steps": 1})
    ways = {
        "ours (with the best model)": (
            save_ours,
            lambda: checkpoints(run.checkpoints_dir)[0],
        ),
        "keras.callbacks.ModelCheckpoint": (lambda: whole.on_epoch_end(0, {}), lambda: folder / "whole.keras"),
        "keras.callbacks.BackupAndRestore": (lambda: backup.on_epoch_end(0, {}), lambda: folder / "backup"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(7):
        for name, (save, _path) in ways.items():
            start = time.perf_counter()
            save()
            seconds[name].append(time.perf_counter() - start)
    return {name: (statistics.median(seconds[name]), _bytes(path())) for name, (_save, path) in ways.items()}


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def main() -> None:
    table = Table("what", "value", "ratio")
    with tempfile.TemporaryDirectory() as folder:
        speeds: dict[int, list[float]] = {1: [], NEVER: []}
        train(folder)  # warms the machine up
        for _ in range(TURNS):
            for every_epochs, of_setting in speeds.items():
                speed, run, model = train(folder, every_epochs)
                of_setting.append(speed)
        ways = saving(run, model, Path(folder))
    ours = next(iter(ways.values()))
    for name, (seconds, size) in ways.items():
        ratio = f"{ours[0] / seconds:.2f} of the time, {ours[1] / size:.2f} of the size"
        table.add_row(f"saving, {name}", f"{1000 * seconds:.0f} ms, {size / 1e6:.2f} MB", ratio)

    with_checkpoints, without = statistics.median(speeds[1]), statistics.median(speeds[NEVER])
    table.add_row("images/s, a checkpoint an epoch", f"{with_checkpoints:.0f}", f"{with_checkpoints / without:.3f}")
    table.add_row("images/s, none but the last", f"{without:.0f}", "1")

    turns = [(in_a_process(True), in_a_process(False)) for _ in range(TURNS)]
    fixed, free = (statistics.median(column) for column in zip(*turns, strict=True))
    table.add_row("images/s, deterministic=true", f"{fixed:.0f}", f"{fixed / free:.3f}")
    table.add_row("images/s, deterministic=false", f"{free:.0f}", "1")
    Console(width=140).print(table)


if __name__ == "__main__":
    if sys.argv[1:]:
        if sys.argv[1] == "deterministic":
            make_deterministic()
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(train(folder)[0]))
    else:
        with quietly():  # warnings are no rows of a table
            main()
