"""The examples run, as scripts, on small images that are made here, and say something true."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.data import base
from tests.data.test_base import assert_keeps

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES, SAVED_RUNS = ROOT / "examples", ROOT / "tests" / "saved_runs"
PER_CLASS = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with noisy squares, bright ones and dark ones, each in its own folder."""
    root, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, level in (("bright", 200), ("dark", 60)):
        (root / name).mkdir()
        for number in range(PER_CLASS):
            pixels = generator.normal(level, 20, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def table(photos):
    """A CSV file beside the photographs that says the class of each."""
    path = photos / "squares.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class"])
        writer.writerows((image.relative_to(photos), image.parent.name) for image in sorted(photos.glob("*/*.png")))
    return path


def run_example(name, *words):
    done = subprocess.run([sys.executable, EXAMPLES / f"{name}.py", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_linear_classifier_learns_from_features():
    (run,) = (SAVED_RUNS / "finished").iterdir()  # it learned other pictures of these three classes
    printed = run_example("features_to_scikit_learn", run, SAVED_RUNS / "pictures")
    match = re.fullmatch(r"([\d.]+)% of 23 photographs right, by 6 features of block2_conv1\n", printed)
    assert match and float(match[1]) > 60


def test_a_network_learns_from_a_source_of_ones_own(table):
    assert run_example("custom_source", table) == "squares: bright, dark; 100.0% of 4 test images right\n"


def test_a_figure_of_ones_own_is_drawn_of_every_layer(tmp_path):
    (run,) = (SAVED_RUNS / "finished").iterdir()
    names = ["kernel_norms-block1_conv1", "kernel_norms-block2_conv1"]
    printed = run_example("custom_figure", run, tmp_path)
    assert printed == "".join(f"Drawn {tmp_path / name}.png\n" for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{n}.{s}" for n in names for s in ("npz", "png", "svg")
    ]
    with np.load(tmp_path / f"{names[1]}.npz") as arrays:
        assert arrays["norms"].shape == (6,) and (arrays["norms"] > 0).all()


def test_the_source_keeps_the_contract(table, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from custom_source import TableSource

    source = TableSource(table)
    assert_keeps(source, base.Source)
    assert_keeps(source.splits["train"], base.Split)
    assert source.fingerprint == TableSource(table).fingerprint


def test_every_example_is_run_here_and_says_how_it_is_started():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names and all(f'run_example("{name}"' in Path(__file__).read_text() for name in names)
    for name in names:
        assert f": python examples/{name}.py" in (EXAMPLES / f"{name}.py").read_text().splitlines()[0]
