"""What figures are drawn from is what the user named: the network, the images as it takes them, the split."""

import keras
import numpy as np
import pytest
from PIL import Image

from convlens import interpret
from convlens.core.errors import UserError
from convlens.data import fit_image
from convlens.gallery.image_inputs import UNLIKE, change_of_shape
from convlens.interpret.familiarity import SHARE
from convlens.models import conv_layers, feature_maps, inside_cells


def test_images_of_any_size_are_made_to_fit_the_model(model_path, photo, inputs_of):
    inputs = inputs_of(model_path, ["basics"], image=[str(photo)])
    expected = fit_image(np.asarray(Image.open(photo)), (16, 24), 3, "crop")
    np.testing.assert_array_equal(inputs.images, expected[None])
    assert inputs.source == "plain.keras" and inputs.names == ["car.png"]
    assert inputs.labels == ["class 0", "class 1"] and inputs.true_labels() is None


def test_a_run_names_itself_its_classes_and_the_right_class_of_its_images(photos_run, inputs_of):
    inputs = inputs_of(photos_run, ["basics"], image=[9, 0])
    assert inputs.source == f"run tiny/{photos_run.id}" and inputs.epoch == 1
    assert inputs.labels == ["day", "night"]
    assert inputs.true_labels() == [1, 0] and inputs.true_labels(slice(0, 1)) == [1]
    assert inputs.caption("block2_conv1").receptive_field == (8, 8)


def test_a_missing_photo_is_reported_before_anything_is_loaded(photos_run, inputs_of):
    with pytest.raises(UserError, match="nowhere.jpg"):
        inputs_of(photos_run, ["basics"], image=["nowhere.jpg"])


def test_the_class_that_is_explained_is_what_the_model_says_unless_it_is_named(photos_run, inputs_of):
    inputs = inputs_of(photos_run, ["saliency"], image=[0, 9])
    np.testing.assert_array_equal(inputs.targets, inputs.logits.argmax(axis=1))
    assert inputs_of(photos_run, ["saliency"], image=[0, 9], target="night").targets.tolist() == [1, 1]
    with pytest.raises(UserError, match="nigth.*'night'"):
        _ = inputs_of(photos_run, ["saliency"], target="nigth").target
    with pytest.raises(UserError, match="from 0 to 1"):
        _ = inputs_of(photos_run, ["saliency"], target=2).target


def test_layers_that_were_named_are_all_that_is_looked_at(model_path, photo, inputs_of):
    options = {"image": [str(photo)]}
    assert list(inputs_of(model_path, ["basics"], **options).convolutions) == ["block1_conv1", "inner/deep"]
    assert list(inputs_of(model_path, ["basics"], **options, layers=["inner/deep"]).convolutions) == ["inner/deep"]
    with pytest.raises(UserError, match="Did you mean 'inner/deep'"):
        _ = inputs_of(model_path, ["basics"], **options, layers=["deep"]).convolutions


def test_only_kernels_that_read_the_image_are_drawn_in_its_colours(model_path, inputs_of):
    inputs = inputs_of(model_path, ["kernels"])
    assert [inputs.in_colour(info) for info in inputs.convolutions.values()] == [True, False]


def test_the_sample_is_spread_over_the_split_and_knows_the_rows_of_the_images(photos_run, inputs_of):
    inputs = inputs_of(photos_run, ["neighbours"], image=[4, 5], images=8)
    assert inputs.sample.tolist() == list(range(0, 16, 2))
    assert inputs.rows_in_sample == [2, -1]
    assert inputs.images_in(500) == 16
    images = np.concatenate([images for images, _, _ in inputs.batches(8)])
    np.testing.assert_array_equal(images[[2]], inputs.examples(np.array([2])))


def test_confidence_is_the_probability_of_what_the_model_says(photos_run, inputs_of):
    classified = inputs_of(photos_run, ["mistakes"]).classified
    images, true, _ = photos_run.data.examples("test", list(range(16)))
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(photos_run.model(images.astype("float32"))))
    np.testing.assert_array_equal(classified.true, true)
    np.testing.assert_array_equal(classified.predicted, shares.argmax(axis=1))
    np.testing.assert_allclose(classified.confidence, shares.max(axis=1), rtol=1e-5)


def test_units_are_asked_no_more_than_the_figures_need(cars_run, inputs_of):
    statistics = inputs_of(cars_run, ["unit_statistics"], images=8).unit_results
    assert statistics.patches == {} and statistics.concepts == {}
    concepts = inputs_of(cars_run, ["concepts"], images=8).unit_results
    assert set(concepts.concepts) == {"block1_conv1", "block2_conv1"} and concepts.patches


def test_a_run_that_tells_other_classes_apart_is_not_compared(photos_run, cars_run, inputs_of):
    with pytest.raises(UserError, match="different classes"):
        _ = inputs_of(photos_run, ["comparison"], b=str(cars_run.path)).second_run


def test_a_depthwise_layer_has_a_kernel_of_one_channel_for_each_unit():
    from convlens.models import conv_layers

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3, depth_multiplier=2)])
    (info,) = conv_layers(model)
    assert interpret.kernels_of(info).shape == (3, 3, 1, 6)
    np.testing.assert_array_equal(interpret.kernels_of(info)[:, :, 0, 3], info.kernel[:, :, 1, 1])


