"""What more than one package's tests need."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_BUILT_FROM = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", "runs", ".*_cache", ".hypothesis")

# Before TensorFlow or JAX is imported: they set it to 1 where nobody has, also for the processes that tests start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What is remembered of the tests' images stays with the tests, in this process and in those that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def called_from_code(monkeypatch):
    """A command that a test calls within this process does not decide in which form later tests see commands."""
    from convlens.core import program

    monkeypatch.setattr(program, "_program", program.Program())


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """The file of a small model of ours, with every part that the hostile files change."""
    from convlens.configs import Model
    from convlens.models import build_model

    config = Model(filters=[4], head={"dense": [4], "dropout": 0.1})
    path = tmp_path_factory.mktemp("good") / "good.keras"
    build_model(config, (16, 16), 3, 3, seed=0).save(path)
    return path


@pytest.fixture(scope="session")
def cars_dir(tmp_path_factory):
    """Where a few images of the embedded dataset are prepared under its published name."""
    from convlens.data.rendered_cars import RenderedCars

    folder = tmp_path_factory.mktemp("cars")
    with pytest.MonkeyPatch.context() as patch:
        for split, images in (("train", 8), ("validation", 8), ("test", 24)):
            patch.setattr(RenderedCars.builder_configs["64"], split, images)
        RenderedCars(config="64", data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The wheel and the source distribution, built from a copy: (wheel, sdist)."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_BUILT_FROM))
    command = [sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def pytest_collection_modifyitems(items):
    """What is marked slow may take an hour on a busy machine."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))
