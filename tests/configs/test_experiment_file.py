"""An experiment of the user's own, in a file anywhere, under the rules of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convlens.configs import Train
from convlens.configs.cli import help_text
from convlens.configs.composition import FOLDER, compose
from convlens.configs.plain_yaml import BYTES
from convlens.configs.saved import read_config
from convlens.core.errors import UserError
from convlens.training import Run
from convlens.training.resume import check_request

HEADER = "# @package _global_\n"
MINE = f"""{HEADER}# Mine.
defaults:
  - override /data: folder
  - override /model: vgg

data: {{root: photos}}
training:
  epochs: 3
  optimizer: {{learning_rate: 1e-3}}
"""


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


def write(text, name="mine.yaml"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "name", ["mine.yaml", "deep/er/mine.yml", "my photos/mine.yaml", "a,b/mine.yaml", "josé/mine.yaml"]
)
@pytest.mark.parametrize("form", ["{}", "./{}", "{folder}/{}"])
def test_a_file_is_found_however_its_path_is_written(name, form, working_folder):
    write(MINE, name)
    config = compose("train", Train, [f"experiment={form.format(name, folder=working_folder)}", "seed=7"])
    assert (config.name, config.seed, config.training.epochs) == ("mine", 7, 3)
    assert (config.data.source, config.data.root, config.model.batch_norm) == ("folder", "photos", True)
    assert config.training.optimizer.learning_rate == 1e-3


def test_a_path_in_the_users_folder_is_found(working_folder):
    write(MINE, "home/mine.yaml")
    assert compose("train", Train, ["experiment=~/mine.yaml"]).training.epochs == 3


def test_it_gives_what_the_same_file_among_ours_gives():
    for ours in FOLDER.glob("experiment/*.yaml"):
        more = ["data.root=photos"] if ours.stem in ("folder", "cars196") else []
        expected = compose("train", Train, [f"experiment={ours.stem}", *more])
        assert compose("train", Train, [f"experiment={ours}", *more]) == expected


def test_a_file_named_as_one_of_ours_is_the_users():
    write(f"{HEADER}seed: 12", "cars.yaml")
    assert compose("train", Train, ["experiment=./cars.yaml"]).seed == 12
    assert compose("train", Train, ["experiment=cars"]).seed == 0


def test_it_may_begin_with_another_experiment_and_name_itself():
    write(f"{HEADER}defaults: [cars, _self_]\nname: better\ntraining: {{epochs: 4}}")
    config = compose("train", Train, ["experiment=mine.yaml"])
    cars = compose("train", Train, ["experiment=cars"])
    assert config.name == "better" and config.training.epochs == 4
    assert config.training.schedule == cars.training.schedule != Train().training.schedule


BAD = [
    (f"{HEADER}training: {{epoch: 3}}", ["Did you mean 'training.epochs'?", "It is in mine.yaml."]),
    (f"{HEADER}trainig: {{epochs: 3}}", ["Did you mean 'training'?", "It is in mine.yaml."]),
    (f"{HEADER}training: {{epochs: 0}}", ["training.epochs=0 does not fit", "It is in mine.yaml."]),
    (f"{HEADER}defaults:\n  - override /modle: vgg", ["Unknown group 'modle'. Did you mean 'model'?", "mine.yaml"]),
    (f"{HEADER}defaults:\n  - override /model: vg", ["Unknown model 'vg'. Did you mean 'vgg'?", "mine.yaml"]),
    (f"{HEADER}defaults:\n  - /model: vgg", ["'- override /model: vgg'", "mine.yaml"]),
    (f"{HEADER}defaults: [crs]", ["Unknown experiment 'crs'. Did you mean 'cars'?", "mine.yaml"]),
    (f"{HEADER}defaults: 3", ["defaults in mine.yaml is not a list"]),
    ("training: {epochs: 3}", ["mine.yaml does not begin with the line '# @package _global_'"]),
    (f"{HEADER}training: {{epochs: 1, epochs: 2}}", ["mine.yaml has the key 'epochs' twice"]),
    (f"{HEADER}training: {{_target_: os.system}}", ["'_target_'"]),
    (f"{HEADER}a: &a [1]\nb: *a", ["anchor"]),
    (f"{HEADER}- a", ["mine.yaml is not a configuration: found list"]),
    (HEADER, ["mine.yaml is not a configuration: found NoneType"]),
    (f"{HEADER}a: [", ["mine.yaml is not readable YAML"]),
    (bytes(range(256)), ["mine.yaml is not a configuration: it is not UTF-8 text."]),
    ("é" * BYTES, [f"mine.yaml has more than {BYTES:,} bytes"]),
]


@pytest.mark.parametrize(("content", "message"), BAD, ids=[str(message[0]) for _, message in BAD])
def test_a_bad_file_is_refused_in_one_line_that_names_it(content, message):
    write(content)
    with pytest.raises(UserError) as refusal:
        compose("train", Train, ["experiment=./mine.yaml"])
    line = str(refusal.value)
    assert all(words in line for words in message) and "\n" not in line and len(line) < 900
    assert "file_of_the_user" not in line


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("./mien.yaml", "The experiment mien.yaml does not exist. Did you mean experiment=mine.yaml?"),
        ("cars.yaml", "The experiment cars.yaml does not exist. Did you mean experiment=cars?"),
        ("mine", "Did you mean './mine.yaml'?"),
        ("~/mine.yaml", "home/mine.yaml does not exist."),
        ("./folder.yaml", "folder.yaml is not a regular file"),
        ("./fifo.yaml", "fifo.yaml is not a regular file"),
        ("mine.yaml,cars", "add -m"),
    ],
)
def test_what_is_no_file_is_refused_in_one_line(typed, message):
    write(MINE)
    Path("folder.yaml").mkdir()
    os.mkfifo("fifo.yaml")
    with pytest.raises(UserError) as refusal:
        compose("train", Train, [f"experiment={typed}"])
    assert message in str(refusal.value)


def test_its_run_has_the_whole_configuration_and_goes_on_under_the_same_file(tmp_path):
    write(MINE)
    config = compose("train", Train, ["experiment=./mine.yaml"])
    run = Run.create(tmp_path / "runs", config.name, config)
    run.write_facts(dataset={"fingerprint": "f00d"})
    assert run.path.parent.name == "mine"
    assert read_config(run.config_path, Train) == config

    words = [f"resume={run.path}", "experiment=./mine.yaml"]
    check_request(compose("train", Train, words), run)
    write(MINE.replace("epochs: 3", "epochs: 4"))
    with pytest.raises(UserError, match=r"training\.epochs=4, but run .* was started with 3"):
        check_request(compose("train", Train, words), run)


def test_files_are_swept_over_like_names():
    for name, epochs in (("a b.yaml", 3), ("b.yaml", 0)):
        write(f"{HEADER}training: {{epochs: {epochs}}}", name)
    words = [sys.executable, "-m", "convlens", "train", "-m", "experiment=./a b.yaml,b.yaml", "data=folder"]
    done = subprocess.run([*words, "data.root=absent"], capture_output=True, text=True)
    assert done.returncode == 2  # found in the second file before the first job starts
    assert done.stderr.startswith("convlens train: training.epochs=0 does not fit") and "b.yaml" in done.stderr
    assert "Job" not in done.stdout


def test_help_says_that_an_experiment_may_be_a_file():
    assert f"./mine.yaml       A file of your own, anywhere, in the form of those in {FOLDER}" in help_text(
        "train", Train, sweeps=True
    )