def test_the_maps_of_an_observation_are_those_of_the_model(model_path, network, photo, inputs_of):
    inputs = inputs_of(model_path, ["basics"], image=[str(photo)])
    layer = inputs.observation.layers[0]
    first = keras.Model(network.inputs, network.get_layer("block1_conv1").output)
    expected = keras.ops.convert_to_numpy(first(inputs.images.astype("float32")))
    np.testing.assert_allclose(layer.maps["filter"], expected, atol=1e-5)
    np.testing.assert_allclose(layer.maps["detect"], np.maximum(expected, 0), atol=1e-5)
    assert isinstance(inputs.network, interpret.Network) and inputs.network.classes == 2


@pytest.mark.parametrize(
    "own, size", [((40, 60), (32, 32)), ((61, 30), (32, 32)), ((50, 50), (16, 24)), ((90, 31), (30, 20))]
)
def test_what_is_said_of_a_crop_is_what_was_cropped(own, size):
    inked = np.zeros((*own, 3), np.uint8)
    note = change_of_shape(own, size, "crop")
    height, width = (int(side) for side in note.split("middle ")[1].split(" of ")[0].split("×"))
    top, left = (own[0] - height) // 2, (own[1] - width) // 2
    inked[top + 2 : top + height - 2, left + 2 : left + width - 2] = 255
    fitted = fit_image(inked, size, 3, "crop")
    assert 0.6 < (fitted > 127).mean() and (fitted[2:-2, 2:-2] == 255).mean() > 0.75
    outside = np.full((*own, 3), 255, np.uint8)
    outside[max(top - 2, 0) : top + height + 2, max(left - 2, 0) : left + width + 2] = 0
    assert not (fit_image(outside, size, 3, "crop") > 127).any()


def test_a_photograph_that_fits_is_not_said_to_be_changed():
    assert change_of_shape((64, 64), (32, 32), "crop") == change_of_shape((65, 64), (32, 32), "crop") == ""
    assert change_of_shape((40, 60), (32, 32), "stretch") == "stretched: it was 40×60"
    assert change_of_shape((40, 60), (32, 32), "pad") == "between black bars: it was 40×60"


def test_a_cropped_photograph_says_so_in_the_figures_and_an_image_of_a_split_does_not(photos_run, photo, inputs_of):
    observation = inputs_of(photos_run, ["feature_maps"], image=[str(photo), 0]).observation
    assert observation.image_text(0) == "car.png (cropped: the middle 40×40 of 40×60)"
    assert observation.image_text(1) == "test 0, day"


def test_a_deep_unit_reads_what_its_layer_is_given(model_path, network, photo, inputs_of):
    inputs = inputs_of(model_path, ["extraction"], image=[str(photo)])
    first, deep = inputs.observation.layers
    assert first.reading is None
    reading = deep.reading(2)
    assert reading.layer == "block1_conv1" and reading.total == 4
    pooled = keras.Model(network.inputs, network.layers[3].output)(inputs.images.astype("float32"))
    np.testing.assert_allclose(reading.maps, keras.ops.convert_to_numpy(pooled)[..., reading.channels], atol=1e-5)
    np.testing.assert_array_equal(reading.kernels, deep.kernel[:, :, reading.channels, 2])
    assert inputs_of(model_path, ["relu"], image=[str(photo)]).observation.layers[1].reading is None


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(6, 3, groups=2, name="deep"),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="deep"),
        keras.layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", name="deep"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_a_unit_reads_adds_up_to_the_unit_in_every_kind_of_convolution(layer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((9, 12, 3)), keras.layers.Conv2D(2, 3, name="first"), layer])
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 12, 3)).astype(np.uint8)
    maps = feature_maps(model, images, ["deep"], ["filter", "input"])["deep"]
    info = conv_layers(model)[1]
    convolution = {"strides": info.strides, "padding": info.padding, "dilation": info.dilation}
    for unit in range(info.output_shape[-1]):
        reading = interpret.read_by(info, maps["input"], inside_cells(model), unit)
        assert reading.total == len(reading.channels)  # so that nothing is left out
        added = interpret.added_by_each(reading.maps, reading.kernels, **convolution).sum(axis=-1)
        np.testing.assert_allclose(added, maps["filter"][..., unit], rtol=1e-3, atol=1e-2)
        np.testing.assert_array_equal(reading.maps, maps["input"][..., reading.channels])
        assert reading.shares.sum() == pytest.approx(1)


def test_a_strangers_photograph_below_the_score_of_the_known_is_perhaps_of_no_class(photos_run, photo, inputs_of):
    inputs = inputs_of(photos_run, ["pipeline"], image=[str(photo), 3])
    images = np.concatenate([images for images, _, _ in photos_run.data.sample("validation", 64, 500)])
    logits = keras.ops.convert_to_numpy(photos_run.model(images.astype("float32")))
    known = np.log(np.exp(logits.astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(np.sort(inputs.familiarity.scores), np.sort(known), rtol=1e-4)
    limit = np.quantile(known, SHARE)
    score = np.log(np.exp(inputs.logits[0].astype(np.float64)).sum())
    assert inputs.verdicts == [UNLIKE if score < limit else "", ""]
    inputs.logits = np.full((2, 2), limit - 3)  # far below
    del inputs.verdicts
    assert inputs.verdicts == [UNLIKE, ""]  # an image of the split is of one of its classes
    inputs.logits = np.full((2, 2), limit + 3)
    del inputs.verdicts
    assert inputs.verdicts == ["", ""]


def test_without_a_dataset_nothing_is_said_of_strangers(model_path, photo, inputs_of):
    assert inputs_of(model_path, ["pipeline"], image=[str(photo)]).verdicts == [""]
