"""The script: which run or file it opens, where its figures go, and how a mistake is told."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Visualize
from convlens.core.errors import UserError
from convlens.gallery.registry import chosen_figures
from convlens.training import Run
from convlens.visualize import visualize

ROOT = Path(__file__).parent.parent
SAVED = ROOT / "tests" / "saved_runs"


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "car.png")
    return tmp_path / "car.png"


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [keras.Input((8, 12, 4)), layers.Conv2D(6, 3, padding="same", activation="relu", name="deep")], name="inner"
    )
    model = keras.Sequential(
        [
            keras.Input((16, 24, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", name="block1_conv1"),
            layers.ReLU(),
            layers.MaxPooling2D(),
            inner,
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="logits"),
        ]
    )
    path = tmp_path_factory.mktemp("model") / "plain.keras"
    model.save(path)
    return path


@pytest.fixture
def saved_runs(tmp_path, monkeypatch):
    """A folder with two runs of the same classes in runs/, and the images that they were trained on."""
    shutil.copytree(SAVED / "pictures", tmp_path / "pictures")
    for name in ("finished", "interrupted"):
        shutil.copytree(SAVED / name, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_script(*words, cwd):
    command = [sys.executable, str(ROOT / "visualize.py"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def test_a_kernel_is_tried_on_the_packages_picture_without_a_run_and_without_loading_keras(tmp_path):
    code = (
        "import sys; from convlens.configs import Visualize; from convlens.visualize import visualize;"
        "visualize(Visualize(kernel='edge'));"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"index.html"} | {
        f"{name}.{end}" for name in ("kernel-edge", "extraction-edge-car") for end in ("png", "svg", "npz")
    }


def test_two_runs_are_compared_into_a_folder_of_the_first_that_names_the_second(saved_runs):
    (a,), (b,) = ((saved_runs / "runs" / name).iterdir() for name in ("finished", "interrupted"))
    done = run_script(f"a=runs/finished/{a.name}", f"b=runs/interrupted/{b.name}", cwd=saved_runs)
    assert done.returncode == 0, done.stderr
    names = {path.stem for path in (a / "figures" / f"beside-interrupted-{b.name}").glob("*.npz")}
    assert {"layer_similarity", "class_accuracy"} < names and any(name.startswith("matched_units-") for name in names)


def test_the_newest_run_is_drawn_into_its_own_folder_with_animations_on_the_page(saved_runs, capsys):
    folder = visualize(Visualize(figures=["evolution", "unit_statistics"]))
    assert folder == Run.newest("runs").figures_dir and folder.parent.parent.name == "interrupted"
    animations = [path.name for path in folder.glob("evolution-*.gif")]
    page, printed = (folder / "index.html").read_text(), capsys.readouterr().out
    assert animations and all(name in page and f"\n  {name}\n" in printed for name in animations)
    assert (folder / "unit_statistics.csv").is_file()


def test_the_projector_of_a_run_lies_beside_its_curves(saved_runs):
    (path,) = (saved_runs / "runs/finished").iterdir()
    visualize(Visualize(run=str(path), figures=["projector"]))
    assert (Run.open(path).projector_dir / "projector_config.pbtxt").is_file()


def test_every_basic_figure_of_any_model_file_is_drawn_from_its_own_arrays(tmp_path, photo, model_path, capsys):
    import keras

    visualize(Visualize(model=str(model_path), image=[str(photo)], out=str(tmp_path / "out"), max_units=3))
    kinds = {path.name.split("-")[0] for path in (tmp_path / "out").glob("*.png")}
    assert kinds == set(chosen_figures(["basics"]))
    model = keras.saving.load_model(model_path)
    image = np.load(tmp_path / "out" / "feature_maps-block1_conv1-image0.npz")["image"]
    first = keras.Model(model.inputs, model.get_layer("block1_conv1").output)(image[None].astype("float32"))
    maps = np.load(tmp_path / "out" / "feature_maps-block1_conv1-image0.npz")
    expected = keras.ops.convert_to_numpy(first)[0]
    np.testing.assert_allclose(maps["filter"], expected, atol=1e-5)
    np.testing.assert_allclose(maps["detect"], np.maximum(expected, 0), atol=1e-5)
    kernel = keras.ops.convert_to_numpy(model.get_layer("inner").get_layer("deep").kernel)
    # A digest tells the layer inner/deep from one that is called inner_deep.
    (arrays,) = (tmp_path / "out").glob("kernels-inner_deep~*.npz")
    np.testing.assert_array_equal(np.load(arrays)["kernel"], kernel)
    assert re.search(r"feature_maps-inner_deep~\w{6}-image0\.png", capsys.readouterr().out)


def test_layers_and_units_narrow_what_is_drawn(tmp_path, photo, model_path):
    visualize(
        Visualize(
            model=str(model_path), image=str(photo), out=str(tmp_path / "out"), figures=["kernel", "extraction"],
            layers=["inner/deep"], units=[5, 1],
        )
    )  # fmt: skip
    names = {re.sub(r"~\w{6}", "", path.name) for path in (tmp_path / "out").glob("*.png")}
    assert names == {f"{kind}-inner_deep-unit{unit}.png" for kind in ("kernel", "extraction") for unit in (1, 5)}


def test_kernels_alone_are_looked_at_without_an_image(model_path, tmp_path):
    visualize(Visualize(model=str(model_path), figures=["kernel_spectrum"], out=str(tmp_path)))
    assert set(np.load(tmp_path / "kernel_spectrum.npz")) >= {"block1_conv1", "inner:deep"}


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"figures": ["kernls"]}, "Unknown figure 'kernls'. Did you mean 'kernels'"),
        ({"figures": ["units", "top_patch"]}, "Unknown figure 'top_patch'. Did you mean 'top_patches'"),
        ({"figures": ["atribution"]}, "Unknown figure 'atribution'. Did you mean 'attribution'"),
        ({"kernel": "egde", "image": ["car.png"]}, "Did you mean 'edge'"),
        ({"kernel": "edge", "image": ["nowhere.jpg"]}, "nowhere.jpg"),
        ({"model": "plain.keras"}, "model= needs an image"),
        ({"model": "plain.keras", "image": [3]}, "Model file plain.keras does not exist"),
        ({"runs_dir": "none"}, "no trained run in none"),
    ],
)
def test_a_mistake_is_told_in_one_line(config, line, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    with pytest.raises(UserError, match=line) as error:
        visualize(Visualize(**config))
    assert "\n" not in str(error.value)


def test_comparing_takes_two_runs_and_nothing_else():
    with pytest.raises(ValueError, match="two runs"):
        Visualize(a="a")
    with pytest.raises(ValueError, match="leave out kernel="):
        Visualize(a="a", b="b", kernel="edge")


def test_the_command_line_takes_a_kernel_as_a_matrix_and_answers_a_mistake_with_exit_code_2(tmp_path, photo):
    done = run_script("kernel=[[-1,-1,-1],[-1,9,-1],[-1,-1,-1]]", "kernel_name=mine", f"image={photo}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "extraction-mine-car.png").exists()
    wrong = run_script("kernel=[[1,2],[3]]", f"image={photo}", cwd=tmp_path)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "not a matrix" in wrong.stderr
