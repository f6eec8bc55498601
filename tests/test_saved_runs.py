"""Runs are forever: a run that any earlier version wrote opens, evaluates, draws and resumes.

This is a contract. Where one of these tests fails, the code is to read what was written, and never the other way
round: nothing below `saved_runs` is ever changed, converted or trained anew.

`saved_runs/finished` holds whole runs, `saved_runs/interrupted` runs that were stopped between two epochs, each in a
folder under its own id, as a version of this code left it; `saved_runs/pictures` is what all of them learned from.
Format 0 is that of before run.json had a number.

To add the next one, when the format of a run changes or a new kind of state is saved: with the last version that
writes the old format, and from within `saved_runs`, train a tiny network with `data=folder data.root=pictures
data.image_size=[16,16] training.deterministic=true` and whatever is to be kept (an optimizer, an augmentation, a layer
that carries state); stop one training with Ctrl-C, let another one end; copy both folders here whole, a megabyte at
most. The tests below then take them as well.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convlens.configs import Evaluate, Train, Visualize
from convlens.configs.composition import compose
from convlens.configs.schema import DataLocation
from convlens.core.errors import UserError
from convlens.training import Run
from convlens.training.run import FORMAT

ROOT = Path(__file__).resolve().parents[1]
SAVED = ROOT / "tests/saved_runs"
PICTURES = f"data.root={SAVED / 'pictures'}"
FINISHED, INTERRUPTED = (sorted((SAVED / kind).iterdir()) for kind in ("finished", "interrupted"))


def copy_of(saved: Path, folder: Path) -> Run:
    """The run at a place of its own, with neither the folder nor the links around it that it was written in."""
    return Run(shutil.copytree(saved, folder / "runs" / saved.parent.name / saved.name))


@pytest.fixture(params=FINISHED, ids=lambda path: path.name)
def finished(request, tmp_path):
    return copy_of(request.param, tmp_path)


@pytest.fixture(params=[*FINISHED, *INTERRUPTED], ids=lambda path: f"{path.parent.name}/{path.name}")
def run(request, tmp_path):
    return copy_of(request.param, tmp_path)


def test_there_are_runs_of_both_kinds():
    assert FINISHED and INTERRUPTED


def test_it_opens_with_everything_in_it(run):
    opened = Run.open(run.path)
    table = list(csv.DictReader((run.path / "metrics.csv").open()))
    assert opened.labels == ("across", "disc", "upright")
    assert [row["epoch"] for row in opened.metrics] == list(range(1, len(table) + 1))
    monitor = opened.config.training.monitor
    assert opened.best[monitor] == opened.metrics[opened.epoch - 1][monitor]
    assert opened.model.output_shape == (None, 3)
    assert opened.finished == (run.name == "finished") == bool(opened.evaluation)

    data = opened.open_data(DataLocation(root=str(SAVED / "pictures")))
    assert data.fingerprint == opened.facts["dataset"]["fingerprint"]


def test_it_evaluates_to_the_scores_that_were_written(finished, capsys):
    from convlens.evaluate import evaluate

    before = finished.evaluation
    finished.evaluation_path.unlink()
    evaluate(compose("evaluate", Evaluate, [f"run={finished.path}", PICTURES]))
    after = finished.evaluation
    for key in ("split", "epoch", "images", "accuracy", "confusion_matrix", "classes"):
        assert after[key] == before[key], key
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-4)
    assert "fingerprint differs" not in capsys.readouterr().out


FIGURES = ("kernels", "feature_maps", "unit_statistics", "grad_cam", "architecture", "evolution")


def test_it_is_drawn_and_so_is_how_it_evolved(finished, tmp_path, capsys):
    from convlens.visualize import visualize

    out = tmp_path / "figures"
    words = (f"run={finished.path}", PICTURES, f"out={out}", f"figures=[{','.join(FIGURES)}]", "image=[0]")
    visualize(compose("visualize", Visualize, list(words)))
    assert "No figure" not in capsys.readouterr().out
    for figure in FIGURES:
        assert list(out.glob(f"{figure}*.png")) and list(out.glob(f"{figure}*.npz")), figure
    (evolution, *_) = sorted(out.glob("evolution*.npz"))
    epochs = [int(path.stem.removeprefix("epoch-")) for path in finished.snapshots]
    assert any(np.array_equal(array, epochs) for array in np.load(evolution).values())


def test_it_is_compared_with_another_run(finished, tmp_path):
    from convlens.visualize import visualize

    other = copy_of(INTERRUPTED[0], tmp_path)
    words = (f"a={finished.path}", f"b={other.path}", PICTURES, f"out={tmp_path / 'out'}", "figures=[class_accuracy]")
    visualize(compose("visualize", Visualize, list(words)))
    assert list((tmp_path / "out").glob("class_accuracy*.png"))


def test_it_says_that_it_is_finished_when_it_is_to_be_resumed(finished, capsys):
    from convlens.train import train

    files = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    train(compose("train", Train, [f"resume={finished.path}", PICTURES]))
    assert "is finished" in capsys.readouterr().out
    assert files == {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}


def test_its_weights_start_a_new_network(finished):
    from convlens.models import build_model
    from convlens.training.checks import check_choices
    from convlens.training.transfer import initialize_from

    check_choices(compose("train", Train, [f"init_from={finished.path}", "data=folder", PICTURES]))
    learned = Run.open(finished.path)
    model = build_model(learned.config.model, learned.model.input_shape[1:3], 3, len(learned.labels), seed=1)
    assert initialize_from(model, str(finished.path)) == []
    for mine, saved in zip(model.get_weights(), learned.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, saved)


@pytest.mark.parametrize("saved", INTERRUPTED, ids=lambda path: path.name)
def test_it_goes_on_from_where_it_stood_to_its_end(saved, tmp_path):
    run = copy_of(saved, tmp_path)
    before, epochs = run.metrics, run.config.training.epochs
    assert 0 < len(before) < epochs and not run.finished

    # In a process of its own: with training.deterministic, threads are set before anything is computed.
    command = [sys.executable, str(ROOT / "train.py"), f"resume={run.path}", PICTURES]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"Continuing after epoch {len(before)}, from" in done.stdout

    after = Run.open(run.path)
    assert after.metrics[: len(before)] == before
    assert [row["epoch"] for row in after.metrics] == list(range(1, epochs + 1))
    assert after.log_path.read_text().count("val_accuracy") == epochs
    assert after.finished and after.evaluation["images"] == 9 and after.model.output_shape == (None, 3)
    first = json.loads((saved / "run.json").read_text())
    assert after.facts["dataset"] == first["dataset"] and after.facts["environment"] == first["environment"]
    assert after.facts["format"] == FORMAT  # as what was written to it now


def evaluated(run, older):
    from convlens.evaluate import evaluate

    evaluate(compose("evaluate", Evaluate, [f"run={run.path}", PICTURES]))


def drawn(run, older):
    from convlens.visualize import visualize

    visualize(compose("visualize", Visualize, [f"run={run.path}", PICTURES]))


def compared_as_the_first(run, older):
    from convlens.visualize import visualize

    visualize(compose("visualize", Visualize, [f"a={run.path}", f"b={older.path}", PICTURES]))


def compared_as_the_second(run, older):
    from convlens.visualize import visualize

    visualize(compose("visualize", Visualize, [f"a={older.path}", f"b={run.path}", PICTURES]))


def resumed(run, older):
    from convlens.train import train

    train(compose("train", Train, [f"resume={run.path}", PICTURES]))


def started_from(run, older):
    from convlens.train import train

    train(
        compose("train", Train, [f"init_from={run.path}", "data=folder", PICTURES, f"runs_dir={run.path.parents[2]}"])
    )


WAYS = (evaluated, drawn, compared_as_the_first, compared_as_the_second, resumed, started_from)


@pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
def test_a_run_of_a_later_version_is_refused_whatever_is_asked_of_it(ask, tmp_path):
    older, run = copy_of(FINISHED[0], tmp_path), copy_of(INTERRUPTED[0], tmp_path)
    run.write_json(run.facts_path, run.facts | {"format": FORMAT + 1})
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=rf"{run.id} is of format {FORMAT + 1}, .* up to {FORMAT}: .* Update convlens"):
        ask(run, older)
    assert sorted(tmp_path.rglob("*")) == files
