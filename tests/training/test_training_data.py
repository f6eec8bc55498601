"""What training asks of a dataset, the real one has, and so has the one that these tests train on."""

import inspect

import pytest

from convlens.data import Dataset
from convlens.training.training_data import TrainingData

ASKED = [name for name, member in vars(TrainingData).items() if inspect.isfunction(member) and name[0] != "_"]


def test_something_is_asked():
    assert {"steps", "training", "evaluation", "examples", "labels"} <= set(ASKED)


@pytest.mark.parametrize("name", ASKED)
def test_both_datasets_take_what_training_gives(name, array_data):
    asked = inspect.signature(getattr(TrainingData, name)).parameters
    for kind in (Dataset, array_data):
        taken = inspect.signature(getattr(kind, name)).parameters
        form = [(parameter.name, parameter.kind, parameter.default) for parameter in taken.values()]
        assert form == [(parameter.name, parameter.kind, parameter.default) for parameter in asked.values()], kind
