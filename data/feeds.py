"""Where the pipeline gets a role's images from: memory, files of decoded images, image files, or records.

Each class is a `Feed` as `data.base` says; the first two are a `CachedFeed`.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from convlens.core.errors import UserError
from convlens.data.base import ImageFormat
from convlens.data.cache.pixel_file import PixelFile
from convlens.data.images import STEPS, read_stored


class _IndexedFeed:
    """Images of which any can be had at any time: an element of an epoch is a batch of indices."""

    def __init__(self, count: int):
        self.count = count

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        order = tf.range(self.count)
        if key is not None:
            order = tf.random.experimental.stateless_shuffle(order, seed=key)
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(indices.astype(np.int32)).batch(batch_size)

    def indices(self, element: tf.Tensor) -> tf.Tensor:
        return element


class MemoryFeed(_IndexedFeed):
    """Decoded images in one array: a batch is a gather.

    Args:
        pixels: uint8 or uint16 (n, height, width, channels).
        labels: int32 (n,).
    """

    def __init__(self, pixels: np.ndarray, labels: np.ndarray):
        super().__init__(len(labels))
        # On the CPU, where tf.data runs; a captured tensor, unlike a constant, is not copied into the graph.
        with tf.device("CPU:0"):
            self._pixels = tf.convert_to_tensor(pixels)
            self._labels = tf.convert_to_tensor(labels)

    def fetch(self, element: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _in_pixels(tf.gather(self._pixels, element)), tf.gather(self._labels, element)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return tf.gather(self._pixels, indices).numpy()

    def all(self) -> np.ndarray:
        return self._pixels.numpy()


class DiskFeed(_IndexedFeed):
    """Decoded images in a file, from which each batch is read.

    Args:
        labels: int32 (n,).
        faults: gets the `UserError` of a file that can no longer be read: tf.data wraps it in an error of its own.
    """

    def __init__(self, file: PixelFile, labels: np.ndarray, faults: list[UserError]):
        super().__init__(len(labels))
        self._file = file
        self._labels = labels
        self._faults = faults

    def fetch(self, element: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(_keeping(self._faults, self.read), [element], self._file.dtype, stateful=False)
        images = tf.ensure_shape(images, (None, *self._file.shape[1:]))
        return _in_pixels(images), tf.gather(self._labels, element)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._file.read(indices)

    def all(self) -> np.ndarray:
        return self._file.all()


class Decoder:
    """Encoded images become pixels: by TensorFlow where that gives the very same, else by what reads every format.

    Args:
        labels: of the role's images, int32 (n,).
        image_format: what each image becomes.
        plain: for each image of the role, whether to decode is all that has to be done to it, (n,) bool.
        faults: gets the `UserError` of an image that cannot be read: tf.data wraps it in an error of its own.

    Attributes: image_format.
    """

    def __init__(self, labels: np.ndarray, image_format: ImageFormat, plain: np.ndarray, faults: list[UserError]):
        self.image_format = image_format
        self._labels = labels
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
        shape, dtype = self.image_format.shape, self.image_format.dtype

        def exactly(image: tf.Tensor) -> tf.Tensor:
            # The method that Pillow has, too; others, a little faster, give other pixels. It decodes PNG as well.
            return tf.io.decode_jpeg(image, channels=shape[2], dct_method="INTEGER_ACCURATE")

        images = tf.cond(
            tf.reduce_all(tf.gather(self._plain, indices)),
            lambda: tf.cast(tf.map_fn(exactly, encoded(), fn_output_signature=tf.uint8), dtype),
            lambda: tf.numpy_function(_keeping(self._faults, otherwise), given, dtype, stateful=False),
        )
        return _in_pixels(tf.ensure_shape(images, (None, *shape))), tf.gather(self._labels, indices)


class FileFeed(_IndexedFeed):
    """Image files, read in any order and decoded anew in every epoch; several batches are decoded at once.

    Args:
        paths: of each image of the role.
    """

    def __init__(self, paths: Sequence[Path], decoder: Decoder):
        super().__init__(len(paths))
        self._decoder = decoder
        self._paths = paths
        self._encoded_paths = np.array([os.fsencode(path) for path in paths])

    def fetch(self, element: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def encoded() -> tf.Tensor:
            return tf.map_fn(tf.io.read_file, tf.gather(self._encoded_paths, element))

        return self._decoder(encoded, element, self._read, element)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        image_format = self._decoder.image_format
        (height, width, channels), resize = image_format.shape, image_format.resize
        return np.stack(
            [
                read_stored(self._paths[index], (height, width), channels, resize, image_format.value_range)
                for index in indices
            ]
        )


class Records(Protocol):
    """Encoded images that are read in stored order, as `RecordFeed` asks for them. `len(records)` is their number."""

    def __len__(self) -> int: ...

    def encoded_batches(
        self,
        batch_size: int,
        indices: Sequence[int] | np.ndarray | None = None,
        shuffle: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
    ) -> tf.data.Dataset:
        """Batches of (encoded images, their indices), always in the same order.

        Args:
            indices: only these images.
            shuffle: changes the order of single records, before they are batched.
        """
        ...

    def decode(self, encoded: bytes, index: int, image_format: ImageFormat) -> np.ndarray:
        """One image, of the format's shape and dtype. Raises `UserError` where it cannot be used."""
        ...


class RecordFeed:
    """Records, read in stored order and shuffled, still encoded, in a buffer; decoded anew in every epoch.

    Args:
        shuffle_buffer: how many images the buffer holds.
    """

    def __init__(self, records: Records, decoder: Decoder, shuffle_buffer: int):
        self.count = len(records)
        self._records = records
        self._decoder = decoder
        self._shuffle_buffer = shuffle_buffer

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        if key is None:
            return _elements(self._records.encoded_batches(batch_size))
        # Otherwise shuffle() would mix the program's global seed into the key.
        tf.compat.v1.set_random_seed(1)
        seed = tf.bitcast(key, tf.int64)

        def shuffle(records: tf.data.Dataset) -> tf.data.Dataset:
            return records.shuffle(self._shuffle_buffer, seed=seed, reshuffle_each_iteration=False)

        return _elements(self._records.encoded_batches(batch_size, shuffle=shuffle))

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        return _elements(self._records.encoded_batches(batch_size, indices))

    def indices(self, element: dict[str, tf.Tensor]) -> tf.Tensor:
        return element["indices"]

    def fetch(self, element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        encoded, indices = element["encoded"], element["indices"]
        return self._decoder(lambda: encoded, indices, self._decode, encoded, indices)

    def _decode(self, encoded: np.ndarray, indices: np.ndarray) -> np.ndarray:
        image_format = self._decoder.image_format
        return np.stack([self._records.decode(*pair, image_format) for pair in zip(encoded, indices, strict=True)])


def _in_pixels(stored: tf.Tensor) -> tf.Tensor:
    """As `images.in_pixels`."""
    return stored if stored.dtype != tf.uint16 else tf.cast(stored, tf.float32) / STEPS


def _elements(batches: tf.data.Dataset) -> tf.data.Dataset:
    return batches.map(lambda encoded, indices: {"encoded": encoded, "indices": indices})


def _keeping(faults: list[UserError], read: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def reading(*given: np.ndarray) -> np.ndarray:
        try:
            return read(*given)
        except UserError as fault:
            faults.append(fault)
            raise

    return reading
