"""`convlens.draw` gives figures of any network in memory, with the checks of `visualize.py`, and changes nothing."""

import io
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import convlens
from convlens import interpret
from convlens.core.errors import UserError
from convlens.gallery import registry
from convlens.gallery.registry import groups


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 16, 24, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(2)
    return generator.integers(0, 256, (12, 16, 24, 3)).astype(np.uint8), np.arange(12) % 2


def state(model):
    """All that a look at a model could change."""
    weights = [np.array(weight) for weight in model.weights]
    layers = list(model._flatten_layers())
    return weights, [(layer.name, layer.trainable, sorted(vars(layer))) for layer in layers]


def test_the_arrays_behind_a_figure_are_the_maps_of_the_model(network, images):
    figures = convlens.draw("feature_maps", model=network, images=images, layers="block1_conv1")
    assert figures.names == ["feature_maps-block1_conv1-image0", "feature_maps-block1_conv1-image1"]
    assert len(figures) == 2 and all(hasattr(figure, "savefig") for figure in figures)
    first = keras.Model(network.inputs, network.get_layer("block1_conv1").output)
    expected = keras.ops.convert_to_numpy(first(images.astype("float32")))
    for index, name in enumerate(figures.names):
        np.testing.assert_array_equal(figures.arrays[name]["image"], images[index])
        np.testing.assert_allclose(figures.arrays[name]["filter"], expected[index], atol=1e-5)


def test_a_model_is_not_changed_by_being_looked_at(network, images, data):
    weights, layers = state(network)
    convlens.draw(["basics", "units", "explanations"], model=network, images=images[:1], data=data)
    after, layers_after = state(network)
    assert layers_after == layers
    assert all((one == same).all() for one, same in zip(weights, after, strict=True))


def test_layers_units_and_the_class_to_explain_are_chosen_as_in_the_script(network, images):
    figures = convlens.draw(["kernel", "saliency"], model=network, images=images, layers=["inner/deep"], units=(5, 1),
                            labels=["day", "night"], target="night")  # fmt: skip
    assert figures.names == ["kernel-inner/deep-unit5", "kernel-inner/deep-unit1", "saliency"]
    assert figures.arrays["saliency"]["targets"].tolist() == [1, 1]
    np.testing.assert_allclose(
        figures.arrays["saliency"]["saliency"], interpret.saliency(network, images, [1, 1]), rtol=1e-3, atol=1e-6
    )


def test_arrays_are_given_to_the_model_as_they_are(network, images):
    pixels = images[0] + np.float32(0.25)
    pixels = np.minimum(pixels, 255)
    figures = convlens.draw("saliency", model=network, images=pixels)
    np.testing.assert_array_equal(figures.arrays["saliency"]["images"], pixels[None])
    np.testing.assert_allclose(figures.arrays["saliency"]["logits"], network(pixels[None]), rtol=1e-4, atol=1e-6)


def test_whole_numbers_of_any_type_are_the_pixels_that_they_say(network, images):
    by_type = [
        convlens.draw("kernels_and_maps", model=network, images=images.astype(dtype), layers=["inner/deep"])
        for dtype in (np.uint8, np.int64)
    ]
    first, second = (figures.arrays["kernels_and_maps-inner/deep"] for figures in by_type)
    assert all((first[name] == second[name]).all() for name in first) and second["images"].dtype == np.uint8


def test_image_files_are_made_to_fit_and_a_model_file_is_read(network, model_path, photo):
    by_path = convlens.draw("feature_maps", model=model_path, images=str(photo), layers=["inner/deep"])
    by_model = convlens.draw("feature_maps", model=network, images=[photo], layers=["inner/deep"])
    assert by_path.names == by_model.names == ["feature_maps-inner/deep-image0"]
    for name, array in by_path.arrays[by_path.names[0]].items():
        np.testing.assert_allclose(array, by_model.arrays[by_path.names[0]][name], atol=1e-5)
    assert by_path.arrays[by_path.names[0]]["image"].shape == (16, 24, 3)


