"""What a good configuration becomes."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from convlens.configs import Train, Visualize
from convlens.configs.cli import _combinations, help_text
from convlens.configs.composition import checked, compose, groups

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("experiment", groups()["experiment"])
def test_every_experiment_composes(experiment):
    extra = ["data.root=photos"] if experiment in ("folder", "cars196") else []
    compose("train", Train, [f"experiment={experiment}", *extra])


def test_the_command_line_wins_over_an_experiment():
    config = compose("train", Train, ["experiment=cars", "training.epochs=2", "data.augment.flip=false"])
    assert config.training.epochs == 2
    assert config.data.augment.flip is False


def test_a_whole_number_is_a_number():
    assert compose("train", Train, ["training.optimizer.learning_rate=1"]).training.optimizer.learning_rate == 1.0


def test_zero_is_a_seed():
    assert compose("train", Train, ["seed=0"]).seed == 0


def test_one_value_holds_for_every_block():
    config = compose("train", Train, ["model.filters=[8,16]", "model.kernel_size=5", "model.dropout=[0.1,0.2]"])
    assert config.model.kernel_size == [5, 5]
    assert config.model.dropout == [0.1, 0.2]


def test_one_number_is_a_square_image():
    assert compose("train", Train, ["data.image_size=48"]).data.image_size == [48, 48]


def test_optimizer_options_take_any_name():
    config = compose("train", Train, ["training.optimizer.options.beta_2=0.98"])
    assert config.training.optimizer.options == {"beta_2": 0.98}


def test_a_saved_configuration_reads_back_equal():
    config = compose("train", Train, ["experiment=cars", "model.filters=[8,16]"])
    saved = yaml.safe_dump(config.document())
    assert checked(Train, yaml.safe_load(saved)) == config


def test_what_comes_from_the_environment_is_used_but_not_saved(monkeypatch):
    monkeypatch.setenv("PHOTOS", "canary-in-a-path")
    config = compose("train", Train, ["data=folder", "data.root=${oc.env:PHOTOS}"])
    assert config.data.root == "canary-in-a-path"
    assert "canary" not in yaml.safe_dump(config.document())


def test_a_value_may_be_named_like_a_group_of_another_script():
    assert compose("visualize", Visualize, ["model=net.keras", "image=car.jpg"]).model == "net.keras"


def test_a_sweep_is_every_combination_the_last_word_fastest():
    assert _combinations(["seed=0,1", "model=lesson", "model.filters=[8],[8,16]"]) == [
        ["seed=0", "model=lesson", "model.filters=[8]"],
        ["seed=0", "model=lesson", "model.filters=[8,16]"],
        ["seed=1", "model=lesson", "model.filters=[8]"],
        ["seed=1", "model=lesson", "model.filters=[8,16]"],
    ]


def test_help_names_every_key_and_every_experiment():
    text = help_text("train", Train, sweeps=True)
    for name in [*groups()["experiment"], "training.batch_size=64", "data.augment.mixup=0.0", "seed=0"]:
        assert name in text


@pytest.mark.parametrize("script", ["train", "evaluate", "visualize"])
def test_help_imports_neither_tensorflow_nor_keras(script):
    code = (
        f"import sys, runpy; sys.argv = ['{script}.py', '--help']\n"
        f"runpy.run_path('{script}.py', run_name='__main__')\n"
        "print('imported:', 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert f" {script}.py [key=value ...]" in done.stdout
    assert done.stdout.endswith("imported: False False\n")


def test_optimizer_options_may_be_given_together():
    config = compose("train", Train, ["training.optimizer.options={beta_1: 0.5, beta_2: 0.98}"])
    assert config.training.optimizer.options == {"beta_1": 0.5, "beta_2": 0.98}
