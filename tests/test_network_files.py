"""`model=keras model.path=net.keras`: any architecture that passes the gate is trained, or refused in one line."""

import importlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from convlens.configs import Model
from convlens.core.errors import UserError
from convlens.models import read_model
from convlens.models.from_file import network_from_file
from convlens.training import Run

ROOT = Path(__file__).resolve().parents[1]
train = importlib.import_module("convlens.train").train
CLASSES = ("bright", "dark", "middle")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for split, count in (("train", 16), ("validation", 5), ("test", 5)):
        for name, level in zip(CLASSES, (200, 40, 120), strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(generator.normal(level, 25, (12, 12, 3)), 0, 255).astype("uint8")
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def network(units=3, activation=None, side=8, channels=3, end=None):
    inputs = keras.Input((side, side, channels))
    x = layers.Conv2D(4, 3, activation="relu", name="edges")(layers.Rescaling(1 / 255, name="scale")(inputs))
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dense(units, activation=activation, name="answer")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, end(x) if end else x)


def nested():
    base = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.SeparableConv2D(4, 3, name="sep"), layers.DepthwiseConv2D(3, name="depth")],
        name="backbone",
    )
    normalized = layers.Normalization(mean=[100.0] * 3, variance=[900.0] * 3, name="normalize")
    last = [layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")]
    return keras.Sequential([keras.Input((8, 8, 3)), normalized, base, *last])


def two_outputs():
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(3)(x)])


def dense():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Dense(3)(layers.Dense(4, activation="relu")(layers.Flatten()(inputs / 255.0))))


@pytest.fixture
def file(tmp_path):
    def save(model):
        model.save(tmp_path / "net.keras")
        return tmp_path / "net.keras"

    return save


def words(photos, file, folder, *more):
    return [
        *("data=folder", f"data.root={photos}", "model=keras", f"model.path={file}", f"runs_dir={folder}"),
        *("training.epochs=2", "training.batch_size=16", "training.schedule.name=constant", *more),
    ]


def built(file, classes=3, seed=1, **keys):
    return network_from_file(Model(family="keras", path=str(file), **keys), (8, 8), 3, classes, seed=seed)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (nested, ("model.replace_head=true",)),
        (dense, ("model.weights=file",)),
        (lambda: network(activation="softmax"), ()),
    ],
    ids=["nested", "dense", "softmax"],
)
def test_a_network_of_any_kind_is_trained_and_its_run_opens_with_logits(model, more, photos, file, tmp_path, capsys):
    run = train(words(photos, file(model()), tmp_path / "runs", *more))
    assert run.finished and run.config.data.image_size == [8, 8] and run.labels == CLASSES
    again = Run.open(run.path)
    logits = again.model.predict(np.zeros((2, 8, 8, 3), "float32"), verbose=0)
    assert logits.shape == (2, 3) and not np.allclose(logits.sum(axis=1), 1)
    assert json.loads(run.evaluation_path.read_text())["images"] == 15
    assert "Network from" in capsys.readouterr().out


def test_a_run_goes_on_from_its_own_copy_of_the_file(photos, file, tmp_path):
    path = file(network(activation="softmax"))
    run = train(words(photos, path, tmp_path / "runs"))
    first = run.metrics
    path.unlink()
    typed = [word for word in words(photos, path, tmp_path / "runs") if "epochs" not in word]
    longer = train([*typed, f"resume={run.path}", "training.epochs=3"])
    assert longer.metrics[:2] == first and len(longer.metrics) == 3


def test_fresh_weights_are_drawn_by_the_seed_and_the_files_own_begin_as_they_are(file):
    model = network()
    model.get_layer("norm").trainable = False
    model.get_layer("norm").set_weights([np.full(4, value, "float32") for value in (2, 3, 4, 5)])
    path = file(model)
    one, same, other, own = built(path), built(path), built(path, seed=2), built(path, weights="file")
    kernel = lambda network: network.model.get_layer("edges").get_weights()[0]  # noqa: E731
    np.testing.assert_array_equal(kernel(one), kernel(same))
    assert not np.allclose(kernel(one), kernel(other)) and not np.allclose(kernel(one), kernel(own))
    np.testing.assert_array_equal(kernel(own), model.get_layer("edges").get_weights()[0])
    # What does not learn is not drawn anew.
    np.testing.assert_array_equal(one.model.get_layer("norm").get_weights(), model.get_layer("norm").get_weights())


