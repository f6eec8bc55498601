"""Who is near whom in a layer, against all distances computed at once."""

import keras
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from convlens.core.errors import ModelError
from convlens.interpret.neighbours import embedding, features_layer, nearest_neighbours
from convlens.models import feature_maps

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(7, name="dense"),
        ]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (50, 12, 12, 3)).astype(np.uint8)


def expected(model, images, layer, by_cell=False):
    if layer == "dense":
        return feature_maps(model, images, [layer])[layer]["output"]
    maps = feature_maps(model, images, [layer], ["detect"])[layer]["detect"]
    return maps.reshape(len(maps), -1) if by_cell else maps.mean(axis=(1, 2))


@pytest.mark.parametrize(("layer", "by_cell"), [("conv", False), ("conv", True), ("dense", False)])
def test_neighbours_are_those_of_all_distances_at_once(model, images, layer, by_cell):
    neighbours = nearest_neighbours(model, images[:3], images, layer, count=5, by_cell=by_cell, batch_size=7)
    vectors = expected(model, images, layer, by_cell)
    distances = cdist(vectors[:3], vectors, "cosine")
    order = np.argsort(distances, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(neighbours.index, order)
    np.testing.assert_allclose(neighbours.distances, np.take_along_axis(distances, order, axis=1), atol=1e-5)
    np.testing.assert_array_equal(neighbours.images[neighbours.rows], images[order])


def test_an_image_is_its_own_neighbour_unless_it_is_skipped(model, images):
    split = {"image": images, "label": np.arange(50) % 4}
    neighbours = nearest_neighbours(model, images[[4, 9]], split, "dense", count=3, batch_size=16)
    assert neighbours.index[:, 0].tolist() == [4, 9] and np.allclose(neighbours.distances[:, 0], 0, atol=1e-6)
    np.testing.assert_array_equal(neighbours.labels[neighbours.rows], neighbours.index % 4)
    others = nearest_neighbours(model, images[[4, 9]], split, "dense", count=2, skip=[4, 9], batch_size=16)
    np.testing.assert_array_equal(others.index, neighbours.index[:, 1:])


def test_a_split_smaller_than_the_count_gives_all_but_the_image_itself(model, images):
    neighbours = nearest_neighbours(model, images[:1], images[:4], "conv", count=9, skip=[0])
    assert sorted(neighbours.index[0].tolist()) == [1, 2, 3] and np.isfinite(neighbours.distances).all()


def test_no_more_images_are_read_than_an_embedding_needs(model, images):
    def endless():
        while True:
            yield images[:8], np.arange(8)

    embedded = embedding(model, endless(), "dense", most=20)
    np.testing.assert_allclose(embedded.vectors[:8], expected(model, images[:8], "dense"), atol=1e-4)
    assert embedded.vectors.shape == (20, 7) and len(embedded.images) == 20
    assert embedded.labels.tolist() == [*range(8), *range(8), *range(4)]


def test_the_features_before_the_logits_are_the_last_vector_that_was_computed(model):
    images = keras.Input((12, 12, 3))
    maps = layers.Conv2D(6, 3, name="conv")(images)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(maps)
    hidden = layers.Dropout(0.5)(layers.Dense(5, name="hidden")(pooled))
    assert features_layer(keras.Model(images, layers.Dense(2)(hidden))) == "hidden"
    assert features_layer(keras.Model(images, layers.Dense(2)(pooled))) == "pooled"
    assert features_layer(keras.Model(images, layers.Conv2D(2, 10)(maps))) != "conv"
    assert features_layer(keras.Model(images, maps)) == "conv"


def test_mistakes_are_told(model, images):
    with pytest.raises(ModelError, match="Unknown layer 'dens'"):
        nearest_neighbours(model, images[:1], images, "dens")
    with pytest.raises(ModelError, match="expected an index for each"):
        nearest_neighbours(model, images[:2], images, "conv", skip=[1])
