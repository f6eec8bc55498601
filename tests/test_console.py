"""The program in its three forms, and the same from code of one's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convlens
from convlens.core.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("model.filters=[4]", "model.head.dense=[]", "training.batch_size=8", "training.epochs=1", "data=folder")
# Python runs a module of this name at its start; it writes down which file each module was loaded from, at the end.
LOOKING = """
import atexit, json, os, sys

def write():
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    files["__main__"] = sys.argv[0]  # Python has taken the file's name back by now
    files.pop("__mp_main__", None)  # the same module once more, by multiprocessing
    with open(os.environ["LOADED"], "w") as file:
        json.dump({name: os.path.realpath(path) for name, path in files.items() if path}, file)

atexit.register(write)
"""
OWN = """
import os, signal, sys, threading, time
from pathlib import Path

import convlens
import convlens.train
from convlens import Run, UserError, train

words = sys.argv[1:]
run = train(words)
assert convlens.train is train and isinstance(run, Run), "the function, not the module of its name"
assert run.finished and run.epoch == 1 and run.labels == ("day", "night")
assert convlens.train([f"resume={run.path}"]).path.resolve() == run.path.resolve()

def interrupt():
    while not [path for path in Path("stopped").glob("*/*/metrics.csv")]:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)

before = signal.getsignal(signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    train([*words, "runs_dir=stopped", "training.epochs=100000"])
except KeyboardInterrupt:
    print("stopped, and goes on here")
assert signal.getsignal(signal.SIGINT) is before
"""


def convlens_command(*words, folder, **environment):
    command = [sys.executable, "-m", "convlens", *words]
    return subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photographs of two classes that a glance at the colour tells apart."""
    root = tmp_path_factory.mktemp("my photos")
    generator = np.random.default_rng(0)
    for name, level in (("night", 60), ("day", 190)):
        (root / name).mkdir()
        for number in range(30):
            pixels = np.clip(generator.normal(level, 30, (16, 16, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def looking(tmp_path):
    """Runs Python with words in a folder: (what it printed, {name: file} of our modules that it loaded)."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LOOKING)
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))

    def run(*words):
        environment = os.environ | {"PYTHONPATH": path, "LOADED": str(tmp_path / "loaded.json")}
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        loaded = json.loads((tmp_path / "loaded.json").read_text())
        return done.stdout, {name: file for name, file in loaded.items() if Path(file).is_relative_to(ROOT)}

    return run


def test_no_module_is_loaded_twice_under_two_names(photos, looking):
    commands = {
        "train.py": [str(ROOT / "train.py"), *SMALL, f"data.root={photos}"],
        "evaluate.py": [str(ROOT / "evaluate.py")],
        "visualize.py": [str(ROOT / "visualize.py"), "figures=kernels"],
        "__main__.py": ["-m", "convlens", "evaluate"],
    }
    for script, words in commands.items():
        _, loaded = looking(*words)
        files = list(loaded.values())
        assert sorted(files) == sorted(set(files)), f"{script} loads a file twice"
        assert len(files) > 30
        assert loaded.pop("__main__") == str(ROOT / script)
        assert all(name.split(".")[0] == "convlens" for name in loaded)


def test_training_from_code_of_ones_own_gives_a_run_and_stops_without_ending_the_process(photos, tmp_path):
    (tmp_path / "models.py").write_text("raise ImportError('this is the user's')")
    (tmp_path / "mine.py").write_text(OWN)
    words = (*SMALL, f"data.root={photos}", "training.tensorboard.enabled=false")
    done = subprocess.run([sys.executable, "mine.py", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.endswith("stopped, and goes on here\n")
    assert "  convlens evaluate run=runs/" in done.stdout
    assert "Go on with: convlens train resume=stopped/" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.epoch=3"], "Did you mean 'training.epochs'?"),
        (["-m", "seed=0,1"], "Cannot read '-m'"),
        (["seed=0,1"], "gives several values"),
        ("experiment=cars", "Expected a list of words, such as"),
        ([Path("experiment=./absent.yaml")], "absent.yaml does not exist"),
        (["resume=runs/absent"], "Run runs/absent does not exist. Train one with: convlens train experiment=cars"),
    ],
)
def test_a_mistake_in_code_of_ones_own_is_an_error_that_names_it(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(UserError) as refusal:
        convlens.train(words)
    assert message in str(refusal.value)


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_what_the_command_is_is_said_without_tensorflow_or_keras(flag, looking):
    code = f"import sys; sys.argv = ['convlens', '{flag}']; from convlens.__main__ import main; main()\n"
    printed, _ = looking("-c", f"{code}print({{'tensorflow', 'keras', 'jax'}} & set(sys.modules))")
    assert printed.endswith("set()\n")
    if flag == "--version":
        assert printed.splitlines()[0] == f"convlens {convlens.__version__}"
    else:
        assert all(f"\n  {name}" in printed for name in ("train", "evaluate", "visualize", "env"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["trian"],
            "convlens: Unknown command 'trian'. Did you mean 'train'? Choices: train, evaluate, visualize, env.",
        ),
        (["visualise"], "Did you mean 'visualize'?"),
        ([], "convlens: Which command? Choices: train"),
        (["experiment=cars", "seed=1"], "convlens train experiment=cars seed=1"),
        (["--versoin"], "convlens: Unknown command '--versoin'"),
        (["train", "experiment=crs"], "convlens train: Unknown experiment 'crs'. Did you mean 'cars'?"),
        (["evaluate", "-m"], "convlens evaluate: evaluate runs one job; -m only works with"),
        (["env", "now"], "convlens env: env takes no arguments"),
    ],
)
def test_a_misspelt_command_is_answered_with_the_nearest_in_one_line(words, message, tmp_path):
    done = convlens_command(*words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""


def test_env_tells_what_a_bug_report_needs_and_no_secret(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    done = convlens_command("env", folder=tmp_path, WANDB_API_KEY="canary-of-a-secret", TFDS_DATA_DIR="/my/data")
    assert (done.returncode, done.stderr) == (0, "")
    report = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert report["convlens"].startswith(f"{convlens.__version__}, in ")
    assert report["backend"] == "tensorflow, KERAS_BACKEND is not set" and report["devices"].startswith("cpu:0; ")
    assert "/my/data, does not exist yet" in done.stdout
    assert f"{tmp_path}/runs" in done.stdout and os.environ["XDG_CACHE_HOME"] in done.stdout
    assert "canary" not in done.stdout


def test_env_works_where_the_backend_is_broken_or_unknown(tmp_path):
    (tmp_path / "broken" / "tensorflow").mkdir(parents=True)
    (tmp_path / "broken" / "tensorflow" / "__init__.py").write_text("raise ImportError('broken for a test')")
    path = os.pathsep.join(filter(None, [str(tmp_path / "broken"), os.environ.get("PYTHONPATH")]))
    broken = convlens_command("env", folder=tmp_path, PYTHONPATH=path)
    assert (broken.returncode, broken.stderr) == (0, "")
    assert "loading the backend ended with code 1: ImportError: broken for a test" in broken.stdout

    unknown = convlens_command("env", folder=tmp_path, KERAS_BACKEND="tensorflwo")
    assert (unknown.returncode, unknown.stderr) == (0, "")
    assert "none: Unknown KERAS_BACKEND 'tensorflwo'. Did you mean 'tensorflow'?" in unknown.stdout
    assert "datasets of TFDS" in unknown.stdout


def test_an_unknown_or_missing_backend_is_refused_in_one_line(tmp_path):
    words = ("train", *SMALL, "data.root=.")
    done = convlens_command(*words, folder=tmp_path, KERAS_BACKEND="trch")
    assert done.returncode == 2
    assert done.stderr == "convlens train: Unknown KERAS_BACKEND 'trch'. Choices: tensorflow, jax.\n"

    code = "import sys; sys.modules['jax'] = None; import convlens; convlens.train(['experiment=cars'])"
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert f"jax is not installed; run: pip install -e '{ROOT}[jax]'" in done.stderr
