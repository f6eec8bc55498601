"""A run is read: whatever its configuration and its dataset ask for, nothing is imported, prepared or made for it."""

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
(SAVED,) = (ROOT / "tests/saved_runs/interrupted").iterdir()
SECONDS = 3  # on a machine that does other work too; TensorFlow is loaded before


@pytest.fixture(scope="module", params=["tensorflow", "jax", pytest.param("the wheel on jax", marks=pytest.mark.slow)])
def outcomes(request, tmp_path_factory):
    """How each command ended on each run, one after another in one process, from a folder that Python imports from."""
    folder = tmp_path_factory.mktemp("checkout")
    temporary = str(tmp_path_factory.mktemp("temporary"))
    keys = {"KERAS_BACKEND": request.param.split()[-1], "TFDS_DATA_DIR": str(folder / "datasets"), "TMPDIR": temporary}
    if "wheel" in request.param:
        keys["PYTHONPATH"] = str(tmp_path_factory.mktemp("site"))
        with zipfile.ZipFile(request.getfixturevalue("built")[0]) as archive:
            archive.extractall(keys["PYTHONPATH"])
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/faults/opening_runs.py"), str(SAVED), str(folder)],
        env=os.environ | keys,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return folder, lines[4:]


def test_every_one_is_refused_in_one_true_line(outcomes):
    for outcome in outcomes[1]:
        line = outcome["line"]
        assert outcome["code"] == 2 and line.count("\n") == 1 and len(line) < 900, outcome
        assert outcome["words"] in line, outcome
    commands = Counter(outcome["command"] for outcome in outcomes[1])
    assert set(commands) == {"evaluate", "visualize", "compare", "resume"}
    assert commands["evaluate"] > 80 and min(commands.values()) > 15


def test_no_module_that_a_file_names_is_imported(outcomes):
    folder, lines = outcomes
    assert not [outcome for outcome in lines if outcome["imported"] or outcome["canary"]]
    assert not list(folder.rglob("CANARY"))


def test_nothing_is_made_outside_of_the_run_and_no_dataset_within(outcomes):
    folder, lines = outcomes
    assert not [outcome for outcome in lines if outcome["written"]]
    assert not [outcome for outcome in lines if outcome["changed"]]
    assert sorted(path.name for path in (folder / "runs/shared").iterdir()) == ["20260101-000000-000-abcdef"]
    assert sorted(path.name for path in folder.iterdir()) == ["runs"]


def test_it_takes_no_time(outcomes):
    slow = [(outcome["name"], outcome["seconds"]) for outcome in outcomes[1] if outcome["seconds"] > SECONDS]
    assert not slow
