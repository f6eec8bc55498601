"""Augmentation changes every image in its own way, as its key says and not otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from convlens.configs.schema import Augment
from convlens.data.augment import Augmentation, InTensorFlow, changes_anything

SIDE, BATCH = 16, 24
KEYS = tf.constant([[1, 2], [3, 4], [1, 2], [5, 6]], tf.int32)
KINDS = {
    "flip": True,
    "vertical_flip": True,
    "crop": 4,
    "translate": 0.2,
    "rotate": 20.0,
    "zoom": 0.3,
    "brightness": 0.3,
    "contrast": 0.5,
    "saturation": 0.5,
    "hue": 0.2,
    "rand_augment": 1,
    "erase": 0.5,
    "mixup": 0.3,
    "cutmix": 1.0,
}


def pictures(alike=True):
    generator = np.random.default_rng(0)
    images = np.kron(generator.integers(0, 256, (1 if alike else BATCH, 4, 4, 3)), np.ones((1, 4, 4, 1)))
    return tf.constant(np.broadcast_to(images, (BATCH, SIDE, SIDE, 3)).astype("uint8"))


def augmented(images, keys=KEYS, parallel=4, **config):
    """The batch augmented once for each key, inside a pipeline as in training."""
    augmentation = Augmentation(Augment(**config))
    labels = tf.one_hot(tf.range(BATCH) % 4, 4)
    data = tf.data.Dataset.from_tensor_slices(keys)
    data = data.map(lambda key: augmentation(images, labels, key), num_parallel_calls=parallel)
    return list(data.as_numpy_iterator())


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_follows_from_its_key_and_treats_each_image_in_its_own_way(name):
    images = pictures(alike=name not in ("mixup", "cutmix"))
    batches = augmented(images, **{name: KINDS[name]})
    backwards = augmented(images, KEYS[::-1], parallel=1, **{name: KINDS[name]})[::-1]
    for (pixels, labels), (others, other_labels) in zip(batches, backwards, strict=True):
        np.testing.assert_array_equal(pixels, others)
        np.testing.assert_array_equal(labels, other_labels)
        assert pixels.dtype == np.float32 and pixels.min() >= 0 and pixels.max() <= 255
    np.testing.assert_array_equal(batches[0][0], batches[2][0])
    if name != "rand_augment":  # it chooses its operation once for a batch, and not every one is random
        assert (batches[0][0] != batches[1][0]).any()
        assert len({image.tobytes() for image in batches[0][0]}) > (1 if "flip" in name else 5)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_images_mixes_their_labels_in_the_same_shares(name):
    # Of class k, every pixel is 60 k: the mean brightness of a mixture tells the label that it must have.
    images = tf.cast(
        tf.reshape(tf.range(BATCH) % 4, (-1, 1, 1, 1)) * 60 * tf.ones((1, SIDE, SIDE, 3), tf.int32), tf.uint8
    )
    for pixels, labels in augmented(images, **{name: KINDS[name]}):
        assert (np.count_nonzero(labels, axis=-1) > 1).any()
        np.testing.assert_allclose(labels.sum(-1), 1, rtol=1e-5)
        np.testing.assert_allclose(
            pixels.mean((1, 2, 3)), labels @ [0, 60, 120, 180], atol=25 if name == "cutmix" else 0.1
        )


def test_mixup_and_cutmix_take_turns():
    images = pictures(alike=False)
    keys = tf.constant([[number, 0] for number in range(24)], tf.int32)
    both = augmented(images, keys, mixup=0.3, cutmix=1.0)
    pasted = sum(np.isin(pixels, np.unique(images)).all() for pixels, _ in both)  # pasting makes no new values
    assert 4 < pasted < 20


def test_flips_happen_to_half_of_the_images_and_in_both_directions_independently():
    images = pictures()
    original = images[0].numpy()
    batches = augmented(images, tf.constant([[n, 7] for n in range(20)], tf.int32), flip=True, vertical_flip=True)
    seen = np.concatenate([pixels for pixels, _ in batches])
    variants = [original, original[:, ::-1], original[::-1], original[::-1, ::-1]]
    shares = [(seen == variant).all((1, 2, 3)).mean() for variant in variants]
    assert sum(shares) == pytest.approx(1)
    assert all(0.15 < share < 0.35 for share in shares)


def test_a_crop_shifts_by_whole_pixels_and_mirrors_the_border():
    row = tf.reshape(tf.constant(range(6), tf.uint8), (1, 1, 6, 1))
    rows = InTensorFlow.pad_and_crop(tf.tile(row, (200, 1, 1, 1)), 2, tf.constant([0, 0])).numpy()[:, 0, :, 0]
    expected = {(2, 1, 0, 1, 2, 3), (1, 0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 4), (2, 3, 4, 5, 4, 3)}
    assert set(map(tuple, rows.tolist())) == expected


def test_contrast_falls_as_often_as_it_rises():
    spread = pictures().numpy().std()
    ratios = [image.std() / spread for pixels, _ in augmented(pictures(), contrast=0.3) for image in pixels]
    assert min(ratios) < 0.85 and 0.9 < np.median(ratios) < 1.1


def test_the_given_share_of_images_is_erased():
    keys = tf.constant([[number, 1] for number in range(20)], tf.int32)
    untouched = [(pixels == pictures().numpy()).all((1, 2, 3)) for pixels, _ in augmented(pictures(), keys, erase=0.25)]
    assert 0.68 < np.mean(untouched) < 0.82


def test_saturation_and_hue_keep_brightness_and_grey():
    grey = tf.repeat(pictures()[..., :1], 3, axis=-1)
    for config in ({"saturation": 0.8}, {"hue": 0.3}):
        for pixels, _ in augmented(grey, **config):
            np.testing.assert_allclose(pixels, grey, atol=0.01)
        for pixels, _ in augmented(pictures(), **config):
            np.testing.assert_allclose(pixels.max(-1), pictures().numpy().max(-1), atol=0.01)


def test_pixels_keep_single_precision_under_a_half_precision_policy():
    policy = keras.config.dtype_policy()
    exact = augmented(pictures(), translate=0.1)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = augmented(pictures(), translate=0.1)
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_array_equal(mixed[0][0], exact[0][0])


def test_nothing_switched_on_changes_nothing():
    assert not changes_anything(Augment())
    assert changes_anything(Augment(flip=True))
