"""Honest model files are read to the last bit; changed anywhere at random, they are understood or refused."""

import copy
import hashlib
import json
import os
import random
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from convlens.configs import Model
from convlens.core.errors import ModelError
from convlens.models import build_model
from convlens.models.keras_file.configuration import expected_weights
from convlens.models.keras_file.reading import read_model
from convlens.models.keras_file.weights import checked_weights
from tests.faults.hostile_models import CONFIG, WEIGHTS, function, link, members, packed, with_config, with_option
from tests.faults.watching import keras_state


def same(one, other) -> bool:
    images = np.random.default_rng(0).uniform(0, 255, (2, *one.input_shape[1:])).astype("float32")
    return (
        one.get_config() == other.get_config()
        and all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
        and np.array_equal(one.predict(images, verbose=0), other.predict(images, verbose=0))
    )


def nested_model():
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.Normalization()], name="inner")
    images = keras.Input((16, 16, 3))
    x = layers.RandomFlip(seed=1)(images)
    x = layers.Concatenate()([inner(x), inner(x + 1.0)])
    x = layers.SeparableConv2D(4, 3, depth_multiplier=2, activation=layers.ReLU())(x)
    x = layers.LayerNormalization(axis=[2, 3])(layers.PReLU(shared_axes=[1, 2])(x))
    x = keras.ops.relu(layers.GroupNormalization(2)(layers.Conv2DTranspose(6, 3)(x)))
    return keras.Model(images, layers.Dense(3, dtype="bfloat16")(layers.GlobalAveragePooling2D()(x)))


def sequential_model():
    stack = [layers.Conv2D(4, 3, activation="gelu", kernel_regularizer="l2"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((16, 16, 1)), *stack, layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.ones((4, 16, 16, 1)), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    return model


def ours(**config):
    return lambda: build_model(Model(**config), (24, 24), 3, 4, seed=1)


def application(name, **options):
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5, **options)


GOOD = {
    "lesson": ours(filters=[4, 8], head={"dense": [8]}),
    "vgg": ours(filters=[4, 8], convolutions=2, batch_norm=True, dropout=0.2, weight_decay=1e-4),
    "resnet": ours(family="resnet", filters=[4, 8], batch_norm=True, head={"pooling": "average"}),
    "trained sequential": sequential_model,
    "nested": nested_model,
    "MobileNetV3Small": application("MobileNetV3Small"),
}
LARGE = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "MobileNetV2",
    "NASNetMobile",
    "ResNet50V2",
]


@pytest.mark.parametrize("name", [*GOOD, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_an_honest_model_is_read_to_the_last_bit(name, tmp_path):
    model = GOOD.get(name, application(name))()
    model.save(tmp_path / "honest.keras")
    before = keras_state()

    loaded = read_model(tmp_path / "honest.keras")

    assert same(loaded, keras.saving.load_model(tmp_path / "honest.keras", compile=False))
    assert all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True))
    assert not loaded.compiled and keras_state() == before


def test_a_model_packed_anew_with_compression_is_read(tmp_path, good):
    assert same(read_model(packed(tmp_path, members(good), zipfile.ZIP_DEFLATED)), read_model(good))


def test_a_link_to_a_model_is_read_and_its_sum_is_compared(tmp_path, good):
    link(tmp_path, str(good))
    read_model(tmp_path / "hostile.keras", sha256=hashlib.sha256(good.read_bytes()).hexdigest().upper())


def test_initializers_are_kept_and_none_is_run(tmp_path, monkeypatch):
    stack = [layers.Conv2D(4, 3, kernel_initializer="orthogonal"), layers.BatchNormalization(), layers.Flatten()]
    inner = keras.Sequential([keras.Input((16, 16, 3)), *stack], name="inner")
    last = layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(seed=3), bias_initializer="ones")
    model = keras.Sequential([keras.Input((16, 16, 3)), inner, last])
    model.save(tmp_path / "honest.keras")

    def run(*_, **__):
        raise AssertionError("an initializer was run")

    for name in ("Orthogonal", "HeNormal", "GlorotUniform", "Ones"):
        monkeypatch.setattr(getattr(keras.initializers, name), "__call__", run)
    loaded = read_model(tmp_path / "honest.keras")
    monkeypatch.undo()
    assert same(loaded, keras.saving.load_model(tmp_path / "honest.keras"))
    assert type(loaded.get_layer("inner").layers[0].kernel_initializer).__name__ == "Orthogonal"


@pytest.mark.parametrize("names", [("c 1", "m"), ("größe", "m"), ("車" * 60, "m"), ("c1", "-m"), ("c1", "a b")])
def test_a_name_with_which_tensorflow_computes_nothing_is_refused_and_such_names_only(tmp_path, names):
    layer, model = names
    keras.Sequential([keras.Input((4,)), layers.Dense(2, name=layer)], name=model).save(tmp_path / "honest.keras")
    with pytest.raises(ModelError, match="which TensorFlow cannot use.* KERAS_BACKEND=jax"):
        read_model(tmp_path / "honest.keras")
    usable = [layers.Dense(2, name=name) for name in ("-a", "_b", "c>1", "d.e")]
    keras.Sequential([keras.Input((4,)), *usable], name=".m").save(tmp_path / "usable.keras")
    assert read_model(tmp_path / "usable.keras").predict(np.ones((1, 4)), verbose=0).shape == (1, 2)