def test_kernels_alone_need_no_image(network):
    figures = convlens.draw(["kernel_spectrum", "architecture"], model=network)
    assert set(figures.arrays["kernel_spectrum"]) >= {"block1_conv1", "inner:deep"}


def test_a_run_brings_its_data_and_its_classes(photos_run):
    run_and_path = [
        convlens.draw("confusion_examples", model=model) for model in (photos_run, str(photos_run.path.parent))
    ]
    for figures in run_and_path:
        assert figures.arrays["confusion_examples"]["matrix"].sum() == 16
    (name,) = convlens.draw("pipeline", model=photos_run, images=9).names
    assert name == "pipeline-image0"


def test_data_stands_for_a_split(network, images, data):
    figures = convlens.draw(
        ["unit_statistics", "top_patches", "confusion_examples", "neighbours", "ablation"],
        model=network, images=images[:1], data=data, labels=["day", "night"], layers=["inner/deep"],
    )  # fmt: skip
    pixels, true = data
    predicted = interpret.class_logits(network, pixels).argmax(axis=1)
    matrix = np.zeros((2, 2), int)
    np.add.at(matrix, (true, predicted), 1)
    np.testing.assert_array_equal(figures.arrays["confusion_examples"]["matrix"], matrix)
    maps = convlens.feature_maps(network, pixels, ["inner/deep"])["inner/deep"]["detect"]
    table = figures.arrays["unit_statistics-inner/deep"]["table"]
    np.testing.assert_allclose(table["maximum"], maps.max(axis=(0, 1, 2)), rtol=1e-5)
    best = maps.max(axis=(1, 2)).argmax(axis=0)
    assert figures.arrays["top_patches-inner/deep"]["index"][:, 0].tolist() == best.tolist()


def test_a_split_that_was_given_is_not_called_test(network, images, data):
    (figure,) = convlens.draw("top_patches", model=network, images=images, data=data, layers=["inner/deep"])
    words = " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    assert "the data" in words and " test" not in words


def test_of_a_group_what_needs_more_is_left_out_and_said(network, images, capsys):
    figures = convlens.draw("networks", model=network, images=images)
    needs_more = [name for name in groups()["networks"] if registry.figures()[name].needs != "kernels"]
    assert {name.partition("-")[0] for name in figures.names} == set(groups()["networks"]) - set(needs_more)
    printed = capsys.readouterr().out
    assert needs_more and all(f"No figure '{name}': " in printed for name in needs_more)


