"""What is drawn of a kernel on a photo and of any model file, and how a mistake is told."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens import visualization
from convlens.configs import Visualize
from convlens.core.errors import UserError
from convlens.gallery.registry import BASICS, FIGURES, chosen_figures
from convlens.interpret import extract, parse_kernel
from convlens.visualize import check_choices, visualize

ROOT = Path(__file__).parent.parent


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
        [
            keras.Input((8, 12, 4)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="deep"),
            layers.MaxPooling2D(name="deep_pool"),
        ],
        name="inner",
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


def run_script(*words, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(ROOT / "visualize.py"), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def test_a_kernel_is_tried_on_a_photo_without_a_run_and_without_loading_keras(tmp_path, photo):
    code = (
        "import sys; from convlens.configs import Visualize; from visualize import visualize;"
        f"visualize(Visualize(kernel='edge', image=[{str(photo)!r}]));"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"index.html"} | {
        f"{name}.{end}" for name in ("kernel-edge", "extraction-edge-car") for end in ("png", "svg", "npz")
    }
    arrays = np.load(tmp_path / "figures" / "extraction-edge-car.npz")
    expected = extract(np.asarray(Image.open(photo)), parse_kernel("edge"))
    for step in ("input", "filter", "detect", "condense"):
        np.testing.assert_array_equal(arrays[step], getattr(expected, step))


def test_a_kernel_by_numbers_obeys_stride_padding_and_pooling(tmp_path, photo):
    extraction = {"stride": 2, "padding": "valid", "pooling": "average", "pool_size": 3, "pool_stride": 1}
    visualize(Visualize(kernel=[[1.0, 0.0], [0.0, -1.0]], image=str(photo), out=str(tmp_path), extraction=extraction))
    arrays = np.load(tmp_path / "extraction-given-car.npz")
    assert arrays["filter"].shape == (20, 30) and arrays["condense"].shape == (18, 28)


def test_photos_of_one_name_in_two_folders_get_a_figure_each(tmp_path, photo):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / photo.name
    twin.write_bytes(photo.read_bytes())
    visualize(Visualize(kernel="edge", image=[str(photo), str(twin)], out=str(tmp_path / "out")))
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"kernel-edge.png", "extraction-edge-car-0.png", "extraction-edge-car-1.png"}


def test_a_large_photo_is_shrunk_to_the_size_that_is_asked_for_and_a_small_one_is_left_alone(tmp_path, photo):
    for longest, shape in ((30, (20, 30)), (256, (40, 60)), (None, (40, 60))):
        out = tmp_path / str(longest)
        visualize(Visualize(kernel="blur", image=str(photo), out=str(out), extraction={"image_size": longest}))
        assert np.load(out / "extraction-blur-car.npz")["input"].shape == shape


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
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "kernels-inner_deep.npz")["kernel"], kernel)
    assert "feature_maps-inner_deep-image0.png" in capsys.readouterr().out


def test_layers_and_units_narrow_what_is_drawn(tmp_path, photo, model_path):
    visualize(
        Visualize(
            model=str(model_path), image=str(photo), out=str(tmp_path / "out"), figures=["kernel", "extraction"],
            layers=["inner/deep"], units=[5, 1],
        )
    )  # fmt: skip
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {f"{kind}-inner_deep-unit{unit}.png" for kind in ("kernel", "extraction") for unit in (1, 5)}


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"layers": ["block1_conv"]}, "Unknown layer 'block1_conv'. Did you mean 'block1_conv1'"),
        ({"layers": ["deep"]}, "Unknown layer 'deep'. Did you mean 'inner/deep'"),
        ({"layers": ["block1_conv1"], "units": [4]}, "Layer block1_conv1 has no unit 4; its units are 0 to 3."),
        ({"units": [5]}, "Layer block1_conv1 has no unit 5"),
    ],
)
def test_unknown_layers_and_units_are_refused_from_the_model_file_alone(choice, told, model_path):
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        check_choices(model_path, Visualize(model=str(model_path), **choice))


def test_a_file_that_does_not_describe_its_layers_is_left_for_keras_to_judge(tmp_path):
    check_choices(tmp_path / "missing.keras", Visualize(layers=["a"]))
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [1]}}))
    check_choices(tmp_path / "odd.keras", Visualize(layers=["a"]))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"figures": ["kernls"]}, "Unknown figure 'kernls'. Did you mean 'kernels'"),
        ({"figures": ["units", "top_patch"]}, "Unknown figure 'top_patch'. Did you mean 'top_patches'"),
        ({"figures": ["atribution"]}, "Unknown figure 'atribution'. Did you mean 'attribution'"),
        ({"kernel": "edge"}, "kernel= needs an image"),
        ({"kernel": "egde", "image": ["car.png"]}, "Did you mean 'edge'"),
        ({"kernel": "edge", "image": ["nowhere.jpg"]}, "nowhere.jpg"),
        ({"model": "plain.keras"}, "model= needs an image"),
        ({"model": "plain.keras", "image": [3]}, "Model file plain.keras does not exist"),
        ({"runs_dir": "none"}, "no trained run in none"),
    ],
)
def test_a_mistake_is_told_in_one_line(config, told, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    with pytest.raises(UserError, match=told) as error:
        visualize(Visualize(**config))
    assert "\n" not in str(error.value)


def test_a_kernel_that_does_not_fit_its_image_is_refused(photo, tmp_path):
    config = Visualize(
        kernel="edge", image=str(photo), out=str(tmp_path), extraction={"padding": "valid", "pool_size": 50}
    )
    with pytest.raises(UserError, match="pool of 50x50 does not fit into 38x58 pixels"):
        visualize(config)


def test_the_command_line_takes_a_kernel_as_a_matrix_and_answers_a_mistake_with_exit_code_2(tmp_path, photo):
    done = run_script("kernel=[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]]", f"image={photo}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "extraction-given-car.png").exists()
    wrong = run_script("kernel=[[1,2],[3]]", f"image={photo}", cwd=tmp_path)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "not a matrix" in wrong.stderr


def test_a_model_file_gives_what_needs_no_dataset(model_path, photo, tmp_path, capsys):
    asked = {"model": str(model_path), "image": [str(photo)], "out": str(tmp_path)}
    visualize(Visualize(**asked, figures=["units"]))
    assert {path.stem for path in tmp_path.glob("*.npz")} == {"receptive_field", "kernel_spectrum"}
    said = capsys.readouterr().out
    for figure in ("unit_statistics", "top_patches", "concepts", "ablation"):
        assert f"No figure '{figure}': " in said
    with pytest.raises(UserError, match="give run="):
        visualize(Visualize(**asked, figures=["top_patches"]))


def test_kernels_alone_are_looked_at_without_an_image(model_path, tmp_path):
    visualize(Visualize(model=str(model_path), figures=["kernel_spectrum"], out=str(tmp_path)))
    assert set(np.load(tmp_path / "kernel_spectrum.npz")) >= {"block1_conv1", "inner:deep"}


def test_every_figure_has_a_name_and_all_means_every_group():
    assert BASICS == tuple(visualization.FIGURES)
    assert chosen_figures(["all"]) == [
        name for name, figure in FIGURES.items() if figure.group not in (None, "comparison")
    ]
    assert chosen_figures(["relu", "basics"]) == ["relu", *(name for name in BASICS if name != "relu")]
