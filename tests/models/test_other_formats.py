"""A model in another form than .keras is called what it is, and what is advised makes a .keras file of it."""

import re

import keras
import numpy as np
import pytest

from convlens.core.errors import UserError
from convlens.models import read_model
from convlens.training import Run
from convlens.training.saved_model import load_model, model_file

OPENINGS = [read_model, load_model, model_file, Run.open, lambda path: Run.open(path, check=False)]


@pytest.fixture
def model():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))


def refusal(opening, path):
    with pytest.raises(UserError) as caught:
        opening(path)
    assert "\n" not in str(caught.value) and "is not a run" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_saved_model_is_called_one(opening, tmp_path):
    (tmp_path / "net" / "variables").mkdir(parents=True)
    (tmp_path / "net" / "saved_model.pb").write_bytes(b"\x08\x01")
    assert "is a SavedModel: it holds a graph" in refusal(opening, tmp_path / "net")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["net.h5", "dad's net.hdf5"])
def test_what_is_advised_for_an_h5_file_makes_a_keras_file_of_it(name, model, tmp_path, monkeypatch):
    model.save(tmp_path / name)
    lines = {refusal(opening, tmp_path / name) for opening in OPENINGS}
    (line,) = lines
    assert "can hide code" in line and "If you trust who made it" in line
    code = line[line.index("import keras") :]
    monkeypatch.chdir(tmp_path)
    exec(code)
    images = np.ones((1, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(read_model(tmp_path / "model.keras")(images), model(images))


def test_what_is_advised_for_weights_alone_makes_a_keras_file_with_them(model, tmp_path, monkeypatch):
    model.save_weights(tmp_path / "net.weights.h5")
    line = refusal(read_model, tmp_path / "net.weights.h5")
    monkeypatch.chdir(tmp_path)
    for statement in re.findall(r"model\.\w+\([^)]*\)", line):
        exec(statement, {"model": model})
    assert read_model("model.keras").count_params() == model.count_params()