@pytest.mark.parametrize(
    ("figures", "given", "line"),
    [
        ("feature_map", {}, "Unknown figure 'feature_map'. Did you mean 'feature_maps'"),
        ("kernels", {"layrs": ["a"]}, "Unknown key 'layrs'. Did you mean 'layers'"),
        ("kernels", {"layers": ["block1_conv"]}, "Unknown layer 'block1_conv'. Did you mean 'block1_conv1'"),
        ("saliency", {"layers": ["deep"]}, "Unknown layer 'deep'. Did you mean 'inner/deep'"),
        ("kernels", {"units": [5]}, "Layer block1_conv1 has no unit 5"),
        ("kernels", {"sort": "activaton"}, "Did you mean 'activation'"),
        ("kernels", {"max_units": 0}, "max_units=0 does not fit; expected a number of at least 1"),
        ("kernels", {"split": "test"}, "split= chooses one of a run's splits"),
        ("saliency", {"labels": ["day", "night"], "target": "nigth"}, "Unknown target 'nigth'. Did you mean 'night'"),
        ("saliency", {"labels": ["day"]}, "labels= names 1 classes; the model has 2"),
        ("saliency", {"target": 7}, "from 0 to 1"),
        ("kernels", {"images": None}, "give images="),
        ("kernels", {"images": 3}, "give a run as model="),
        ("kernels", {"images": "nowhere.jpg"}, "nowhere.jpg"),
        ("kernels", {"images": np.zeros((1, 8, 8, 3))}, r"images have the shape \(1, 8, 8, 3\)"),
        ("kernels", {"images": np.ones((16, 24, 3)) / 2}, r"values from 0.5 to 0.5; .*Rescaling\(1 / 255\)"),
        ("kernels", {"images": np.full((16, 24, 3), -1.0)}, "expected pixels from 0 to 255"),
        ("kernels", {"images": np.full((16, 24, 3), np.nan)}, "expected pixels from 0 to 255"),
        ("kernels", {"images": [np.zeros((8, 8)), np.zeros((9, 9))]}, "several shapes"),
        ("kernels", {"images": np.array(["a"])}, "expected pixels"),
        ("top_patches", {}, r"give data=\(images, labels\)"),
        ("top_patches", {"data": np.zeros((4, 16, 24, 3))}, "data= is a pair"),
        ("top_patches", {"data": (np.zeros((4, 16, 24, 3)), [0, 1])}, "a class index for each"),
        ("top_patches", {"data": (np.zeros((1, 16, 24, 3)), [2])}, "data= has the label 2"),
        ("top_patches", {"data": (np.zeros((1, 8, 8, 3)), [0])}, r"images have the shape \(1, 8, 8, 3\)"),
        ("concepts", {}, "masks of parts"),
        ("evolution", {}, "training.snapshots=40"),
        ("class_accuracy", {}, "convlens visualize a="),
        ("projector", {"data": (np.zeros((1, 16, 24, 3)), [0])}, "convlens visualize figures=projector"),
        ("kernels", {"model": {}}, "model= is a dict"),
        ("kernels", {"model": keras.Sequential([keras.layers.Conv2D(2, 3)])}, "has no weights yet"),
        ("kernels", {"model": "nowhere.keras"}, "nowhere.keras does not exist"),
        ("kernels", {"model": "nowhere"}, "nowhere does not exist"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line_with_the_nearest_choice(figures, given, line, network, images):
    with pytest.raises(UserError, match=line) as error:
        convlens.draw(figures, **{"model": network, "images": images, **given})
    assert "\n" not in str(error.value)


def test_what_a_run_has_of_its_own_is_not_given_twice(photos_run, data):
    for given in ({"labels": ["a", "b"]}, {"data": data}):
        with pytest.raises(UserError, match=f"leave out {next(iter(given))}="):
            convlens.draw("kernels", model=photos_run, **given)


def test_a_model_that_takes_values_from_0_to_1_is_drawn_behind_a_rescaling():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="first")], name="bare")
    rescaled = keras.Sequential([keras.layers.Rescaling(1 / 255), model])
    grey = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    rescaled(grey[None, ..., None].astype("float32"))
    (name,) = (figures := convlens.draw("feature_maps", model=rescaled, images=grey)).names
    expected = model(grey[None, ..., None].astype("float32") / 255)[0]
    np.testing.assert_allclose(figures.arrays[name]["filter"], expected, atol=1e-5)


def test_a_notebook_shows_all_figures_in_one_picture(network, images):
    figures = convlens.draw("feature_maps", model=network, images=images, layers=["inner/deep"])
    png, about = figures._repr_png_()
    sizes = [Image.open(io.BytesIO(figure._repr_png_()[0])).size for figure in figures]
    page = Image.open(io.BytesIO(png))
    assert page.size == (max(width for width, _ in sizes), sum(height for _, height in sizes))
    assert about["width"] == max(figure._repr_png_()[1]["width"] for figure in figures)
    last = np.asarray(Image.open(io.BytesIO(figures[-1]._repr_png_()[0])).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(page)[-len(last) :, : last.shape[1]], last)


def test_nothing_heavy_is_loaded_before_something_is_drawn():
    code = "import convlens, sys; convlens.draw; print({'tensorflow', 'keras', 'jax', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_model_with_a_name_that_tensorflow_cannot_use_is_refused_in_one_line(images):
    conv = keras.layers.Conv2D(2, 3, name="c 1")
    model = keras.Sequential([keras.Input((16, 24, 3)), conv, keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(UserError, match=r"model= has the name 'c 1', which TensorFlow cannot use"):
        convlens.draw("kernels", model=model, images=images)
