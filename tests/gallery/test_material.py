"""What figures are made from is what the user named: the network, the images as it takes them, the split."""

import keras
import numpy as np
import pytest
from PIL import Image

from convlens import interpret
from convlens.core.errors import UserError
from convlens.data import fit_image
from convlens.gallery.material import kernels_of


def test_images_of_any_size_are_made_to_fit_the_model(model_path, photo, material_of):
    material = material_of(model_path, ["basics"], image=[str(photo)])
    expected = fit_image(np.asarray(Image.open(photo)), (16, 24), 3, "crop")
    np.testing.assert_array_equal(material.images, expected[None])
    assert material.source == "plain.keras" and material.names == ["car.png"]
    assert material.labels == ["class 0", "class 1"] and material.true_labels() is None


def test_a_run_names_itself_its_classes_and_the_right_class_of_its_images(photos_run, material_of):
    material = material_of(photos_run, ["basics"], image=[9, 0])
    assert material.source == f"run tiny/{photos_run.id}" and material.epoch == 1
    assert material.labels == ["day", "night"]
    assert material.true_labels() == [1, 0] and material.true_labels(slice(0, 1)) == [1]
    assert material.caption("block2_conv1").receptive_field == (8, 8)


def test_a_missing_photo_is_reported_before_anything_is_loaded(photos_run, material_of):
    with pytest.raises(UserError, match="nowhere.jpg"):
        material_of(photos_run, ["basics"], image=["nowhere.jpg"])


def test_the_class_that_is_explained_is_what_the_model_says_unless_it_is_named(photos_run, material_of):
    material = material_of(photos_run, ["saliency"], image=[0, 9])
    np.testing.assert_array_equal(material.targets, material.logits.argmax(axis=1))
    assert material_of(photos_run, ["saliency"], image=[0, 9], target="night").targets.tolist() == [1, 1]
    with pytest.raises(UserError, match="nigth.*'night'"):
        _ = material_of(photos_run, ["saliency"], target="nigth").target
    with pytest.raises(UserError, match="from 0 to 1"):
        _ = material_of(photos_run, ["saliency"], target=2).target


def test_layers_that_were_named_are_all_that_is_looked_at(model_path, photo, material_of):
    asked = {"image": [str(photo)]}
    assert list(material_of(model_path, ["basics"], **asked).convolutions) == ["block1_conv1", "inner/deep"]
    assert list(material_of(model_path, ["basics"], **asked, layers=["inner/deep"]).convolutions) == ["inner/deep"]
    with pytest.raises(UserError, match="Did you mean 'inner/deep'"):
        _ = material_of(model_path, ["basics"], **asked, layers=["deep"]).convolutions


def test_only_kernels_that_read_the_image_are_drawn_in_its_colours(model_path, material_of):
    material = material_of(model_path, ["kernels"])
    assert [material.in_colour(info) for info in material.convolutions.values()] == [True, False]


def test_the_sample_is_spread_over_the_split_and_knows_the_rows_of_the_images(photos_run, material_of):
    material = material_of(photos_run, ["neighbours"], image=[4, 5], images=8)
    assert material.sample.tolist() == list(range(0, 16, 2))
    assert material.rows_in_sample == [2, -1]
    assert material.images_in(500) == 16
    images = np.concatenate([images for images, _, _ in material.batches(8)])
    np.testing.assert_array_equal(images[[2]], material.examples(np.array([2])))


def test_confidence_is_the_probability_of_what_the_model_says(photos_run, material_of):
    classified = material_of(photos_run, ["mistakes"]).classified
    images, true, _ = photos_run.data.examples("test", list(range(16)))
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(photos_run.model(images.astype("float32"))))
    np.testing.assert_array_equal(classified.true, true)
    np.testing.assert_array_equal(classified.predicted, shares.argmax(axis=1))
    np.testing.assert_allclose(classified.confidence, shares.max(axis=1), rtol=1e-5)


def test_units_are_asked_no_more_than_the_figures_need(cars_run, material_of):
    statistics = material_of(cars_run, ["unit_statistics"], images=8).unit_results
    assert statistics.patches is None and statistics.concepts is None
    concepts = material_of(cars_run, ["concepts"], images=8).unit_results
    assert set(concepts.concepts) == {"block1_conv1", "block2_conv1"} and concepts.patches


def test_a_run_that_tells_other_classes_apart_is_not_compared(photos_run, cars_run, material_of):
    with pytest.raises(UserError, match="different classes"):
        _ = material_of(photos_run, ["comparison"], b=str(cars_run.path)).second_run


def test_a_depthwise_layer_has_a_kernel_of_one_channel_for_each_unit():
    from convlens.models import conv_layers

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3, depth_multiplier=2)])
    (info,) = conv_layers(model)
    assert kernels_of(info).shape == (3, 3, 1, 6)
    np.testing.assert_array_equal(kernels_of(info)[:, :, 0, 3], info.kernel[:, :, 1, 1])


def test_the_maps_of_a_scene_are_those_of_the_model(model_path, network, photo, material_of):
    material = material_of(model_path, ["basics"], image=[str(photo)])
    layer = material.scene.layers[0]
    first = keras.Model(network.inputs, network.get_layer("block1_conv1").output)
    expected = keras.ops.convert_to_numpy(first(material.images.astype("float32")))
    np.testing.assert_allclose(layer.maps["filter"], expected, atol=1e-5)
    np.testing.assert_allclose(layer.maps["detect"], np.maximum(expected, 0), atol=1e-5)
    assert isinstance(material.network, interpret.Network) and material.network.classes == 2
