"""What is built from this repository installs and runs where nothing else of it is, beside a user's own modules."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN_SCRIPT = """
import data
import evaluate
import models
from convlens import Run, feature_extractor

assert models.OWNER == data.OWNER == evaluate.OWNER == "the user", (models, data, evaluate)
run = Run.newest("runs")
assert run.name == "cars" and len(run.labels) == 8
images, _, _ = run.data.examples("test", [0, 1])
features = feature_extractor(run.model, layers=["block2_conv1"])(images)
print(sorted(features["block2_conv1"]), features["block2_conv1"]["detect"].shape, models.__file__)
"""


def packaged() -> list[str]:
    """The files that a wheel holds, below convlens/: modules, stubs, the configuration, a picture."""
    listed = PROJECT["tool"]["setuptools"]["packages"]
    folders = [Path(*package.split(".")[1:]) for package in listed]
    files = [file for folder in folders for ending in ("py", "pyi") for file in (ROOT / folder).glob(f"*.{ending}")]
    files += [*(ROOT / "configs").rglob("*.yaml"), ROOT / "py.typed", ROOT / "car.jpg"]
    return sorted(str(file.relative_to(ROOT)) for file in files)


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def test_everything_imported_is_declared():
    extras = PROJECT["project"]["optional-dependencies"]
    lines = PROJECT["project"]["dependencies"] + extras["jax"]
    declared = {_normal(re.split(r"[\[><=]", line)[0]) for line in lines}
    distributions = packages_distributions()
    for name in packaged():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            else:
                continue
            for top in {module.split(".")[0] for module in modules} - {"convlens", *sys.stdlib_module_names}:
                owners = {_normal(owner) for owner in distributions.get(top, [top])}
                assert owners & declared, f"{name} imports {top}, which pyproject.toml does not declare"


@pytest.mark.slow
def test_wheel_and_source_distribution_hold_what_is_needed_and_nothing_else(built):
    wheel, sdist = built
    names = sorted(name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name)
    assert names == [f"convlens/{name}" for name in packaged()]

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    made = {name for name in names if name.startswith("convlens.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - made == {*packaged(), "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}


@pytest.fixture
def installed(built, tmp_path):
    """A user's folder, whose modules are named as packages of ours, beside an environment that holds the wheel alone.

    Gives a function that runs a program of the environment in the folder and returns what it printed.
    """
    environment, work = tmp_path / "environment", tmp_path / "my work"
    venv.create(environment, with_pip=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", built[0]]
    subprocess.run(pip, check=True, cwd=tmp_path)
    for name in ("models.py", "evaluate.py", "train.py", "data/__init__.py", "core/__init__.py"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("OWNER = 'the user'\n")
    (work / "mine.py").write_text(OWN_SCRIPT)
    (work / "mine.yaml").write_text("# @package _global_\ndefaults: [cars, _self_]\ntraining: {epochs: 1}\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "KERAS_"))}
    kept |= {"PATH": f"{environment / 'bin'}:/usr/bin:/bin", "TFDS_DATA_DIR": str(tmp_path / "datasets")}

    def run(*words, code=0):
        done = subprocess.run(words, cwd=work, env=kept, capture_output=True, text=True)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stdout + done.stderr
        return done.stdout + done.stderr

    yield run
    shutil.rmtree(environment)  # gigabytes


@pytest.mark.slow
def test_the_wheel_trains_draws_and_gives_features_beside_a_users_own_modules(installed, tmp_path):
    assert installed("convlens", "--version") == f"convlens {PROJECT['project']['version']}\n"
    assert "configs/experiment" in installed("convlens", "train", "--help")
    assert "tensorflow, KERAS_BACKEND is not set" in installed("convlens", "env")

    (tmp_path / "datasets").mkdir()
    training = installed("convlens", "train", "experiment=cars", "debug=fast")
    (run,) = [path for path in (tmp_path / "my work" / "runs" / "cars").iterdir() if path.name != "latest"]
    name = f"runs/cars/{run.name}"
    assert f"  tensorboard --logdir runs\n  convlens evaluate run={name}\n  convlens visualize run={name}" in training
    assert "Test accuracy" in installed("convlens", "evaluate", f"run={name}", "limit_batches=2")
    assert f"{name}/figures/index.html" in installed("convlens", "visualize", f"run={name}")
    assert (run / "figures" / "kernels-block1_conv1.png").is_file()

    features = installed("python", "mine.py")
    assert "(2, 32, 32, 64)" in features and "my work/models.py" in features

    swept = installed("convlens", "train", "-m", "experiment=./mine.yaml,cars", "data=folder", "data.root=no", code=2)
    assert swept.count("convlens train: data.root=no does not exist.\n") == 2
    missing = installed("convlens", "evaluate", "runs_dir=none", code=2)
    assert missing == (
        "convlens evaluate: There is no trained run in none. Train one with: convlens train experiment=cars\n"
    )


def test_no_picture_but_the_one_to_try_a_kernel_on_lies_at_the_top():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout")
    names = [name for name in listed.stdout.splitlines() if "/" not in name]
    assert [name for name in names if name.endswith((".jpg", ".png", ".gif", ".npz", ".keras"))] == ["car.jpg"]
