"""A training killed at any step and resumed ends, bit by bit, where the uninterrupted one does."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convlens.training.checkpoint import checkpoints, read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
EPOCHS, STEPS = 6, 5  # of the trainings below; 44 images in batches of 8
EVERYTHING = (
    "data=tfds", "data.name=tiny_blobs", "model.filters=[4,6]", "model.dropout=0.2", "model.batch_norm=true",
    "model.batch_norm_momentum=0.65", "model.head.dense=[8]", "model.head.dropout=0.3", "data.augment.flip=true",
    "data.augment.crop=1", "data.augment.mixup=0.3", "data.augment.rotate=10",
    f"training.epochs={EPOCHS}", "training.batch_size=8",
    "training.optimizer.learning_rate=0.02", "training.optimizer.ema=0.8", "training.monitor=val_loss",
    "training.early_stopping.patience=4", "training.checkpoint.every_steps=3", "training.deterministic=true",
    "training.tensorboard.images_every=0", "training.tensorboard.graph=false",
)  # fmt: skip
CONSTANT = "constant"
ON_DEVICE, ON_DISK = "images on the device", "plateau, decoded images on disk"
TOGETHER = "training.steps_per_execution=5"
KINDS = {
    CONSTANT: ("training.schedule.name=constant", "training.optimizer.ema=0.0"),
    "plateau": ("training.schedule.name=plateau", "training.schedule.patience=1", "training.schedule.factor=0.5"),
    "cosine, streamed from disk": ("training.schedule.name=cosine", "training.schedule.warmup_epochs=1",
                                   "data.cache=none", "data.shuffle_buffer=20"),
    "a checkpoint every other epoch": ("training.optimizer.name=sgd", "training.checkpoint.every_epochs=2",
                                       "training.checkpoint.every_steps=null", "training.early_stopping.patience=1"),
    ON_DEVICE: ("data.cache=device",),  # with JAX
    ON_DISK: ("training.schedule.name=plateau", "training.schedule.patience=1", "training.schedule.factor=0.5",
              "data.cache=disk"),
    "half precision": ("training.precision=mixed_float16", TOGETHER),
}  # fmt: skip


class Zygote:
    """Runs trainings in children of one process that has TensorFlow, or JAX, imported."""

    def __init__(self, folder: Path, backend: str = "tensorflow"):
        self.folder, self.results = folder, {}
        environment = os.environ | {"KERAS_BACKEND": backend}
        command = [sys.executable, str(Path(__file__).with_name("zygote.py")), str(folder / "tfds")]
        (folder / "tfds").mkdir()
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, *words: str, **job) -> int:
        log = self.folder / "log.txt"
        log.unlink(missing_ok=True)
        job |= {"words": [*words, f"data.data_dir={self.folder / 'tfds'}"], "log": str(log)}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        self.code = int(self.process.stdout.readline())
        self.log = log.read_text()
        return self.code

    def uninterrupted(self, kind: str) -> dict:
        """What a kind of training comes to when nothing happens to it; each is run once."""
        if kind not in self.results:
            folder = self.folder / f"whole-{len(self.results)}"
            assert self(*EVERYTHING, *KINDS[kind], f"runs_dir={folder}") == 0, self.log
            self.results[kind] = outcome(run_in(folder))
        return self.results[kind]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    zygote = Zygote(tmp_path_factory.mktemp("exact"))
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def train_with_jax(tmp_path_factory):
    pytest.importorskip("jax")
    zygote = Zygote(tmp_path_factory.mktemp("exact-jax"), "jax")
    yield zygote
    zygote.close()


def run_in(folder: Path) -> Path:
    (run,) = [path.parent for path in folder.glob("*/*/config.yaml") if path.parent.name != "latest"]
    return run


def outcome(run: Path) -> dict:
    """Everything that must not depend on interruptions; times are left out."""
    state = read_checkpoint(checkpoints(run / "checkpoints")[0])
    callbacks = {name: dict(values) for name, values in state.values["callbacks"].items()}
    rows = callbacks.pop("MetricsTable")["rows"]
    callbacks.pop("Clock")
    timed = ("seconds", "images_per_second")
    with zipfile.ZipFile(run / "model.keras") as model:
        weights = hashlib.sha256(model.read("model.weights.h5")).hexdigest()
    table = [row for row in csv.DictReader((run / "metrics.csv").open())]
    evaluation = json.loads((run / "evaluation.json").read_text())
    return {
        "arrays": {name: (array.dtype.str, array.tobytes()) for name, array in state.arrays.items()},
        "callbacks": callbacks,
        "epochs": state.epoch,
        "rows": [{key: value for key, value in row.items() if key not in timed} for row in rows],
        "metrics.csv": [{key: value for key, value in row.items() if key not in timed} for row in table],
        "best model": (json.loads((run / "run.json").read_text())["best"]["epoch"], weights),
        "evaluation": {key: evaluation[key] for key in ("accuracy", "loss", "epoch", "confusion_matrix")},
        "curves": [point for point in curves(run) if point[0].split("/")[1] not in timed],
        "log lines": (run / "train.log").read_text().count("val_accuracy"),
    }


def curves(run: Path) -> list[tuple[str, int, float]]:
    """Every scalar in TensorBoard's files: (name, step, value)."""
    import tensorflow as tf

    points = []
    for part in ("train", "validation"):
        for file in sorted((run / "tensorboard" / part).glob("events.*")):
            for record in tf.data.TFRecordDataset(str(file)):
                for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value:
                    if value.metadata.plugin_data.plugin_name == "scalars":
                        step = tf.compat.v1.Event.FromString(record.numpy()).step
                        points.append((f"{part}/{value.tag}", step, float(tf.make_ndarray(value.tensor))))
    return sorted(points)


