"""The dataset of a run that is opened: read where it lies, prepared only where somebody has typed that it shall be."""

from typing import get_args

import pytest

from convlens.configs import Data, Evaluate, Train
from convlens.configs.composition import compose
from convlens.configs.saved import read_config
from convlens.configs.schema import ADDRESS_KEYS, ADDRESSES, DataLocation
from convlens.core.errors import UserError
from convlens.data import open_dataset
from convlens.data.rendered_cars import STYLES, RenderedCars
from convlens.training import Run
from convlens.training.checks import check_choices


@pytest.fixture
def few_cars(monkeypatch):
    """Rendering takes no time."""
    for split, images in (("train", 8), ("validation", 8), ("test", 24)):
        monkeypatch.setattr(RenderedCars.builder_configs["64"], split, images)


@pytest.fixture
def run_on(tmp_path):
    """A run that learned the embedded dataset, which lay in a folder of this machine."""

    def make(data_dir):
        run = Run.create(tmp_path / "runs", "cars", Train(data=Data(data_dir=data_dir)))
        run.write_labels(STYLES)
        return run

    return make


def test_a_run_whose_data_is_there_needs_nothing_typed(run_on, cars_dir):
    assert run_on(str(cars_dir)).data.info.classes == STYLES


def test_a_run_whose_data_is_not_there_says_what_would_prepare_it_and_makes_nothing(run_on, tmp_path):
    with pytest.raises(UserError, match="rendered_cars/64/1.0.0 is not prepared in .*/not here. .*") as refusal:
        _ = run_on(str(tmp_path / "not here")).data
    assert f"Add 'data.data_dir={tmp_path}/not here' data.prepare=true" in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_what_was_typed_prepares_it_in_the_place_that_was_typed(run_on, tmp_path, few_cars):
    run = run_on(str(tmp_path / "saved"))
    with pytest.raises(UserError, match="only the configuration of run .* add data.data_dir=.*/saved"):
        run.open_data(DataLocation(prepare=True))
    data = run.open_data(DataLocation(prepare=True, data_dir=str(tmp_path / "typed")))
    assert sum(data.info.sizes.values()) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "typed"]
    assert run.open_data(DataLocation(data_dir=str(tmp_path / "typed"))).fingerprint == data.fingerprint


def test_a_command_takes_the_key_and_a_new_training_need_not(tmp_path, few_cars):
    assert compose("evaluate", Evaluate, ["data.prepare=true"]).data.prepare
    assert not Evaluate().data.prepare
    here = str(tmp_path / "tfds")
    with pytest.raises(UserError, match="data.prepare=true"):
        open_dataset(Data(data_dir=here, prepare=False), progress=False)
    assert sum(open_dataset(Data(data_dir=here), progress=False).info.sizes.values()) == 40


def test_a_saved_configuration_neither_keeps_the_key_nor_is_believed_to_say_it(tmp_path):
    config = compose("train", Train, ["data.prepare=true"])
    assert config.data.prepare and "prepare" not in config.document()["data"]
    run = Run.create(tmp_path, "cars", config)
    assert "prepare" not in run.config_path.read_text()
    assert run.config == config and run.config.data.prepare is False

    text = run.config_path.read_text().replace("data:\n", "data:\n  prepare: true\n")
    run._write_summed(run.config_path, text)
    again = Run.open(run.path, check=False)
    assert read_config(run.config_path, Train).data.prepare and again.config.data.prepare is False


def test_resume_prepares_only_what_was_typed(monkeypatch, run_on, tmp_path):
    import importlib

    train = importlib.import_module("convlens.train")
    asked = []
    monkeypatch.setattr(
        train, "_train", lambda config, run, location: asked.append((config.data.prepare, location.prepare))
    )
    run = run_on(None)
    run.write_facts(dataset={"fingerprint": "x"})
    train.train([f"resume={run.path}"])
    train.train([f"resume={run.path}", "data.prepare=true"])
    assert asked == [(False, False), (False, True)]


SOURCES = {"rendered_cars": {}, "tfds": {"name": "beans"}, "folder": {"root": "photos"}}  # what each cannot do without


def test_every_source_has_an_address():
    assert set(get_args(Data.model_fields["source"].annotation)) == set(ADDRESSES) == {*SOURCES, "arrays"}
    for source, needed in SOURCES.items():
        assert set(needed) <= set(ADDRESSES[source]) <= set(Data.model_fields)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("key", ADDRESS_KEYS)
def test_only_the_keys_of_its_source_say_where_a_trainings_images_lie(source, key, monkeypatch):
    monkeypatch.setattr("convlens.training.checks.check_address", lambda data: None)  # nothing lies there
    given = {**SOURCES[source], key: "there"}
    words = [f"data={source}", *(f"data.{name}={value}" for name, value in given.items())]
    config = compose("train", Train, words)
    if key in ADDRESSES[source]:
        return check_choices(config)
    with pytest.raises(UserError, match=f"data.{key}=there (has no effect with|applies only to) data="):
        check_choices(config)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("key", [key for key in ADDRESS_KEYS if key in DataLocation.model_fields])
def test_only_the_keys_of_its_source_say_where_a_runs_images_are_now(source, key, tmp_path):
    run = Run.create(tmp_path, "tiny", Train(data=Data(source=source, **SOURCES[source])))
    if key not in ADDRESSES[source]:
        right = "root" if source == "folder" else "data_dir"
        with pytest.raises(UserError, match=f"data.{key}=there is not read: .* whose place is data.{right}"):
            run.open_data(DataLocation(**{key: "there"}))
