"""Steps over images on the device learn what Keras' own steps learn of the same batches. JAX needs its own process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")
ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, sys
import jax, keras, numpy as np
from convlens.configs import Data, Train
from convlens.data import open_dataset
from convlens.models import build_model
import convlens.training.state as state
from convlens.training import Run, Session, fit_model
from convlens.training.optimization import build_optimizer

root, folder, way = sys.argv[1:]
states, write = [], state.write_checkpoint
state.write_checkpoint = lambda folder, saved: states.append(saved) or write(folder, saved)
if way == "loop":  # as on an accelerator
    import convlens.training.device_steps as device_steps
    device_steps.all_devices = lambda: ["gpu:0"]
config = Train.model_validate({
    "model": {"filters": [4], "batch_norm": True, "head": {"pooling": "average", "dropout": 0.3}},
    "data": {"source": "folder", "root": root, "cache": "device", "validation_share": 0.22,
        "augment": {"flip": "alternate", "crop": 2, "mixup": 0.4}},
    "training": {
        "epochs": 3, "batch_size": 8, "optimizer": {"learning_rate": 0.02, "weight_decay": 0.01},
        "steps_per_execution": 2, "checkpoint": {"every_steps": 2},
        "schedule": {"name": "constant"}, "class_weights": {"cat": 2.0},
        "tensorboard": {"enabled": False}, "snapshots": 0,
    },
})
data = open_dataset(config.data, progress=False)

def fresh():
    keras.utils.set_random_seed(0)
    return build_model(config.model, data.info.image_size, 3, 2, seed=0)

model = fresh()
run = Run.create(folder, "device", config)
run.write_labels(data.info.classes)
rows = fit_model(Session(config, run, data, on_device=True), model)

# The same batches, picked and augmented one by one, through Keras' own train_on_batch.
other = fresh()
steps = data.steps(8)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)
other.compile(optimizer=build_optimizer(config.training, steps), loss=loss, metrics=["accuracy"])
resident = data.training_on_device(8, config.seed, 3, weights=np.array([2.0, 1.0], "float32"))
losses, seen, scored = [], [], []
kept = list(data.evaluation("validation", 8).as_numpy_iterator())
kept = [np.concatenate(part) for part in zip(*kept)]
for number, told in enumerate(zip(*map(np.concatenate, zip(*resident.step_inputs(0, 0, 2))))):
    images, labels, weights = resident.batch(resident.arrays, *map(jax.numpy.asarray, told))
    seen += told[0].tolist()
    logs = other.train_on_batch(images, labels, weights, return_dict=True)
    losses.append(float(logs["loss"]))
    if (number + 1) % steps == 0:
        logits = np.asarray(other(kept[0]), "float64")
        right = np.take_along_axis(logits, kept[1][:, None], 1)[:, 0]
        scored.append([float(np.mean(np.log(np.exp(logits).sum(1)) - right)),
                       float(np.mean(logits.argmax(1) == kept[1]))])
# From within the second epoch on, again.
(middle,) = [state for state in states if (state.epoch, state.step) == (1, 2)]
resumed = fresh()
fit_model(Session(config, run, data, on_device=True, start=middle), resumed)
resumed = [float(np.abs(a - b).max()) for a, b in zip(model.get_weights(), resumed.get_weights())]
differ = [float(np.abs(a - b).max()) for a, b in zip(model.get_weights(), other.get_weights())]
again = [indices for told in resident.step_inputs(1, 2, 2) for indices in told[0]]
print("RESULT" + json.dumps({
    "losses": [row["loss"] for row in rows], "expected": np.reshape(losses, (3, -1)).mean(1).tolist(),
    "differ": max(differ), "resumed": max(resumed), "steps": steps, "validation": len(kept[1]), "scored": scored,
    "rows": [[row["val_loss"], row["val_accuracy"]] for row in rows],
    "epochs": [sorted(seen[epoch * steps * 8 : (epoch + 1) * steps * 8]) for epoch in range(3)],
    "orders": len({tuple(seen[epoch * steps * 8 : (epoch + 1) * steps * 8]) for epoch in range(3)}),
    "continued": np.concatenate(again).tolist() == seen[(steps + 2) * 8 :], "size": data.info.sizes["train"],
}))
"""


@pytest.fixture
def jax_process(tmp_path):
    def run(script, *words):
        settings = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", script, *map(str, words)]
        return subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True)

    return run


@pytest.fixture
def photos(tmp_path):
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for name, level in (("cat", 90), ("dog", 150)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(48):
            pixels = np.clip(generator.normal(level, 50, (10, 12, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("way", ["loop", "calls"])
def test_steps_on_the_device_are_keras_own_steps_on_the_same_batches(photos, tmp_path, jax_process, way):
    done = jax_process(SCRIPT, photos, tmp_path / "runs", way)
    assert done.returncode == 0, done.stderr
    (result,) = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert result["losses"] == pytest.approx(result["expected"], rel=1e-4)
    assert result["differ"] < 1e-4
    assert result["resumed"] < 1e-6
    # Whole batches and a smaller one.
    assert result["validation"] > 16 and result["validation"] % 8
    for row, scores in zip(result["rows"], result["scored"], strict=True):
        assert row == pytest.approx(scores, rel=1e-3)
    assert result["orders"] == 3
    whole = result["steps"] * 8
    assert all(len(set(epoch)) == whole <= result["size"] for epoch in result["epochs"])
    assert result["continued"]


def test_images_on_the_device_are_refused_where_there_is_no_jax(photos, tmp_path):
    words = ["data=folder", f"data.root={photos}", "data.cache=device", f"runs_dir={tmp_path}"]
    command = [sys.executable, str(ROOT / "train.py"), *words]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "data.cache=device works only with JAX; set KERAS_BACKEND=jax" in done.stderr
