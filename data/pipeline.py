"""Streams of batches: order -> decode -> resize -> augment -> one-hot -> prefetch.

The images come from a `Feed`, which identifies the batches of an epoch before it decodes any.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from convlens.configs.schema import Augment
from convlens.data.augment import Augmentation, changes_anything, mirrored_in_even_epochs
from convlens.data.base import Feed

AUTOTUNE = tf.data.AUTOTUNE


def training(
    feed: Feed,
    batch_size: int,
    seed: int,
    steps: int,
    epochs: int,
    classes: int,
    augment: Augment | None,
    start: tuple[int, int],
) -> tf.data.Dataset:
    """(images, one-hot labels) for `steps` batches of every epoch from `start` = (epoch, step) on."""
    first_epoch, first_step = start[0] + start[1] // steps, start[1] % steps
    augmentation = Augmentation(augment) if augment and changes_anything(augment) else None
    mirrored = mirrored_in_even_epochs(augment, feed.count, seed)

    def numbered(epoch: tf.Tensor) -> tf.data.Dataset:
        skipped = tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)
        data = feed.epoch(_key(seed, epoch), batch_size)
        data = data.take(steps)
        data = data.enumerate()
        data = data.skip(skipped)
        return data.map(lambda step, element: (epoch, step, element))

    def finish(epoch: tf.Tensor, step: tf.Tensor, element: Any) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = feed.fetch(element)
        labels = tf.one_hot(labels, classes)
        if augmentation:
            turned = None if mirrored is None else tf.gather(mirrored, feed.indices(element)) ^ (epoch % 2 == 1)
            images, labels = augmentation(images, labels, _key(seed, epoch, step), turned)
        return images, labels

    data = tf.data.Dataset.range(first_epoch, epochs)
    data = data.flat_map(numbered)
    data = data.map(finish, num_parallel_calls=AUTOTUNE, deterministic=True)
    data = data.apply(tf.data.experimental.assert_cardinality((epochs - first_epoch) * steps - first_step))
    return data.prefetch(AUTOTUNE)


def overfitting(feed: Feed, batch_size: int, seed: int, steps: int, epochs: int, classes: int) -> tf.data.Dataset:
    """(images, one-hot labels): the first training batch of epoch 0, again and again."""
    data = first_batch(feed, batch_size, seed)
    data = data.map(lambda images, labels: (images, tf.one_hot(labels, classes)))
    data = data.cache()
    return data.repeat(steps * epochs)


def first_batch(feed: Feed, batch_size: int, seed: int) -> tf.data.Dataset:
    """(images, integer labels): the first training batch of epoch 0, once."""
    data = feed.epoch(_key(seed, 0), batch_size)
    data = data.take(1)
    data = data.apply(tf.data.experimental.assert_cardinality(1))
    return data.map(feed.fetch)


def evaluation(feed: Feed, batch_size: int, chosen: np.ndarray | None, count: int) -> tf.data.Dataset:
    """(images, integer labels) of `count` images in stored order, once.

    `chosen`: only the images with these indices, ascending.
    """
    data = feed.epoch(None, batch_size) if chosen is None else feed.chosen(chosen, batch_size)
    data = data.map(feed.fetch, num_parallel_calls=AUTOTUNE, deterministic=True)
    # Keras warns where a stream whose length it does not know comes to its end.
    data = data.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    return data.prefetch(AUTOTUNE)


def _key(seed: int, epoch: tf.Tensor, step: tf.Tensor | int = -1) -> tf.Tensor:
    """A stateless seed, int32 (2,), of its own for every epoch, and for every step in it."""
    key = tf.constant([seed, 0], tf.int32)
    key = tf.random.experimental.stateless_fold_in(key, tf.cast(epoch, tf.int32))
    return tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int32))
