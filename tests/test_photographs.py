"""Training on real photographs: cars and trucks of CIFAR-10, where its archive lies beside the repository."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = ROOT.parent / "shared" / "data" / "cifar10.tar.xz"
CLASSES = ("automobile", "truck")


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason=f"needs {ARCHIVE}")
def test_a_few_hundred_steps_tell_cars_from_trucks(tmp_path):
    with tarfile.open(ARCHIVE, "r|xz") as archive:
        for member in archive:
            *_, split, name, file = ("", "", *member.name.split("/"))
            if member.isfile() and name in CLASSES:
                target = tmp_path / "photos" / split / name / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
    words = ["experiment=car_or_truck", "data=folder", f"data.root={tmp_path / 'photos'}", f"runs_dir={tmp_path}"]
    words += ["training.epochs=3", "training.tensorboard.enabled=false"]
    done = subprocess.run([sys.executable, "train.py", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "car_or_truck" / "latest" / "evaluation.json").read_text())
    assert scores["images"] == 2000
    assert scores["accuracy"] > 0.85
