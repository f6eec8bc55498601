"""The run folder: what is written comes back, and what others wrote is read with care."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from convlens.configs import Train
from convlens.core.errors import ModelError, UserError
from convlens.training.run import FORMAT, Run
from convlens.training.saved_model import lasting_name, load_model


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "runs", "cars", Train(seed=7))


def test_a_new_run_is_the_latest_and_reopens_with_its_configuration(run, tmp_path):
    again = Run.open(tmp_path / "runs/cars/latest", check=False)
    assert again.path == run.path
    assert (again.name, again.id) == ("cars", run.path.name)
    assert again.config == Train(seed=7)


def test_labels_survive_whatever_a_folder_may_be_called(run):
    labels = (
        "van",
        "two\nlines",
        "back\\slash",
        "\\n",
        "carriage\r\nreturn",
        " spaces ",
        "ünï ",
        "<b>",
        "a\x85b\u2028c",
    )
    run.write_labels(labels)
    assert Run(run.path).labels == labels
    assert run.labels_path.read_bytes().count(b"\n") == len(labels)


def test_metrics_come_back_as_numbers(run):
    rows = [{"epoch": 1, "loss": 0.1 + 0.2, "val_accuracy": 1.0}, {"epoch": 2, "loss": 1e-9, "val_accuracy": 0.5}]
    run.write_metrics(rows)
    assert run.metrics == rows


def test_a_table_that_was_edited_is_refused(run):
    run.write_metrics([{"epoch": 1, "loss": 0.5}])
    run.metrics_path.write_text(run.metrics_path.read_text().replace("0.5", "0.4"))
    with pytest.raises(UserError, match="damaged or was edited"):
        _ = run.metrics


def test_a_table_survives_one_interrupted_replacement_after_another(run, monkeypatch):
    run.write_metrics([{"epoch": 1, "loss": 0.5}])
    replace = os.replace
    monkeypatch.setattr("os.replace", lambda old, new: replace(old, new) if "metrics" not in str(new) else stop())

    def stop():
        raise KeyboardInterrupt

    for epoch in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            run.write_metrics([{"epoch": epoch, "loss": 0.1}])
        assert Run(run.path).metrics == [{"epoch": 1, "loss": 0.5}]


def test_facts_add_up(run):
    assert run.epoch is None
    run.write_facts(best={"epoch": 3})
    run.write_facts(backend="jax")
    assert run.epoch == 3
    assert run.facts["backend"] == "jax"


def rewrite_facts(run, **changes):
    """Gives a run a `run.json` of these facts, with its own sum, as another version of this code would have."""
    facts = json.loads(run.facts_path.read_text()) | changes
    del facts["sha256"]
    run.write_json(run.facts_path, {key: value for key, value in facts.items() if value is not None})


def test_a_run_says_the_format_of_its_files(run):
    assert json.loads(run.facts_path.read_text())["format"] == FORMAT == 1


def test_a_run_of_before_formats_were_numbered_opens_and_gets_a_number_when_it_is_written_to(run):
    rewrite_facts(run, format=None)
    again = Run.open(run.path, check=False)
    assert "format" not in again.facts
    again.write_metrics([{"epoch": 1, "loss": 0.5}])
    assert Run(run.path).facts["format"] == FORMAT
    assert Run(run.path).metrics == [{"epoch": 1, "loss": 0.5}]


def test_a_run_of_a_later_format_is_refused_whatever_else_is_new_in_it(run):
    rewrite_facts(run, format=FORMAT + 6)
    values = yaml.safe_load(run.config_path.read_text()) | {"a_key_of_the_future": 1}
    run.config_path.write_text(yaml.safe_dump(values))
    facts = json.loads(run.facts_path.read_text())
    run.facts_path.write_text(json.dumps(facts | {"sha256": "of another kind"}))

    before = run.facts_path.read_bytes()
    refused = (
        lambda: Run.open(run.path, check=False),
        lambda: Run(run.path).facts,
        lambda: Run(run.path).labels,
        lambda: Run(run.path).write_facts(finished=True),
        lambda: Run(run.path).write_metrics([{"epoch": 1, "loss": 0.5}]),
    )
    for ask in refused:
        with pytest.raises(UserError, match=rf"is of format {FORMAT + 6}, .* up to {FORMAT}: .* Update convlens"):
            ask()
    assert run.facts_path.read_bytes() == before and not run.metrics_path.exists()


@pytest.mark.parametrize("number", ["1", True, -1, 1.0, [1]])
def test_a_format_that_is_no_whole_number_is_damage(run, number):
    rewrite_facts(run, format=number)
    with pytest.raises(UserError, match=r"run\.json is damaged: its format is .*, expected a whole number"):
        Run.open(run.path, check=False)


def test_twenty_processes_make_twenty_folders(tmp_path):
    script = (
        "import sys; from convlens.configs import Train; from convlens.training.run import Run; "
        "Run.create(sys.argv[1], 'cars', Train())"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(20)]
    assert [process.wait() for process in processes] == [0] * 20

    runs = [path for path in (tmp_path / "cars").iterdir() if not path.is_symlink()]
    assert len(runs) == 20
    assert all((path / "config.yaml").is_file() for path in runs)
    assert (tmp_path / "cars/latest").resolve() in [path.resolve() for path in runs]


def test_newest_skips_runs_that_learned_nothing(tmp_path):
    old = Run.create(tmp_path, "cars", Train())
    old.model_path.touch()
    Run.create(tmp_path, "cars", Train())
    assert Run.newest(tmp_path).path == old.path
    assert Run.open(tmp_path / "cars").path == old.path


def test_the_latest_run_has_a_name_that_goes_on_meaning_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    older = Run.create("runs", "cars", Train())
    older.model_path.write_bytes(b"weights")
    lasting = [lasting_name(name) for name in ("runs/cars/latest", "runs/cars", f"runs/cars/{older.id}")]
    newer = Run.create("runs", "cars", Train())
    newer.model_path.write_bytes(b"other weights")
    assert {os.path.realpath(name) for name in lasting} == {os.path.realpath(older.path)}
    assert lasting_name(f"runs/cars/{older.id}/model.keras") == f"runs/cars/{older.id}/model.keras"


def learned(run):
    run.model_path.write_bytes(b"a model")
    return run


def test_after_the_clock_was_set_back_the_newest_run_is_still_the_one_made_last(tmp_path):
    before = Run.create(tmp_path, "cars", Train())
    before.path.rename(tmp_path / "cars" / "29991231-235959-999-abcdef")  # made by a clock that was wrong
    learned(Run(tmp_path / "cars" / "29991231-235959-999-abcdef"))
    for name in ("cars", "trucks", "cars"):
        run = learned(Run.create(tmp_path, name, Train()))
        assert (tmp_path / name / "latest").resolve() == run.path
        assert Run.newest(tmp_path).path == Run.open(tmp_path / name).path == run.path


def test_where_names_and_latest_differ_latest_is_the_newest(tmp_path):
    for name in ("20260101-000000-000-aaaaaa", "20261231-000000-000-bbbbbb"):
        Run.create(tmp_path, "cars", Train()).path.rename(tmp_path / "cars" / name)
        learned(Run(tmp_path / "cars" / name))
    (tmp_path / "cars/latest").unlink()
    (tmp_path / "cars/latest").symlink_to("20260101-000000-000-aaaaaa")
    assert Run.newest(tmp_path).id == Run.open(tmp_path / "cars").id == "20260101-000000-000-aaaaaa"


def test_a_run_that_was_renamed_is_not_taken_for_the_newest(tmp_path):
    old = learned(Run.create(tmp_path, "cars", Train()))
    old.path.rename(tmp_path / "cars" / "my best one")
    new = learned(Run.create(tmp_path, "cars", Train()))
    assert Run.newest(tmp_path).path == new.path


def test_a_folder_named_latest_stays_and_the_run_beside_it_is_the_newest(tmp_path):
    copied = tmp_path / "cars" / "latest"
    copied.mkdir(parents=True)
    (copied / "config.yaml").write_text("name: of a run that was copied with cp -rL")
    run = Run.create(tmp_path, "cars", Train())
    run.model_path.touch()
    assert not run.is_latest and [path.name for path in copied.iterdir()] == ["config.yaml"]
    assert Run.newest(tmp_path).path == run.path


def test_a_disk_without_links_takes_runs(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refused)
    run = Run.create(tmp_path, "cars", Train())
    assert not run.is_latest and Run.open(run.path, check=False).path == run.path
    monkeypatch.undo()
    assert Run.create(tmp_path, "cars", Train()).is_latest


def test_a_model_of_other_classes_than_the_run_is_refused(run, good):
    shutil.copy(good, run.model_path)
    run.write_labels(("a", "b"))
    with pytest.raises(UserError, match=r"gives .*3.* where run .* has 2 classes"):
        _ = run.model
    run.write_labels(("a", "b", "c"))
    assert Run(run.path).model.count_params() > 0


def test_newest_looks_at_every_experiment(tmp_path):
    for name in ("a", "b", "a"):
        last = Run.create(tmp_path, name, Train())
        last.model_path.touch()
    assert Run.newest(tmp_path).path == last.path


def test_a_link_that_a_killed_process_left_is_no_run(run, tmp_path):
    (run.path.parent / ".0a1b2c3d.latest").symlink_to(run.id)
    assert Run.open(tmp_path / "runs/cars", check=False).path == run.path
    with pytest.raises(UserError, match=f"Did you mean '.*/cars/({run.id}|latest)'"):
        Run.open(tmp_path / "runs/cars/.0a1b2c3d.lates")


def test_a_missing_run_is_answered_with_the_nearest_one(run, tmp_path):
    with pytest.raises(UserError, match=r"Did you mean '.*/cars/latest'"):
        Run.open(tmp_path / "runs/car/latest")


def test_where_no_run_exists_the_error_says_how_to_train_one(tmp_path):
    with pytest.raises(UserError, match="convlens train experiment=cars"):
        Run.open(tmp_path / "runs/cars/latest")
    with pytest.raises(UserError, match="convlens train experiment=cars"):
        Run.newest(tmp_path / "runs")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run"):
        Run.open(tmp_path)


def test_a_run_without_a_model_is_refused(run):
    with pytest.raises(UserError, match=r"no model\.keras"):
        Run.open(run.path)


def test_a_target_in_a_saved_configuration_is_refused_not_called(run, tmp_path):
    values = yaml.safe_load(run.config_path.read_text())
    values["model"]["_target_"] = "os.mkdir"
    values["model"]["path"] = str(tmp_path / "called")
    run.config_path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match="_target_"):
        Run.open(run.path, check=False)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("absent.keras", None, "does not exist"),
        ("model.h5", b"\x89HDF", "only .keras files"),
        ("model.keras", b"", "is empty"),
        ("model.keras", b"<html>not found</html>", "is a web page"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((UserError, ModelError), match=reason):
        load_model(tmp_path / name)
