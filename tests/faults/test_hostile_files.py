"""Runs and models that others made: whatever a file of theirs is, it is refused in one line, and nothing happens."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "tests/faults/forked_openings.py"
(SAVED,) = (ROOT / "tests/saved_runs/interrupted").iterdir()
# Of the processor, on a machine that does other work too; idle, half a second is the most.
SECONDS, MEGABYTES = 2 * 3, 300


def opening(kind: str, backend: str, good: Path, folder: Path, **more: str) -> subprocess.Popen:
    """Starts to open all rows of a kind; `more` is what else the environment says."""
    for name in ("work", "temporary"):
        (folder / name).mkdir(parents=True)
    keys = {"KERAS_BACKEND": backend, "TMPDIR": str(folder / "temporary"), "XDG_CACHE_HOME": str(folder / "cache")}
    words = [sys.executable, str(SERVER), str(SAVED), str(good), str(folder / "work"), kind]
    with (folder / "said").open("w") as said, (folder / "errors").open("w") as errors:
        return subprocess.Popen(words, env=os.environ | keys | more, stdout=said, stderr=errors)


def outcomes(process: subprocess.Popen, folder: Path) -> list[dict]:
    assert process.wait() == 0, (folder / "errors").read_text()[-3000:]
    lines = (folder / "said").read_text().splitlines()
    first, *results = [json.loads(line) for line in lines if line.startswith("{")]
    assert first["rows"] == len(results), f"the row after {results[-1:]} ended the process, or did not end"
    return results


def faults(outcome: dict) -> list[str]:
    """What is wrong with how a file was refused, or an honest one opened."""
    line, honest = outcome["line"], not outcome["words"]
    last = line.splitlines()[-1] if line else ""
    expected = {
        "its exit code": outcome["code"] == (0 if honest else 2),
        "more or less than a line": honest or (line.endswith("\n") and "Traceback" not in line and len(last) < 900),
        "another reason": outcome["words"] in last and (honest or last.isprintable()),
        "its time": outcome.get("seconds", 99) < SECONDS,
        "its memory": honest or outcome.get("megabytes", 9999) < MEGABYTES,
        "a program or the network": not outcome.get("done"),
        "a file elsewhere": not outcome.get("outside") and not outcome["changed"] and not outcome["beside"],
        "an import": not outcome.get("imports"),
        "a setting of Keras": outcome.get("state"),
    }
    return [
        f"{outcome['command']}, {outcome['name']}: {what}; {outcome}" for what, good in expected.items() if not good
    ]


def check(results: list[dict], least: int) -> None:
    assert len(results) >= least
    wrong = [fault for outcome in results for fault in faults(outcome)]
    assert not wrong, "\n".join(wrong)
    refused = [outcome for outcome in results if outcome["words"]]
    seconds, megabytes = (max(outcome[key] for outcome in refused) for key in ("seconds", "megabytes"))
    print(f"{len(refused)} refused; at most {seconds:.2f} s and {megabytes:.0f} MB")


def test_a_run_of_which_a_file_is_hostile_is_refused_in_one_line_and_nothing_happens(tmp_path, good):
    check(outcomes(opening("files", "tensorflow", good, tmp_path), tmp_path), 200)


@pytest.mark.slow
def test_so_are_runs_and_models_by_the_wheel_on_jax(tmp_path, good, built):
    with zipfile.ZipFile(built[0]) as archive:
        archive.extractall(tmp_path / "site")
    kinds = {"files": 200, "models": 170}
    started = {kind: opening(kind, "jax", good, tmp_path / kind, PYTHONPATH=str(tmp_path / "site")) for kind in kinds}
    for kind, least in kinds.items():
        results = outcomes(started[kind], tmp_path / kind)
        assert {outcome["package"] for outcome in results} == {str(tmp_path / "site/convlens")}
        check(results, least)
