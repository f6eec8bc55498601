"""Layers and units that do not exist are refused from the model file alone."""

import json
import zipfile

import pytest

from convlens.configs import Visualize
from convlens.core.errors import UserError
from convlens.gallery.choices import check_choices, refuse_unknown


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        ({"layers": ["block1_conv"]}, "Unknown layer 'block1_conv'. Did you mean 'block1_conv1'"),
        ({"layers": ["deep"]}, "Unknown layer 'deep'. Did you mean 'inner/deep'"),
        ({"layers": ["block1_conv1"], "units": [4]}, "Layer block1_conv1 has no unit 4; its units are 0 to 3."),
        ({"units": [5]}, "Layer block1_conv1 has no unit 5"),
    ],
)
def test_unknown_layers_and_units_are_refused_from_the_model_file_alone(choice, line, model_path):
    with pytest.raises(UserError, match=line.replace("(", r"\(")):
        check_choices(model_path, Visualize(model=str(model_path), **choice))


def test_what_exists_passes(model_path):
    check_choices(model_path, Visualize(model=str(model_path), layers=["inner/deep"], units=[5]))
    check_choices(model_path, Visualize(model=str(model_path), units=[3]))


def test_a_file_that_is_no_model_is_refused_as_it_would_be_when_it_is_read(tmp_path):
    with pytest.raises(UserError, match="missing.keras does not exist"):
        check_choices(tmp_path / "missing.keras", Visualize(layers=["a"]))
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [1]}}))
    with pytest.raises(UserError, match="odd.keras holds no metadata.json"):
        check_choices(tmp_path / "odd.keras", Visualize(layers=["a"]))


def test_a_layer_whose_number_of_units_is_not_known_takes_any_unit():
    refuse_unknown(Visualize(layers=["depthwise"], units=[900]), {"depthwise": None, "conv": 4})
