"""Several devices, and JAX, with and without TensorFlow beside it. Each needs a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TRAINING = """
import json, sys
sys.path.insert(0, {tests!r})
{before}
import keras, numpy as np
from conftest import ArrayData
from convlens.configs import Train
from convlens.models import build_model
from convlens.training import Run, Session, evaluate_model, fit_model
from convlens.training.devices import choose_devices, distributed

config = Train.model_validate({{
    "model": {{"filters": [4], "batch_norm": {norm}, "head": {{"pooling": "average"}}}},
    "training": {{
        "epochs": 3, "batch_size": 16, "optimizer": {{"learning_rate": 0.02, "ema": 0.5}},
        "schedule": {{"name": "one_cycle"}}, "tensorboard": {{"enabled": False}}, "class_weights": "balanced",
    }},
}})
data = ArrayData(validation={validation})
{wrap}
for count in {counts}:
    keras.utils.set_random_seed(0)
    devices = choose_devices(count, 16)
    with distributed(devices):
        model = build_model(config.model, (8, 8), 3, 3, seed=0)
        run = Run.create(sys.argv[1], "arrays", config)
        run.write_labels(data.info.classes)
        rows = fit_model(Session(config, run, data, devices=devices), model)
    score = evaluate_model(run.model, data.evaluation("validation", 16), run.labels)
    print("RESULT" + json.dumps({{
        "devices": len(devices), "losses": [row["loss"] for row in rows], "accuracy": score.accuracy,
        "val_accuracy": rows[run.epoch - 1]["val_accuracy"], "tensorflow": "tensorflow" in sys.modules,
    }}))
"""

AS_DATASET = """
import tensorflow as tf
class Streamed(ArrayData):
    def training(self, *given, **named):
        shapes = (tf.TensorSpec((None, 8, 8, 3)), tf.TensorSpec((None, 3)))
        return tf.data.Dataset.from_generator(
            lambda: super(Streamed, self).training(*given, **named), output_signature=shapes)
    def evaluation(self, split, batch_size, **named):
        return tf.data.Dataset.from_tensor_slices(self.splits[split]).batch(batch_size)
data = Streamed(validation=len(data.splits["validation"][1]))
"""

NO_TENSORFLOW = """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""

TWO_CPUS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def train_on(folder, backend, counts=(1,), before="", wrap=AS_DATASET, norm=False, validation=29, **environment):
    """What a training on each number of devices came to."""
    given = {"before": before, "counts": counts, "wrap": wrap, "norm": norm, "validation": validation}
    script = TRAINING.format(tests=str(ROOT / "tests/training"), **given)
    settings = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", **environment}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ran out of data" not in done.stderr
    return [json.loads(line.removeprefix("RESULT")) for line in done.stdout.splitlines() if line.startswith("RESULT")]


def test_two_devices_learn_what_one_learns_on_tensorflow(tmp_path):
    one, two = train_on(tmp_path, "tensorflow", counts=(1, 2), before=TWO_CPUS)
    assert (one["devices"], two["devices"]) == (1, 2)
    assert one["accuracy"] == pytest.approx(one["val_accuracy"], abs=1e-6)
    assert two["accuracy"] == pytest.approx(two["val_accuracy"], abs=1e-6)
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-3)


@pytest.mark.parametrize("validation", [29, 33])  # the last of the batches of 16 has 13, or one, which is left out
def test_two_devices_learn_what_one_learns_on_jax(tmp_path, validation):
    flags = "--xla_force_host_platform_device_count=2"
    one, two = train_on(tmp_path, "jax", counts=(1, 2), norm=True, validation=validation, XLA_FLAGS=flags)
    assert (one["devices"], two["devices"]) == (1, 2)
    assert one["accuracy"] == pytest.approx(one["val_accuracy"], abs=1e-6)
    assert two["accuracy"] == pytest.approx(two["val_accuracy"], abs=1 / validation)
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-3)


def test_training_on_jax_does_without_tensorflow(tmp_path):
    (done,) = train_on(tmp_path, "jax", before=NO_TENSORFLOW, wrap="")
    assert not done["tensorflow"]
    assert done["accuracy"] == pytest.approx(done["val_accuracy"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"), [((3, 16), "devices=3, but .* sees 1"), ((None, 16), None), ((1, 7), None)]
)
def test_devices_that_are_not_there_are_refused(arguments, reason):
    from convlens.core.errors import UserError
    from convlens.training.devices import choose_devices

    if reason is None:
        assert len(choose_devices(*arguments)) == 1
    else:
        with pytest.raises(UserError, match=reason):
            choose_devices(*arguments)


KEEPING = """
import sys
import jax
from convlens.training.devices import keep_compiled

jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
keep_compiled([sys.argv[1]])  # a device's name; this machine compiles for what it has
jax.jit(lambda x: x + 1)(1.0)
"""


def test_what_is_compiled_for_an_accelerator_is_kept_on_disk(tmp_path):
    pytest.importorskip("jax")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)

    def kept(device, cache, **more):
        settings = environment | {"XDG_CACHE_HOME": str(cache)} | more
        subprocess.run([sys.executable, "-c", KEEPING, device], cwd=ROOT, env=settings, check=True, capture_output=True)
        return any(cache.glob("convlens/jax/*"))

    assert kept("gpu:0", tmp_path / "gpu")
    assert not kept("cpu:0", tmp_path / "cpu")
    assert not kept("gpu:0", tmp_path / "unused", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))
    assert list((tmp_path / "own").iterdir())


def test_the_commit_of_the_code_is_told_and_not_that_of_a_repository_around_it(tmp_path):
    from convlens.training.devices import _commit_of

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    kept, installed = tmp_path / "kept.py", tmp_path / "venv/installed.py"
    kept.touch()
    assert _commit_of(kept) is None
    git("init")
    git("add", "kept.py")
    git("commit", "-m", "first")
    installed.parent.mkdir()
    installed.touch()
    assert _commit_of(kept) == git("rev-parse", "HEAD")
    assert _commit_of(installed) is None
    kept.write_text("other")
    assert _commit_of(kept) == f"{git('rev-parse', 'HEAD')}, edited"
