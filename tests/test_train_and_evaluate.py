"""The commands that train and evaluate, from the command line to the run that they leave."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from convlens.interpret import pack_snapshot

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("model.filters=[4]", "model.head.dense=[]", "training.batch_size=8", "training.epochs=2")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photographs of two classes that a glance at the colour tells apart."""
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for split, count in (("train", 24), ("validation", 9), ("test", 11)):
        for name, level in (("night", 60), ("day", 190)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(generator.normal(level, 30, (16, 16, 3)), 0, 255).astype("uint8")
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def script(name, *words, folder, **environment):
    """A finished run of one of the scripts; `folder` is where its runs go."""
    command = [sys.executable, str(ROOT / name), *words, f"runs_dir={folder}"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


@pytest.fixture
def in_a_fork(run_script):
    """As `script`, for what does not depend on how a process starts: its libraries are imported already."""
    return lambda name, *words, folder: run_script([name, *words, f"runs_dir={folder}"], ROOT)


def only_run(folder):
    (run,) = [path.parent for path in Path(folder).glob("*/*/config.yaml") if path.parent.name != "latest"]
    return run


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """Train, then evaluate: (run folder, what train.py printed, what evaluate.py printed, its evaluation.json)."""
    folder = tmp_path_factory.mktemp("runs")
    training = script("train.py", "data=folder", f"data.root={photos}", *SMALL, folder=folder)
    assert training.returncode == 0, training.stderr
    first = json.loads((only_run(folder) / "evaluation.json").read_text())
    evaluating = script("evaluate.py", folder=folder)
    assert evaluating.returncode == 0, evaluating.stderr
    return only_run(folder), training, evaluating, first


def test_a_run_holds_all_that_another_person_needs(trained, photos):
    run = trained[0]
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["root"] == str(photos)
    assert (run / "labels.txt").read_text() == "day\nnight\n"
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert (run / "train.log").read_text().count("epoch") == 2
    facts = json.loads((run / "run.json").read_text())
    assert facts["best"]["epoch"] in (1, 2)
    assert facts["dataset"]["fingerprint"] and facts["environment"]["backend"] == "tensorflow"
    assert (run.parent / "latest").resolve() == run.resolve()


def test_a_layer_of_which_many_units_are_dead_is_named(photos):
    from convlens.configs import Train
    from convlens.data import open_dataset
    from convlens.interpret import unit_statistics
    from convlens.models import build_model
    from convlens.training.report import dead_units

    config = Train(data={"source": "folder", "root": str(photos)}, model={"filters": [4, 6], "head": {"dense": [3]}})
    data = open_dataset(config.data, progress=False)
    model = build_model(config.model, data.info.image_size, data.info.channels, 2, seed=0)
    kernel, bias = model.get_layer("block2_conv1").get_weights()
    bias[:2] = -1e6
    model.get_layer("block2_conv1").set_weights([kernel, bias])
    statistics = unit_statistics(model, data.sample("validation", 64, 500))
    (line,) = dead_units(model, statistics)
    assert line.startswith("2 of 6 units of block2_conv1 are dead: zero on all of 18 validation images.")

    model.get_layer("block2_conv1").trainable = False
    assert dead_units(model, statistics) == []  # no learning rate would bring them back


def test_how_far_the_first_kernels_moved_is_measured_from_the_start_that_is_kept(tmp_path):
    from convlens.interpret import unpack_snapshot
    from convlens.interpret.snapshots import first_layer_cosine
    from convlens.train import start_of
    from convlens.training import Run

    (saved,) = (ROOT / "tests" / "saved_runs" / "finished").iterdir()
    shutil.copytree(saved, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    layer, cosine = first_layer_cosine(run.model, unpack_snapshot(run.read_snapshot(run.snapshots[0])))
    kernels = run.model.get_layer("block1_conv1").get_weights()[0]
    assert layer == "block1_conv1" and 0 < cosine < 0.99999
    opposite = unpack_snapshot(pack_snapshot(0, {"block1_conv1": -3 * kernels}))
    assert first_layer_cosine(run.model, opposite) == ("block1_conv1", pytest.approx(-1, abs=1e-3))
    # A start of another network, and one that is no file to be read, undo no training that is done.
    other = unpack_snapshot(pack_snapshot(0, {"block1_conv1": np.ones((5, 5, 3, 4))}))
    assert first_layer_cosine(run.model, other) == ("block1_conv1", None)
    assert start_of(run).epoch == 0
    os.truncate(run.snapshots[0], 50 * 2**30)
    assert start_of(run) is None and first_layer_cosine(run.model, None) == ("", None)
    run.drop_snapshot(0)
    assert start_of(run) is None


def test_training_ends_with_the_accuracy_the_run_and_the_next_commands(trained):
    run, training, _, first = trained
    assert f"Test accuracy {first['accuracy']:.4f} on 22 images" in training.stdout
    assert str(run) in training.stdout
    for command in ("tensorboard", f"{ROOT}/evaluate.py run={run}", f"{ROOT}/visualize.py run={run}"):
        assert command in training.stdout
    assert training.stderr.strip() == ""


def test_evaluating_gives_bit_for_bit_the_scores_that_training_printed(trained):
    run, _, evaluating, first = trained
    again = json.loads((run / "evaluation.json").read_text())
    assert first.pop("images_per_second") > 0 and again.pop("images_per_second") > 0
    assert first.pop("sha256") != again.pop("sha256")  # of the file, in which the speed is another one
    assert again == first
    assert f"Test accuracy {first['accuracy']:.4f} on 22 images" in evaluating.stdout


def test_evaluating_draws_the_confusion_matrix_and_the_mistakes(trained):
    run = trained[0]
    for name in ("confusion_matrix_test", "mistakes_test"):
        assert Image.open(run / f"figures/{name}.png").width > 300
        assert (run / f"figures/{name}.svg").is_file()
    arrays = np.load(run / "figures/confusion_matrix_test.npz")
    assert arrays["matrix"].sum() == 22
    assert list((run / "tensorboard/test").glob("events.*"))


def test_a_dataset_with_other_classes_is_refused(trained, photos, tmp_path, in_a_fork):
    for split in ("train", "validation", "test"):
        for old, new in (("night", "cat"), ("day", "dog")):
            (tmp_path / split).mkdir(exist_ok=True)
            (tmp_path / split / new).symlink_to(photos / split / old)
    done = in_a_fork("evaluate.py", f"run={trained[0]}", f"data.root={tmp_path}", folder=tmp_path / "runs")
    assert done.returncode == 2
    assert "cat, dog" in done.stderr and "day, night" in done.stderr


def test_changed_data_of_the_same_classes_is_scored_with_a_warning(trained, photos, tmp_path, in_a_fork):
    for split in ("train", "validation", "test"):
        for name in ("night", "day"):
            (tmp_path / split / name).mkdir(parents=True)
            for path in sorted((photos / split / name).iterdir())[:5]:
                (tmp_path / split / name / path.name).symlink_to(path)
    words = (f"run={trained[0]}", f"data.root={tmp_path}", "split=validation")
    done = in_a_fork("evaluate.py", *words, folder=tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "fingerprint differs" in done.stdout
    assert "on 10 images" in done.stdout


def test_a_batch_larger_than_the_training_images_is_told_and_trained_on(photos, tmp_path, in_a_fork):
    words = ("data=folder", f"data.root={photos}", *SMALL, "training.batch_size=64")
    done = in_a_fork("train.py", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "48 images to train on are fewer than training.batch_size=64" in done.stdout + done.stderr
    assert len(list(csv.DictReader((only_run(tmp_path) / "metrics.csv").open()))) == 2


def test_a_folder_of_photographs_is_learned_without_a_flag_by_values_that_the_run_keeps(photos, tmp_path, in_a_fork):
    words = ("experiment=folder", f"data.root={photos}", "training.epochs=2")
    done = in_a_fork("train.py", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Photographs are used at 16 x 16: their own size." in done.stdout
    assert "Chosen for 48 photographs to train on: batches of 16" in done.stdout

    run = only_run(tmp_path)
    kept = yaml.safe_load((run / "config.yaml").read_text())
    assert kept["data"]["image_size"] == [16, 16] and kept["training"]["epochs"] == 2
    assert kept["training"]["keep"] == "last" and kept["model"]["first_stddev"] == 0.003
    assert 0 < kept["model"]["batch_norm_momentum"] < 1
    evaluating = in_a_fork("evaluate.py", folder=tmp_path)
    assert evaluating.returncode == 0 and "Chosen" not in evaluating.stdout, evaluating.stderr
    again = in_a_fork("train.py", *words, f"resume={run}", folder=tmp_path)
    assert again.returncode == 0 and "is finished" in again.stdout, again.stderr
    other = in_a_fork("train.py", *words[:2], "training.epochs=3", f"resume={run}", folder=tmp_path)
    assert other.returncode == 2 and "training.epochs=3" in other.stderr

    # What was chosen is what was done: with the same values written down, the same is learned.
    (tmp_path / "values.yaml").write_text("# @package _global_\n" + yaml.safe_dump(kept | {"recipe": None}))
    written = in_a_fork(
        "train.py", f"experiment={tmp_path}/values.yaml", "name=written", f"data.root={photos}", folder=tmp_path
    )
    assert written.returncode == 0 and "Chosen" not in written.stdout, written.stderr
    (copy,) = (path for path in (run.parents[1] / "written").iterdir() if path.name != "latest")
    losses = [np.loadtxt(path / "metrics.csv", delimiter=",", skiprows=1, usecols=(1, 3)) for path in (run, copy)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.01)


def test_a_sweep_ends_with_one_table_and_one_folder_a_run(photos, tmp_path):
    words = ("-m", "seed=0,1", "data=folder", f"data.root={photos}", *SMALL, "debug=fast")
    done = script("train.py", *words, "training.tensorboard.enabled=false", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.index("2 runs") :]
    assert "seed=0" in table and "seed=1" in table
    assert len([path for path in tmp_path.glob("*/*/model.keras") if path.parent.name != "latest"]) == 2


def test_jax_runs_the_same_commands(photos, tmp_path):
    words = ("data=folder", f"data.root={photos}", *SMALL, "debug=fast")
    done = script("train.py", *words, folder=tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    run = only_run(tmp_path)
    assert json.loads((run / "run.json").read_text())["environment"]["backend"] == "jax"
    assert list((run / "tensorboard/validation").glob("events.*"))
    assert json.loads((run / "evaluation.json").read_text())["images"] == 22
    for name, words in (("evaluate.py", ()), ("visualize.py", ("figures=[kernels,feature_maps]",))):
        after = script(name, *words, folder=tmp_path, KERAS_BACKEND="jax")
        assert (after.returncode, after.stderr) == (0, ""), name


def test_a_terminal_shows_nothing_of_the_libraries_within(trained, photos, tmp_path):
    _, training, evaluating, _ = trained
    assert training.stderr == evaluating.stderr == ""
    streamed = ("data=folder", f"data.root={photos}", *SMALL, "data.cache=none", "debug=fast")
    assert script("train.py", *streamed, folder=tmp_path).stderr == ""


def test_ctrl_c_stops_within_seconds_and_keeps_what_was_learned(photos, tmp_path, in_a_fork):
    words = ("data=folder", f"data.root={photos}", *SMALL[:-1], "training.epochs=100000", f"runs_dir={tmp_path}")
    command = [sys.executable, str(ROOT / "train.py"), *words, "training.tensorboard.enabled=false"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.glob("*/*/metrics.csv")):
        time.sleep(0.1)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert time.monotonic() - start < 10
    run = only_run(tmp_path)
    assert re.search(r"Stopped in (step \d+ of )?epoch", output) and f"{ROOT}/train.py resume={run}" in output
    assert "Traceback" not in errors
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert in_a_fork("evaluate.py", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("training.optimizer.options.beta1=0.5",), "Did you mean 'beta_1'"),
        (("training.optimizer.clip_norm=1", "training.optimizer.clip_value=1"), "give one"),
        (("training.schedule.name=plateau", "training.schedule.warmup_epochs=1"), "no warm-up"),
        (("training.devices=64",), "training.devices=64"),
        (("init_from=runs/absent",), "runs/absent does not exist"),
        (("init_from=absent.keras",), "absent.keras does not exist"),
        (("data.image_size=8", "model.filters=[4,4,4,4,4]"), "block"),
    ],
)
def test_choices_that_do_not_go_together_are_told_before_data_is_read(
    words, reason, tmp_path, tmp_path_factory, in_a_fork
):
    no_photos = tmp_path_factory.mktemp("empty")
    done = in_a_fork("train.py", "data=folder", f"data.root={no_photos}", *words, folder=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_training_that_is_refused_leaves_no_run_and_latest_where_it_was(photos, trained, tmp_path):
    words = ["data=folder", f"data.root={photos}", *SMALL, "model.filters=5", f"runs_dir={tmp_path}"]
    bad = ["training.steps_per_execution=4", f"init_from={trained[0]}"]
    code = (
        "import convlens\n"
        f"for bad in {bad}:\n"
        f"    try: convlens.train([*{words}, bad])\n"
        "    except convlens.UserError as error: print('refused:', error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    refusals = [line for line in done.stdout.splitlines() if line.startswith("refused: ")]
    assert len(refusals) == 2, done.stdout + done.stderr
    assert "training.steps_per_execution=4 does not divide the 6 steps of an epoch" in refusals[0]
    assert "layer 'block1_conv1' needs shapes" in refusals[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ("experiment=cars", "data.root=photos"),
            "data.root=photos applies only to data=folder, but this training reads",
        ),
        (("data=folder", "data.root=photos", "data.name=beans"), "data.name=beans has no effect with data=folder"),
        (("data=folder", "data.root=photos", "data.data_dir=d"), "data.data_dir=d has no effect with data=folder"),
        (("data=folder", "data.root=/nope"), "data.root=/nope does not exist.\n"),
    ],
)
def test_the_address_of_other_data_is_refused_rather_than_ignored(words, reason, tmp_path, in_a_fork):
    done = in_a_fork("train.py", *words, folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and reason in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_place_of_other_data_than_the_run_has_is_refused_rather_than_ignored(trained):
    from convlens.configs.schema import DataLocation
    from convlens.core.errors import UserError
    from convlens.training import Run

    with pytest.raises(UserError, match=r"data\.data_dir=/data is not read: run .* whose place is data\.root"):
        Run.open(trained[0]).open_data(DataLocation(data_dir="/data"))


def test_a_finished_run_is_given_more_epochs_from_another_folder(photos, tmp_path, in_a_fork):
    words = ("data=folder", f"data.root={photos}", *SMALL, "training.schedule.name=constant")
    assert in_a_fork("train.py", *words, folder=tmp_path / "runs").returncode == 0
    run = only_run(tmp_path / "runs")
    words = f"'resume={run.name}'"
    twice = f"from convlens import train; train([{words}]); train([{words}, 'training.epochs=3'])"
    done = subprocess.run([sys.executable, "-c", twice], cwd=run.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is finished; its best epoch is" in done.stdout
    assert f"For more epochs: convlens train resume={run.name} training.epochs=4. For a new run" in done.stdout
    assert "epoch 3/3" in done.stdout and f"--logdir {tmp_path / 'runs'}\n" in done.stdout
    assert [row["epoch"] for row in csv.DictReader((run / "metrics.csv").open())] == ["1", "2", "3"]


def test_a_missing_folder_of_photos_is_told_before_keras_is_loaded(tmp_path):
    done = script("train.py", "data=folder", "data.root=absent", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "train.py: data.root=absent does not exist.\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["data=tfds", "data.name=cifar01"], "Did you mean 'cifar10'"),
        (["training.optimizer.name=rmsprop", "training.optimizer.options.rh=0.9"], "Did you mean 'rho'"),
    ],
)
def test_a_name_that_a_library_does_not_know_is_told_before_tensorflow_is_loaded(words, reason):
    code = (
        f"import sys, runpy; sys.argv = ['train.py', *{words}]\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "except SystemExit as stop: print(stop.code, 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False", "False"]
    assert reason in done.stderr and done.stderr.count("\n") == 1


def test_a_class_to_weigh_that_does_not_exist_is_told_before_a_run_is_made(photos, tmp_path, in_a_fork):
    words = ("data=folder", f"data.root={photos}", "training.class_weights={nigth: 2}")
    done = in_a_fork("train.py", *words, folder=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'night'" in done.stderr
    assert not list(tmp_path.iterdir())
