"""An inspection finds layers by name, gives their maps and gradients, and leaves the model as it was."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from convlens.core.errors import ModelError
from convlens.models.inspection.graph import Tap
from convlens.models.inspection.inspection import Inspection
from convlens.models.inspection.taps import Change, in_call

SIZE = 6


@pytest.fixture
def model():
    """A nested network whose answers are linear in what its shared dense layer gives."""
    keras.utils.set_random_seed(0)
    inner = layers.Input((SIZE, SIZE, 2))
    backbone = keras.Model(inner, layers.Conv2D(3, 3, activation="relu", name="conv")(inner), name="backbone")
    images = layers.Input((SIZE, SIZE, 2))
    shared = layers.Dense(4, name="shared")
    x = layers.GlobalAveragePooling2D()(backbone(images))
    return keras.Model(images, layers.Dense(2, name="logits")(shared(shared(layers.Dense(4)(x)))))


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 2)).astype("float32")


def test_layers_are_found_by_their_path_and_their_call(model):
    inspection = Inspection(model)
    assert inspection.layer("backbone/conv").layer is model.get_layer("backbone").get_layer("conv")
    first, second = inspection.layer("shared"), inspection.layer("shared@2")
    assert first.layer is second.layer and inspection.graph().earlier_calls(second) == 1
    with pytest.raises(ModelError, match="Unknown layer 'conv'. Did you mean 'backbone/conv'?"):
        inspection.layer("conv")


def test_maps_come_under_the_keys_that_were_asked_for_whatever_the_batch(model, images):
    inspection = Inspection(model)
    taps = {"before": Tap("backbone/conv", preactivation=True), 7: Tap("logits")}
    maps = inspection.maps(images, taps)
    assert list(maps) == ["before", 7] and maps["before"].shape == (3, SIZE - 2, SIZE - 2, 3)
    np.testing.assert_allclose(maps[7], model.predict(images, verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(inspection.maps(images[:1], taps)[7], maps[7][:1], rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelError, match="the model takes"):
        inspection.maps(images[..., :1], taps)


def test_a_gradient_is_taken_with_respect_to_images_or_to_one_call(model, images):
    inspection = Inspection(model)
    shared = inspection.layer("shared")

    def score(calls):
        return ops.sum(calls["logits"].outputs[0][:, 1])

    to_images = inspection.call("images", lambda v, x: [inspection.gradient(x, v, score)[0]], images)[0]
    step = np.zeros_like(images)
    step[1, 2, 3, 0] = 1e-2
    moved = (model.predict(images + step, verbose=0) - model.predict(images - step, verbose=0)).sum(axis=0)[1] / 2e-2
    np.testing.assert_allclose(to_images[1, 2, 3, 0], moved, rtol=0.05, atol=1e-4)

    # What the first call gives passes through the layer once more, and through the logits.
    to_first = inspection.call("first", lambda v, x: list(inspection.gradient(x, v, score, at=shared)), images)
    expected = model.get_layer("shared").get_weights()[0] @ model.get_layer("logits").get_weights()[0][:, 1]
    np.testing.assert_allclose(to_first[0], np.tile(expected, (3, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(to_first[1], inspection.maps(images, {0: Tap("shared")})[0], rtol=1e-5, atol=1e-6)


def test_a_change_is_made_in_the_call_that_is_meant_and_taken_back(model, images):
    inspection = Inspection(model)
    shared = inspection.layer("shared@2").layer
    before = dict(vars(shared)), inspection.maps(images, {0: Tap("shared")})[0]
    zeroing = Change(shared, "call", in_call(1, lambda output, _: output * 0))

    def changed(values, images):
        calls = inspection.calls(images, values, [zeroing])
        return [calls[name].outputs[0] for name in ("shared", "shared@2")]

    first, second = inspection.call("changed", changed, images)
    np.testing.assert_allclose(first, before[1], rtol=1e-5, atol=1e-6)
    assert not second.any() and vars(shared) == before[0]


def test_the_last_batch_of_a_stream_is_filled_up_and_cut(model, images):
    inspection, shapes, done = Inspection(model), [], []

    def doubled(_, rows):
        shapes.append(tuple(rows.shape))
        return [rows * 2]

    batches = inspection.stream(
        "doubled", doubled, 5, lambda rows: [rows.astype("float32")], 2, lambda *now: done.append(now)
    )
    results = [(rows.tolist(), result.tolist()) for rows, (result,) in batches]
    assert results == [([0, 1], [0, 2]), ([2, 3], [4, 6]), ([4], [8])]
    assert set(shapes) == {(2,)} and done == [(2, 5), (4, 5), (5, 5)]


def test_a_model_of_whole_numbers_has_maps_and_no_gradient():
    images = layers.Input((SIZE, SIZE, 1), dtype="uint8")
    model = keras.Model(images, layers.Conv2D(2, 3, name="conv")(layers.Rescaling(1 / 255)(images)))
    inspection = Inspection(model)
    assert inspection.maps(np.zeros((1, SIZE, SIZE, 1), "uint8"), {0: Tap("conv")})[0].shape == (1, 4, 4, 2)
    with pytest.raises(ModelError, match="uint8, for which there is no gradient"):
        inspection.gradient(None, [], None)


def test_a_backend_that_is_not_supported_is_refused_in_one_line():
    code = """
import keras
from convlens.core.errors import UserError
from convlens.models import conv_layers
try:
    conv_layers(keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)]))
except UserError as error:
    print(error)
"""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 1 and "Unknown Keras backend 'numpy'." in lines[0], run.stderr[-2000:]
