import keras
import numpy as np
import pytest

from convlens.interpret.patches import PatchesCollector, top_patches
from convlens.interpret.unit_pass import unit_pass
from convlens.models import feature_maps

layers = keras.layers
COUNT = 4


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    images = keras.Input((20, 16, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv1")(images)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(6, 3, activation="relu", name="conv2")(x)
    return keras.Model(images, layers.Dense(7, name="dense")(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (30, 20, 16, 3)).astype(np.uint8)
    return {"image": images, "label": np.arange(30) % 3, "parts": random.integers(0, 4, images.shape[:3])}


@pytest.fixture(scope="module")
def patches(model, split):
    return top_patches(model, split, count=COUNT, batch_size=7)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_the_top_images_and_places_are_those_of_brute_force(model, split, patches, layer):
    maps = feature_maps(model, split["image"], layer)[layer]["detect"]
    for unit in range(maps.shape[-1]):
        best = maps[..., unit].max(axis=(1, 2))
        expected = np.argsort(-best, kind="stable")[:COUNT]
        assert patches[layer].index[unit].tolist() == expected.tolist()
        np.testing.assert_allclose(patches[layer].values[unit], best[expected], rtol=1e-6)
        for rank, index in enumerate(expected):
            place = np.unravel_index(maps[index, ..., unit].argmax(), maps.shape[1:3])
            assert tuple(patches[layer].cells[unit, rank]) == place


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_only_what_is_in_its_patch_excites_a_unit(model, split, patches, layer):
    of_layer = patches[layer]
    for unit in range(len(of_layer.index)):
        top, left, bottom, right = np.maximum(of_layer.boxes[unit, 0], 0)
        alone = np.zeros((1, 20, 16, 3), np.uint8)
        alone[0, top:bottom, left:right] = of_layer.patch(unit, 0)
        row, column = of_layer.cells[unit, 0]
        value = feature_maps(model, alone, layer)[layer]["detect"][0, row, column, unit]
        assert value == pytest.approx(of_layer.values[unit, 0], rel=1e-5)


def test_images_come_with_their_labels_and_masks_each_once(split, patches):
    of_layer = patches["conv2"]
    np.testing.assert_array_equal(of_layer.images[of_layer.rows], split["image"][of_layer.index])
    np.testing.assert_array_equal(of_layer.labels[of_layer.rows], split["label"][of_layer.index])
    np.testing.assert_array_equal(of_layer.masks[of_layer.rows], split["parts"][of_layer.index])
    assert len(of_layer.images) == len(np.unique(of_layer.index))


def test_boxes_of_places_at_the_border_reach_into_the_padding(patches):
    of_layer = patches["conv1"]
    for unit, rank in np.ndindex(of_layer.index.shape):
        row, column = of_layer.cells[unit, rank]
        assert of_layer.boxes[unit, rank].tolist() == [row - 1, column - 1, row + 2, column + 2]


def test_a_dense_units_patch_is_the_whole_image(model, split):
    one = top_patches(model, split, ["dense"], count=2)["dense"]
    logits = model(split["image"].astype("float32")).numpy()
    assert one.index[:, 0].tolist() == logits.argmax(axis=0).tolist()
    np.testing.assert_array_equal(one.patch(3, 0), split["image"][one.index[3, 0]])


def test_of_equal_images_the_earliest_wins_whatever_the_batches(model, split):
    repeated = np.tile(split["image"][:3], (6, 1, 1, 1))
    for batch_size in (1, 4, 18):
        one = top_patches(model, repeated, count=3, batch_size=batch_size)["conv2"]
        assert (one.index[:, 0] < 3).all()
        assert (np.diff(one.index, axis=1) == 3).sum() >= len(one.index)


def test_fewer_images_than_asked_for_are_all_there_are(model, split):
    assert top_patches(model, split["image"][:2], count=9)["conv1"].index.shape == (5, 2)


def test_a_collector_keeps_only_images_that_are_among_the_best(model, split):
    collector = PatchesCollector(1)
    unit_pass(model, split, ["conv1"], collectors=[collector], batch_size=5)
    assert len(collector._kept) <= 5


def test_asking_for_no_image_is_refused():
    with pytest.raises(ValueError, match="count=0"):
        PatchesCollector(0)
