"""`convlens.fit`: a model of the user's own on arrays gives a run like any other, on both backends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import convlens
from convlens.training.array_data import carved

ROOT = Path(__file__).resolve().parents[1]
WORDS = ["training.epochs=2", "training.batch_size=8", "training.tensorboard.enabled=false"]


def pictures(count=36, side=8):
    """Images whose brightness tells the class: dark, middle, bright."""
    labels = np.arange(count) % 3
    noise = np.random.default_rng(0).normal(0, 20, (count, side, side, 3))
    return np.clip(40 + 80 * labels[:, None, None, None] + noise, 0, 255).astype("uint8"), labels


def network(activation=None, units=3):
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="edges")(x)
    return keras.Model(inputs, layers.Dense(units, activation=activation)(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = [*WORDS, f"runs_dir={folder}", "training.schedule.name=constant", "training.optimizer.learning_rate=0.02"]
    model = network()
    return convlens.fit(model, pictures(), words, classes=["dark", "middle", "bright"]), model, words


def test_a_run_comes_back_with_its_metrics_its_classes_and_its_best_model(fitted):
    run, model, _ = fitted
    assert run.finished and run.labels == ("dark", "middle", "bright")
    assert [row["epoch"] for row in run.metrics] == [1, 2]
    assert run.snapshot_epochs == [0, 1, 2]
    assert [info.name for info in convlens.conv_layers(run.model)] == ["edges"]
    assert run.model.output_shape == model.output_shape == (None, 3)


def test_its_data_is_asked_for_in_one_line(fitted):
    with pytest.raises(convlens.UserError, match="learned from arrays .* no run keeps them"):
        _ = fitted[0].data


def test_more_epochs_go_on_from_it_with_the_same_arrays_alone(fitted):
    run, _, words = fitted
    more = [*(word for word in words if "epochs" not in word), "training.epochs=3", f"resume={run.path}"]
    images, labels = pictures()
    names = ["dark", "middle", "bright"]
    with pytest.raises(convlens.UserError, match="The data is not what run .* was started with"):
        convlens.fit(network(), (255 - images, labels), more, classes=names)
    again = convlens.fit(network(), (images, labels), more, classes=names)
    assert [row["epoch"] for row in again.metrics] == [1, 2, 3] and again.path == run.path


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_is_held_out_is_of_every_class_and_nothing_is_lost(share):
    images, labels = pictures()
    (kept, _), (held_out, of_class) = carved((images, labels), share)
    assert np.bincount(of_class).tolist() == [max(1, round(12 * share))] * 3
    together = np.concatenate([kept, held_out])
    assert sorted(map(bytes, together)) == sorted(map(bytes, images))


IMAGES, LABELS = pictures()


@pytest.mark.parametrize(
    ("model", "data", "words", "line"),
    [
        (lambda: network("softmax"), (IMAGES, LABELS), [], "ends in softmax, and convlens trains on logits"),
        (lambda: network(units=1), (IMAGES, LABELS), [], r"shape \(None, 1\); expected \(batch, classes\)"),
        (lambda: network(units=2), (IMAGES, LABELS), [], "go from 0 to 2, and the model gives 2 outputs"),
        (lambda: keras.Sequential([layers.Dense(3)]), (IMAGES, LABELS), [], "has no inputs yet"),
        (network, (IMAGES / 255, LABELS), [], "go from 0 to 1; expected pixels from 0 to 255"),
        (network, (IMAGES.astype("float32") - 9, LABELS), [], "expected pixels from 0 to 255"),
        (network, (IMAGES[0], LABELS), [], r"shape \(8, 8, 3\) .*expected numbers of shape \(n, height"),
        (network, (IMAGES, LABELS[:9]), [], r"shape \(9,\) .* each of the 36 images"),
        (network, (IMAGES, np.eye(3)[LABELS]), [], r"shape \(36, 3\) .* a whole number"),
        (network, (IMAGES[:, :6], LABELS), [], "takes images of 8 x 8 x 3, and these are of 6 x 8 x 3"),
        (network, (IMAGES[:2], LABELS[:2]), [], "Label 0 has one image"),
        (network, (IMAGES, LABELS), ["data.augment.flip=true"], "data.augment.flip is not read by convlens.fit"),
        (network, (IMAGES, LABELS), ["model=vgg"], "model is not read by convlens.fit"),
        (network, (IMAGES, LABELS), ["training.precision=mixed_bfloat16"], "precision=mixed_bfloat16 is not read"),
        (network, (IMAGES, LABELS), ["training.class_weights={x: 2}"], "class in training.class_weights 'x'"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line_and_leaves_no_run(model, data, words, line, tmp_path):
    with pytest.raises(convlens.UserError, match=line) as refusal:
        convlens.fit(model(), data, [*WORDS, f"runs_dir={tmp_path}", *words])
    assert "\n" not in str(refusal.value) and not list(tmp_path.iterdir())


ON_JAX = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import json
import convlens
sys.path.insert(0, sys.argv[2])
from test_fit_arrays import WORDS, network, pictures
images, labels = pictures()
words = [*WORDS, "training.optimizer.learning_rate=0.02", f"runs_dir={sys.argv[1]}"]
run = convlens.fit(network(), (images, labels), words, validation=(images[:10], labels[:10]))
scores = run.model.predict(images[:10], verbose=0).argmax(1) == labels[:10]
print("RESULT" + json.dumps({
    "tensorflow": "tensorflow" in sys.modules, "accuracy": float(scores.mean()), "snapshots": run.snapshot_epochs,
    "best": run.metrics[run.epoch - 1]["val_accuracy"], "classes": run.labels,
}))
"""


def test_jax_fits_where_tensorflow_is_not_installed(tmp_path):
    pytest.importorskip("jax")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ON_JAX, str(tmp_path), str(ROOT / "tests")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (result,) = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert not result["tensorflow"] and result["classes"] == ["0", "1", "2"] and result["snapshots"] == [0, 1, 2]
    assert result["accuracy"] == pytest.approx(result["best"], abs=1e-6)
