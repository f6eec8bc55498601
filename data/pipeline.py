"""Streams of batches: order -> decode -> resize -> augment -> one-hot -> prefetch.

A feed knows how to give a role's images. `epoch(key, batch_size)` is a cheap dataset of what identifies each batch
(indices, or encoded images), shuffled by `key` or in stored order, `chosen(indices, batch_size)` is one of some images
only; `fetch(element)` turns one into pixels and labels.
Skipping to a step is therefore done before anything is decoded.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from configs import UserError
from configs.schema import Augment
from data.augment import Augmentation, changes_anything

AUTOTUNE = tf.data.AUTOTUNE


class InMemory:
    """Decoded images in one array: a batch is a gather."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray):
        # On the CPU, where tf.data runs; a captured tensor, unlike a constant, is not copied into the graph.
        with tf.device("CPU:0"):
            self._pixels = tf.convert_to_tensor(pixels)
            self._labels = tf.convert_to_tensor(labels)

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        return _batches_of_indices(len(self._labels), key, batch_size)

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(indices.astype(np.int32)).batch(batch_size)

    def fetch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(self._pixels, indices), tf.gather(self._labels, indices)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return tf.gather(self._pixels, indices).numpy()


class FromFiles:
    """Image files, read in any order and decoded anew in every epoch; several batches are decoded at once.

    Args:
        faults: gets the `UserError` of a file that cannot be read: tf.data wraps it in an error of its own.
    """

    def __init__(self, images, shape: tuple[int, int, int], resize: str | None, faults: list[UserError]):
        self._images = images
        self._shape = shape
        self._resize = resize
        self._faults = faults

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        return _batches_of_indices(len(self._images), key, batch_size)

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(indices.astype(np.int32)).batch(batch_size)

    def fetch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(_keeping(self._faults, self.read), [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, *self._shape)), tf.gather(self._images.labels, indices)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._images.read(indices, self._shape, self._resize)


class FromRecords:
    """TFDS records, read in stored order and shuffled, still encoded, in a buffer; decoded anew in every epoch."""

    def __init__(
        self, images, shape: tuple[int, int, int], resize: str | None, faults: list[UserError], shuffle_buffer: int
    ):
        self._images = images
        self._shape = shape
        self._resize = resize
        self._faults = faults
        self._shuffle_buffer = shuffle_buffer
        self._records = images.records()

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        data = self._records
        if key is not None:
            # Otherwise shuffle() would mix the program's global seed into the key.
            tf.compat.v1.set_random_seed(1)
            seed = tf.bitcast(key, tf.int64)
            data = data.shuffle(self._shuffle_buffer, seed=seed, reshuffle_each_iteration=False)
        return self._batched(data, batch_size)

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        wanted = np.zeros(len(self._images), bool)
        wanted[indices] = True
        return self._batched(self._records.filter(lambda encoded, index: tf.gather(wanted, index)), batch_size)

    @staticmethod
    def _batched(records: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        data = records.batch(batch_size)
        return data.map(lambda encoded, indices: {"encoded": encoded, "indices": indices})

    def fetch(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        decode = _keeping(self._faults, self._decode)
        images = tf.numpy_function(decode, [batch["encoded"], batch["indices"]], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, *self._shape)), tf.gather(self._images.labels, batch["indices"])

    def _decode(self, encoded: np.ndarray, indices: np.ndarray) -> np.ndarray:
        pairs = zip(encoded, indices, strict=True)
        return np.stack([self._images.decode(image, index, self._shape, self._resize) for image, index in pairs])


def from_disk(
    images, shape: tuple[int, int, int], resize: str | None, faults: list[UserError], shuffle_buffer: int
) -> FromFiles | FromRecords:
    """The feed for images that do not fit in memory."""
    if hasattr(images, "records"):
        return FromRecords(images, shape, resize, faults, shuffle_buffer)
    return FromFiles(images, shape, resize, faults)


def _keeping(faults: list[UserError], read: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def reading(*given) -> np.ndarray:
        try:
            return read(*given)
        except UserError as fault:
            faults.append(fault)
            raise

    return reading


def training(
    feed, batch_size: int, seed: int, steps: int, epochs: int, classes: int, augment: Augment | None, start: tuple
) -> tf.data.Dataset:
    """(images, one-hot labels) for `steps` batches of every epoch from `start` = (epoch, step) on."""
    first_epoch, first_step = start[0] + start[1] // steps, start[1] % steps
    augmentation = Augmentation(augment) if augment and changes_anything(augment) else None

    def numbered(epoch: tf.Tensor) -> tf.data.Dataset:
        skipped = tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)
        data = feed.epoch(_key(seed, epoch), batch_size)
        data = data.take(steps)
        data = data.enumerate()
        data = data.skip(skipped)
        return data.map(lambda step, batch: (epoch, step, batch))

    def finish(epoch: tf.Tensor, step: tf.Tensor, batch) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = feed.fetch(batch)
        labels = tf.one_hot(labels, classes)
        if augmentation:
            images, labels = augmentation(images, labels, _key(seed, epoch, step))
        return images, labels

    data = tf.data.Dataset.range(first_epoch, epochs)
    data = data.flat_map(numbered)
    data = data.map(finish, num_parallel_calls=AUTOTUNE, deterministic=True)
    data = data.apply(tf.data.experimental.assert_cardinality((epochs - first_epoch) * steps - first_step))
    return data.prefetch(AUTOTUNE)


def overfitting(feed, batch_size: int, seed: int, steps: int, epochs: int, classes: int) -> tf.data.Dataset:
    """(images, one-hot labels): the first training batch of epoch 0, again and again."""
    data = first_batch(feed, batch_size, seed)
    data = data.map(lambda images, labels: (images, tf.one_hot(labels, classes)))
    data = data.cache()
    return data.repeat(steps * epochs)


def first_batch(feed, batch_size: int, seed: int) -> tf.data.Dataset:
    """(images, integer labels): the first training batch of epoch 0, once."""
    data = feed.epoch(_key(seed, 0), batch_size)
    data = data.take(1)
    return data.map(feed.fetch)


def evaluation(feed, batch_size: int, chosen: np.ndarray | None) -> tf.data.Dataset:
    """(images, integer labels) in stored order, once; `chosen`: only the images with these indices, ascending."""
    data = feed.epoch(None, batch_size) if chosen is None else feed.chosen(chosen, batch_size)
    data = data.map(feed.fetch, num_parallel_calls=AUTOTUNE, deterministic=True)
    return data.prefetch(AUTOTUNE)


def _batches_of_indices(count: int, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
    order = tf.range(count)
    if key is not None:
        order = tf.random.experimental.stateless_shuffle(order, seed=key)
    data = tf.data.Dataset.from_tensor_slices(order)
    return data.batch(batch_size)


def _key(seed: int, epoch: tf.Tensor, step: tf.Tensor | int = -1) -> tf.Tensor:
    """A stateless seed, int32 (2,), of its own for every epoch, and for every step in it."""
    key = tf.constant([seed, 0], tf.int32)
    key = tf.random.experimental.stateless_fold_in(key, tf.cast(epoch, tf.int32))
    return tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int32))
