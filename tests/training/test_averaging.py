"""Batch norm under averaged weights: its statistics are those that these weights give."""

import keras
import numpy as np
import pytest

from convlens.configs import Model
from convlens.models import build_model
from convlens.training import Run, Session, fit_model
from convlens.training.averaging import measure_statistics

NORMALIZED = {"filters": [4, 6], "batch_norm": True, "dropout": [0.5], "head": {"pooling": "average"}}


@pytest.fixture
def trained(tmp_path, configuration, arrays):
    def train(**training):
        config = configuration(epochs=3, **training)
        config = config.model_copy(update={"model": type(config.model).model_validate(NORMALIZED)})
        keras.utils.set_random_seed(0)
        model = build_model(config.model, (8, 8), 3, 3, seed=0)
        run = Run.create(tmp_path, "averaged", config)
        run.write_labels(arrays.info.classes)
        return fit_model(Session(config, run, arrays), model), Run.open(run.path).model

    return train


def inputs_of(model, name, images):
    before = keras.Model(model.inputs, model.get_layer(name).input)
    return keras.ops.convert_to_numpy(before(images))


def test_the_saved_model_has_the_statistics_of_its_own_averaged_weights(trained, arrays):
    rows, model = trained(optimizer={"learning_rate": 0.05, "ema": 0.9})
    seen = inputs_of(model, "block1_bn1", arrays.splits["train"][0])
    layer = model.get_layer("block1_bn1")
    np.testing.assert_allclose(layer.moving_mean, seen.mean((0, 1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, seen.var((0, 1, 2)), rtol=1e-3, atol=1e-4)


def test_measuring_does_not_change_what_is_learned(trained):
    averaged, _ = trained(optimizer={"learning_rate": 0.05, "ema": 0.9})
    plain, _ = trained(optimizer={"learning_rate": 0.05})
    # Keras swaps weights in TensorFlow by adding and subtracting, which rounds.
    assert [row["loss"] for row in averaged] == pytest.approx([row["loss"] for row in plain], rel=1e-5)


def test_statistics_are_those_of_all_images_without_dropout_and_layers_are_as_before(arrays):
    model = build_model(Model.model_validate(NORMALIZED), (8, 8), 3, 3, seed=0)
    images = arrays.splits["train"][0]  # 48, in batches of which the last is smaller
    measure_statistics(model, images, 20)
    first = model.get_layer("block1_bn1")
    seen = inputs_of(model, "block1_bn1", images)
    np.testing.assert_allclose(first.moving_variance, seen.var((0, 1, 2)), rtol=1e-3)
    second = model.get_layer("block2_bn1")
    seen = inputs_of(model, "block2_bn1", images)  # of layers that normalize by all images, not by a batch of 20
    np.testing.assert_allclose(second.moving_mean, seen.mean((0, 1, 2)), rtol=0.1, atol=0.05)
    np.testing.assert_allclose(second.moving_variance, seen.var((0, 1, 2)), rtol=0.2)
    assert [layer.momentum for layer in (first, second)] == [0.99, 0.99]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5, 0.5]


def test_a_frozen_batch_norm_is_left_as_it_is(arrays):
    model = build_model(Model.model_validate(NORMALIZED), (8, 8), 3, 3, seed=0)
    model.get_layer("block1_bn1").trainable = False
    measure_statistics(model, arrays.splits["train"][0], 20)
    assert not np.any(model.get_layer("block1_bn1").moving_mean)
    assert np.any(model.get_layer("block2_bn1").moving_mean)