def differences(one: dict, other: dict) -> list[str]:
    return [key for key in one if one[key] != other[key]]


def kill_and_resume(train, kind: str, folder: Path, disturbances: list[dict]) -> int:
    """Starts a training, and resumes it after each disturbance until it is done; returns how many ended it."""
    words, ended = (*EVERYTHING, *KINDS[kind], f"runs_dir={folder}"), 0
    for disturbance in [*disturbances, {}]:
        code = train(*words, **disturbance)
        if code == 0:
            break
        assert code in (-disturbance["signal"], 128 + disturbance["signal"]), train.log
        ended += 1
        if list(folder.glob("*/*/run.json")) and "dataset" in json.loads((run_in(folder) / "run.json").read_text()):
            words = (f"resume={run_in(folder)}",)
    return ended


def before_step(number: int, signal_number: int = signal.SIGKILL) -> dict:
    """A signal before a step, counted over all epochs."""
    return {"signal": signal_number, "at": ["on_train_batch_begin", number // STEPS, number % STEPS]}


def check(train, kind, folder, disturbances) -> int:
    ended = kill_and_resume(train, kind, folder, disturbances)
    assert differences(train.uninterrupted(kind), outcome(run_in(folder))) == [], f"{kind}, {disturbances}"
    return ended


def test_a_training_killed_twice_within_epochs_and_resumed_ends_bit_identical(train, tmp_path):
    assert check(train, "plateau", tmp_path, [before_step(8), before_step(17)]) == 2


def test_a_training_that_goes_on_with_less_memory_reads_from_disk_and_ends_bit_identical(train, tmp_path):
    scarce = {"free": {"memory": 1000}, "cache": str(tmp_path / "cache")}
    assert train(*EVERYTHING, *KINDS["plateau"], f"runs_dir={tmp_path}", **before_step(8)) == -signal.SIGKILL
    words = f"resume={run_in(tmp_path)}"
    assert train(words, **scarce, **before_step(17)) == -signal.SIGKILL
    assert "Decoded images are written once" in train.log
    assert train(words, **scarce) == 0
    assert "order of images" not in train.log and "written once" not in train.log
    assert differences(train.uninterrupted("plateau"), outcome(run_in(tmp_path))) == []


def test_a_training_that_goes_on_in_another_order_says_so(train, tmp_path):
    assert train(*EVERYTHING, *KINDS["plateau"], f"runs_dir={tmp_path}", **before_step(8)) == -signal.SIGKILL
    scarce = {"free": {"memory": 1000, "disk": 0}, "cache": str(tmp_path / "cache")}
    assert train(f"resume={run_in(tmp_path)}", **scarce, **before_step(17)) == -signal.SIGKILL
    message = "order of images: each drawn from all images then, each drawn from 10,000 images now"
    assert f"Resumed under other conditions: {message}" in train.log


def test_a_training_stopped_while_validating_goes_one_step_back_and_ends_bit_identical(train, tmp_path):
    disturbance = {"signal": signal.SIGTERM, "at": ["on_test_batch_end", 2, 1]}
    assert check(train, "plateau", tmp_path, [disturbance]) == 1


def test_sigterm_saves_at_once_and_tells_the_command_that_resumes(train, tmp_path):
    kind = "cosine, streamed from disk"
    words = (*EVERYTHING, *KINDS[kind], "training.checkpoint.every_steps=null", f"runs_dir={tmp_path}")
    assert train(*words, **before_step(13, signal.SIGTERM)) == 143
    run = run_in(tmp_path)
    assert f"Go on with: convlens train resume={run}" in train.log
    state = read_checkpoint(checkpoints(run / "checkpoints")[0])
    assert (state.epoch, state.step) == (2, 3)
    assert train(f"resume={run}") == 0
    assert differences(train.uninterrupted(kind), outcome(run)) == []


# With averaged weights, the last epoch is trained once more; before step 13, no new checkpoint was written.
@pytest.mark.parametrize(("kind", "killed"), [(CONSTANT, 17), ("plateau", 13)])
def test_a_finished_training_that_is_given_more_epochs_ends_bit_identical(train, tmp_path, kind, killed):
    assert train(*EVERYTHING, *KINDS[kind], f"runs_dir={tmp_path}", "training.epochs=3") == 0
    run = run_in(tmp_path)
    assert json.loads((run / "run.json").read_text())["finished"]
    longer = f"training.epochs={EPOCHS}"
    assert train(f"resume={run}", longer, **before_step(killed)) == -signal.SIGKILL
    assert not json.loads((run / "run.json").read_text())["finished"] and not (run / "evaluation.json").exists()
    assert train(f"resume={run}") == 0, train.log
    assert differences(train.uninterrupted(kind), outcome(run)) == []
    assert f"epochs: {EPOCHS}\n" in (run / "config.yaml").read_text()
    epochs = len((run / "metrics.csv").read_text().splitlines()) - 1  # it may stop early, as uninterrupted
    assert epochs > 3
    assert sorted(path.name for path in (run / "snapshots").iterdir())[-1] == f"epoch-{epochs:05d}.npz"
    assert json.loads((run / "run.json").read_text())["finished"]


def test_a_stopped_training_that_is_given_more_epochs_ends_bit_identical(train, tmp_path):
    words = (*EVERYTHING, *KINDS[CONSTANT], f"runs_dir={tmp_path}", "training.epochs=3")
    assert train(*words, **before_step(8, signal.SIGTERM)) == 143
    assert train(f"resume={run_in(tmp_path)}", f"training.epochs={EPOCHS}") == 0, train.log
    assert differences(train.uninterrupted(CONSTANT), outcome(run_in(tmp_path))) == []


def test_a_training_that_stopped_early_is_given_no_more_epochs(train, tmp_path):
    kind = ("training.early_stopping.patience=1", "training.early_stopping.min_delta=9")
    assert train(*EVERYTHING, *KINDS[CONSTANT], *kind, f"runs_dir={tmp_path}") == 0
    run = run_in(tmp_path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert train(f"resume={run}", "training.epochs=20") == 2
    assert "stopped early in epoch 2, and would have done so with more epochs, too" in train.log
    assert f"init_from={run}" in train.log
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_three_processes_with_one_seed_end_with_one_hash(train, tmp_path):
    words = (*EVERYTHING, *KINDS["plateau"], f"data.data_dir={train.folder / 'tfds'}", "training.epochs=2")
    processes = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *words, f"runs_dir={tmp_path / str(number)}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(3)
    ]  # fmt: skip
    assert [process.wait() for process in processes] == [0, 0, 0]
    outcomes = [outcome(run_in(tmp_path / str(number))) for number in range(3)]
    assert differences(outcomes[0], outcomes[1]) == differences(outcomes[0], outcomes[2]) == []


@pytest.mark.slow
def test_fifty_kills_at_random_steps_and_times_leave_no_trace(train, tmp_path):
    kill_often(train, tmp_path, 50, [kind for kind in KINDS if kind != ON_DEVICE])


@pytest.mark.slow
def test_ten_kills_leave_no_trace_with_jax(train_with_jax, tmp_path):
    kill_often(train_with_jax, tmp_path, 10, ["plateau", ON_DEVICE])
    runs = [json.loads(path.read_text()) for path in tmp_path.glob("*/*/*/run.json")]
    assert {run["environment"]["backend"] for run in runs} == {"jax"}


def kill_often(train, tmp_path, most: int, kinds: list[str]) -> None:
    generator = np.random.default_rng(7)
    kills = trainings = 0
    while kills < most:
        kind = kinds[trainings % len(kinds)]
        stride = STEPS if "steps_per_execution" in str(KINDS[kind]) else 1
        steps = generator.choice(range(stride, EPOCHS * STEPS, stride), size=4, replace=False)
        disturbances = [before_step(int(step)) for step in sorted(steps)]
        disturbances += [{"signal": signal.SIGKILL, "after": seconds} for seconds in generator.uniform(0.5, 4, size=2)]
        kills += check(train, kind, tmp_path / str(trainings), disturbances)
        trainings += 1
    print(f"{kills} kills in {trainings} trainings, {trainings} bit-identical")
