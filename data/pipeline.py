"""Streams of batches: order -> decode -> resize -> augment -> one-hot -> prefetch.

A feed knows how to give a role's images, `count` of them. `epoch(key, batch_size)` is a cheap dataset of what
identifies each batch (indices, or encoded images), shuffled by `key` or in stored order, `chosen(indices, batch_size)`
is one of some images only; `fetch(element)` turns one into pixels and labels, `indices(element)` says which they are.
Skipping to a step is therefore done before anything is decoded.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from convlens.configs.schema import Augment
from convlens.core.errors import UserError
from convlens.data.augment import Augmentation, changes_anything, mirrored_in_even_epochs
from convlens.data.cache.pixel_file import PixelFile

AUTOTUNE = tf.data.AUTOTUNE


class _ByIndex:
    """Images that can be had in any order."""

    def __init__(self, count: int):
        self.count = count

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        return _batches_of_indices(self.count, key, batch_size)

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(indices.astype(np.int32)).batch(batch_size)

    def indices(self, batch: tf.Tensor) -> tf.Tensor:
        return batch


class InMemory(_ByIndex):
    """Decoded images in one array: a batch is a gather."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray):
        super().__init__(len(labels))
        # On the CPU, where tf.data runs; a captured tensor, unlike a constant, is not copied into the graph.
        with tf.device("CPU:0"):
            self._pixels = tf.convert_to_tensor(pixels)
            self._labels = tf.convert_to_tensor(labels)

    def fetch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(self._pixels, indices), tf.gather(self._labels, indices)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return tf.gather(self._pixels, indices).numpy()

    def all(self) -> np.ndarray:
        return self._pixels.numpy()


class OnDisk(_ByIndex):
    """Decoded images in a file, from which each batch is read.

    Args:
        faults: gets the `UserError` of a file that can no longer be read: tf.data wraps it in an error of its own.
    """

    def __init__(self, file: PixelFile, labels: np.ndarray, faults: list[UserError]):
        super().__init__(len(labels))
        self.read, self.all = file.read, file.all
        self._shape = file.shape[1:]
        self._labels = labels
        self._faults = faults

    def fetch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(_keeping(self._faults, self.read), [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, *self._shape)), tf.gather(self._labels, indices)


class Decoding:
    """Encoded images become pixels: by TensorFlow where that gives the very same, else by what reads every format.

    Args:
        plain: for each image of the role, whether to decode is all that has to be done to it, (n,) bool.
        faults: gets the `UserError` of an image that cannot be read: tf.data wraps it in an error of its own.
    """

    def __init__(
        self, images, shape: tuple[int, int, int], resize: str | None, plain: np.ndarray, faults: list[UserError]
    ):
        self.shape, self.resize = shape, resize
        self._labels = images.labels
        self._plain = plain
        self._faults = faults

    def __call__(
        self,
        encoded: Callable[[], tf.Tensor],
        indices: tf.Tensor,
        otherwise: Callable[..., np.ndarray],
        *given: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """A batch's pixels and labels.

        Args:
            encoded: gives the batch's images as they are stored.
            indices: which images they are.
            otherwise: makes pixels of `given` where some image is not plain.
        """

        def exactly(image: tf.Tensor) -> tf.Tensor:
            # The method that Pillow has, too; others, a little faster, give other pixels. It decodes PNG as well.
            return tf.io.decode_jpeg(image, channels=self.shape[2], dct_method="INTEGER_ACCURATE")

        images = tf.cond(
            tf.reduce_all(tf.gather(self._plain, indices)),
            lambda: tf.map_fn(exactly, encoded(), fn_output_signature=tf.uint8),
            lambda: tf.numpy_function(_keeping(self._faults, otherwise), given, tf.uint8, stateful=False),
        )
        return tf.ensure_shape(images, (None, *self.shape)), tf.gather(self._labels, indices)


class FromFiles(_ByIndex):
    """Image files, read in any order and decoded anew in every epoch; several batches are decoded at once."""

    def __init__(self, images, decoding: Decoding):
        super().__init__(len(images))
        self._images = images
        self._decoding = decoding
        self._paths = np.array([os.fsencode(images.root / name) for name in images.names])

    def fetch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def encoded() -> tf.Tensor:
            return tf.map_fn(tf.io.read_file, tf.gather(self._paths, indices))

        return self._decoding(encoded, indices, self.read, indices)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._images.read(indices, self._decoding.shape, self._decoding.resize)


class FromRecords:
    """TFDS records, read in stored order and shuffled, still encoded, in a buffer; decoded anew in every epoch."""

    def __init__(self, images, decoding: Decoding, shuffle_buffer: int):
        self.count = len(images)
        self._images = images
        self._decoding = decoding
        self._shuffle_buffer = shuffle_buffer

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        if key is None:
            return _named(self._images.batches(batch_size))
        # Otherwise shuffle() would mix the program's global seed into the key.
        tf.compat.v1.set_random_seed(1)
        options = {"seed": tf.bitcast(key, tf.int64), "reshuffle_each_iteration": False}
        shuffled = self._images.batches(batch_size, shuffle=lambda data: data.shuffle(self._shuffle_buffer, **options))
        return _named(shuffled)

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        return _named(self._images.batches(batch_size, indices))

    def indices(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return batch["indices"]

    def fetch(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        encoded, indices = batch["encoded"], batch["indices"]
        return self._decoding(lambda: encoded, indices, self._decode, encoded, indices)

    def _decode(self, encoded: np.ndarray, indices: np.ndarray) -> np.ndarray:
        shape, resize = self._decoding.shape, self._decoding.resize
        return np.stack([self._images.decode(*pair, shape, resize) for pair in zip(encoded, indices, strict=True)])


def streamed(images, decoding: Decoding, shuffle_buffer: int) -> FromFiles | FromRecords:
    """The feed for images that are decoded anew in every epoch."""
    if hasattr(images, "batches"):
        return FromRecords(images, decoding, shuffle_buffer)
    return FromFiles(images, decoding)


def _named(batches: tf.data.Dataset) -> tf.data.Dataset:
    return batches.map(lambda encoded, indices: {"encoded": encoded, "indices": indices})


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
    mirrored = mirrored_in_even_epochs(augment, feed.count, seed)

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
            turned = None if mirrored is None else tf.gather(mirrored, feed.indices(batch)) ^ (epoch % 2 == 1)
            images, labels = augmentation(images, labels, _key(seed, epoch, step), turned)
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
    data = data.apply(tf.data.experimental.assert_cardinality(1))
    return data.map(feed.fetch)


def evaluation(feed, batch_size: int, chosen: np.ndarray | None, count: int) -> tf.data.Dataset:
    """(images, integer labels) of `count` images in stored order, once.

    `chosen`: only the images with these indices, ascending.
    """
    data = feed.epoch(None, batch_size) if chosen is None else feed.chosen(chosen, batch_size)
    data = data.map(feed.fetch, num_parallel_calls=AUTOTUNE, deterministic=True)
    # Keras warns where a stream whose length it does not know comes to its end.
    data = data.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
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