def test_logits_are_what_the_softmax_was_given(file):
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype("float32")
    for model in (
        network(activation="softmax"),
        network(end=layers.Softmax()),
        network(end=layers.Activation("softmax")),
    ):
        taken = built(file(model), weights="file")
        logits = taken.model.predict(images, verbose=0)
        odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(odds, model.predict(images, verbose=0), rtol=1e-4)
        assert "softmax at its end is taken out" in taken.notes[1]


def test_a_new_head_keeps_the_layers_before_it(file):
    model = network(units=7, activation="sigmoid")
    taken = built(file(model), weights="file", replace_head=True)
    assert taken.model.output_shape == (None, 3) and "of 7 units is replaced by one of 3" in taken.notes[-1]
    np.testing.assert_array_equal(
        taken.model.get_layer("edges").get_weights()[0], model.get_layer("edges").get_weights()[0]
    )


@pytest.mark.parametrize(
    ("model", "note"),
    [
        (network, "scaled by 'scale' (Rescaling)"),
        (dense, "(TrueDivide)"),
        (lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3)]), "Nothing in it scales"),
    ],
)
def test_what_becomes_of_pixels_is_said(model, note, file):
    assert note in built(file(model())).notes[0]


@pytest.mark.parametrize(
    ("model", "more", "line"),
    [
        (None, (), "Model file .*net.keras does not exist"),
        ("no model", (), "net.keras .*"),
        (lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3), layers.Lambda(abs)]), (),
         "Lambda"),
        (lambda: network(units=5), (), "gives 5 outputs and the data has 3 classes. Add model.replace_head=true"),
        (lambda: network(activation="sigmoid"), (), "ends in sigmoid, which gives no logits"),
        (two_outputs, (), "has 2 outputs; training takes a network of one input and one output"),
        (lambda: keras.Sequential([keras.Input((9,)), layers.Dense(3)]), (), "takes .any, 9.; expected images"),
        (lambda: network(channels=4), (), "takes .any, 8, 8, 4.; expected images of shape"),
        (lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3)]), (), "gives outputs of shape"),
        (network, ("data.image_size=16",), "which data.image_size=.16,16. does not give; use data.image_size=.8,8."),
        (network, ("data.channels=1",), "which data.channels=1 does not give; use data.channels=3"),
        (network, ("model.filters=8",), "model.filters has no effect with model=keras"),
        (network, ("training.precision=mixed_bfloat16",), "has no effect with model=keras"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_told_in_one_line_and_leaves_no_run(model, more, line, photos, tmp_path):
    path = tmp_path / "net.keras"
    if callable(model):
        model().save(path)
    elif model:
        path.write_text(model)
    with pytest.raises(UserError, match=line) as refusal:
        train(words(photos, path, tmp_path / "runs", *more))
    assert "\n" not in str(refusal.value) and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["model=keras"], "model=keras needs a file with a network; give model.path=net.keras"),
        (["model.path=net.keras"], "is read with model=keras; add it, or leave model.path out"),
        (["model.replace_head=true"], "model.replace_head has no effect without model=keras"),
        (
            ["model=keras", f"model.path={ROOT}/car.jpg"],
            "car.jpg is not a file of Keras; expected one whose name ends in",
        ),
        (["model=keras", "model.path=absent.keras"], "absent.keras does not exist"),
        (["data.source=arrays"], "data.source=arrays is for convlens.fit"),
    ],
)
def test_keys_that_go_together_are_asked_for(typed, line, tmp_path):
    with pytest.raises(UserError, match=line):
        train([*typed, f"runs_dir={tmp_path}"])


def test_the_head_of_a_network_without_our_names_is_its_last_layer(file):
    from convlens.training.transfer import freeze_base

    model = read_model(file(network()))
    freeze_base(model)
    assert [layer.name for layer in model.layers if layer.trainable] == ["answer"]