@pytest.mark.parametrize("budget", ["MESSAGES_IN_ALL", "HEADER_BYTES"])
def test_headers_of_weights_have_a_budget_in_all(good, tmp_path, monkeypatch, budget):
    path = tmp_path / "weights.h5"
    path.write_bytes(members(good)[WEIGHTS])
    expected = expected_weights(json.loads(members(good)[CONFIG]))
    checked_weights(path, expected)
    monkeypatch.setattr(f"convlens.models.keras_file.hdf5.{budget}", 10)
    with pytest.raises(ModelError, match="in the headers of its weights|has headers in its weights"):
        checked_weights(path, expected)


def test_training_settings_are_left_out_and_never_called(tmp_path, good):
    evil = {"optimizer": "adam", "loss": function("keras.config", "set_floatx"), "metrics": [function("os", "system")]}
    path = with_config(lambda config: config.update(compile_config=evil))(tmp_path, good)
    before = keras_state()
    assert not read_model(path).compiled
    assert keras_state() == before


def test_jax_reads_what_tensorflow_saved_and_refuses_the_same(tmp_path, good):
    bad = with_option("Dense", units=10_800_000)(tmp_path, good)
    program = textwrap.dedent("""
        import sys
        import keras, numpy as np
        from convlens.core.errors import ModelError
        from convlens.models.keras_file.reading import read_model
        assert keras.backend.backend() == "jax"
        good, bad = sys.argv[1:]
        one, other = read_model(good), keras.saving.load_model(good, compile=False)
        images = np.full((1, 16, 16, 3), 100.0)
        assert np.array_equal(one.predict(images, verbose=0), other.predict(images, verbose=0))
        other.save(good + "-jax.keras")
        assert np.array_equal(read_model(good + "-jax.keras").get_weights()[0], other.get_weights()[0])
        names = [keras.layers.Dense(2, name=name) for name in ("c 1", "größe")]
        keras.Sequential([keras.Input((4,)), *names], name="a b").save(good + "-names.keras")
        assert read_model(good + "-names.keras").predict(np.ones((1, 4)), verbose=0).shape == (1, 2)
        try:
            read_model(bad)
        except ModelError as error:
            print(error)
    """)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(good), str(bad)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "asks for 11" in done.stdout


@pytest.mark.parametrize("flips", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_flipped_bit_changes_a_model_silently(flips, tmp_path, good):
    original, content = read_model(good), good.read_bytes()
    generator, path = random.Random(0), tmp_path / "flipped.keras"
    outcomes = {"refused": 0, "the same model": 0, "silently wrong": 0}
    for _ in range(flips):
        place = generator.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            outcomes["the same model" if same(read_model(path), original) else "silently wrong"] += 1
        except ModelError:
            outcomes["refused"] += 1
    print(outcomes)
    assert outcomes["silently wrong"] == 0 and outcomes["refused"] > 0.9 * flips


VALUES = [None, True, -1, 0, 2**40, 1e308, "", "relu", "Dense", "os", [], {}, [None, 3], ["a", 0, 0], [[[[[[[[]]]]]]]],
          {"class_name": "x"}, {"class_name": "function", "config": [], "module": "builtins"},
          {"class_name": "__keras_tensor__", "config": {}}, {"class_name": "Lambda", "config": 3}]  # fmt: skip


def places(value, keyed):
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        keyed.append((value, key))
        if isinstance(item, dict | list):
            places(item, keyed)
    return keyed


@pytest.mark.parametrize("tries", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_configuration_changed_anywhere_is_understood_or_refused_but_never_a_surprise(tries, good):
    generator, config = random.Random(0), json.loads(members(good)[CONFIG])
    refused = 0
    for _ in range(tries):
        changed = copy.deepcopy(config)
        for _ in range(generator.choice([1, 1, 3])):
            group, key = generator.choice(places(changed, []))
            group[key] = copy.deepcopy(generator.choice(VALUES))
        try:
            expected_weights(changed)
        except ModelError:
            refused += 1
    assert refused > tries / 2


@pytest.mark.parametrize("tries", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_weights_changed_anywhere_by_someone_who_mended_the_sum_are_understood_or_refused(tries, tmp_path, good):
    """The HDF5 library loops without end or crashes on some of these."""
    content, path = members(good)[WEIGHTS], tmp_path / "weights.h5"
    expected = expected_weights(json.loads(members(good)[CONFIG]))
    generator, refused = random.Random(0), 0
    for _ in range(tries):
        changed = bytearray(content)
        for _ in range(generator.choice([1, 3, 20])):
            changed[generator.randrange(len(changed))] = generator.choice([0, 255, generator.randrange(256)])
        path.write_bytes(changed)
        try:
            checked_weights(path, expected)
        except ModelError:
            refused += 1
    assert refused > tries / 20
