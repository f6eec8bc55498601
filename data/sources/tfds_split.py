"""The images of one role of a prepared TFDS dataset, read record by record."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from convlens.core.errors import UserError, nearest
from convlens.core.progress import Progress
from convlens.data.base import Feed, ImageFormat
from convlens.data.images import Inspection, decode_image, inspect_encoded
from convlens.data.sources.tfds_preparation import no_warnings
from convlens.data.sources.tfds_shards import naming_damaged_shard, one_line_reason, serialized_records
from convlens.data.survey import inspection_or_problem

if TYPE_CHECKING:
    from convlens.data.feeds import Decoder

BATCH = 256  # records that are read at once


class TfdsSplit:
    """The images of one role, in the order in which TFDS stores them.

    Args:
        positions: which records of `expression` belong to this role, ascending.
        labels: their labels, as indices into the classes that are kept.
    """

    streams = True

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        image_key: str,
        expression: str,
        positions: np.ndarray,
        labels: np.ndarray,
    ):
        self.builder = builder
        self.image_key = image_key
        self.expression = expression
        self.positions = positions
        self.labels = labels.astype(np.int32)
        self.names = [f"{expression} {position}" for position in positions.tolist()]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "TfdsSplit":
        """The images of these indices, ascending, as a split of their own."""
        return TfdsSplit(self.builder, self.image_key, self.expression, self.positions[indices], self.labels[indices])

    def encoded_batches(
        self,
        batch_size: int,
        indices: Sequence[int] | np.ndarray | None = None,
        shuffle: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
    ) -> tf.data.Dataset:
        """Batches of (encoded images, indices within this role), always in the same order.

        Args:
            indices: only these images.
            shuffle: changes the order of single records, before they are batched.
        """
        index_of = np.full(count_records(self.builder, self.expression), -1, np.int64)
        index_of[self.positions] = np.arange(len(self))
        wanted = np.zeros(len(index_of), bool)
        wanted[self.positions if indices is None else self.positions[list(indices)]] = True

        whole = serialized_records(self.builder, self.expression)
        data = (
            read_feature(self.builder, self.expression, self.image_key, skip_decoding=True) if whole is None else whole
        )
        data = data.enumerate()
        if not wanted.all():
            data = data.filter(lambda position, record: tf.gather(wanted, position))
        if shuffle:
            data = shuffle(data)

        # What is done to a batch at once takes a fraction of the time that it takes record by record.
        def finish(positions: tf.Tensor, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            if whole is not None:
                image = {self.image_key: tf.io.FixedLenFeature([], tf.string)}
                records = tf.io.parse_example(records, image)[self.image_key]
            return records, tf.gather(index_of, positions)

        return data.batch(batch_size).map(finish)

    def decode(self, encoded: bytes, index: int, image_format: ImageFormat) -> np.ndarray:
        """One record's image, (height, width, channels) of the format's dtype."""
        height, width, channels = image_format.shape
        resize, value_range = image_format.resize, image_format.value_range
        return decode_image(encoded, self._full_name(index), (height, width), channels, resize, value_range)

    def each(self, indices: Sequence[int], image_format: ImageFormat) -> Iterator[np.ndarray]:
        """Some images, by ascending index, one after another. Reads every record before the last of them."""
        for encoded, index in _first(self.encoded_batches(BATCH, indices).unbatch(), len(indices)):
            yield self.decode(encoded, index, image_format)

    def feed(self, decoder: "Decoder", shuffle_buffer: int) -> Feed:
        """The records in stored order, or shuffled in a buffer, decoded anew in every epoch."""
        from convlens.data.feeds import RecordFeed

        return RecordFeed(self, decoder, shuffle_buffer)

    def masks(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """The part masks of some images, uint8 (height, width), by ascending index."""
        positions = self.positions[list(indices)]
        masks = read_feature(self.builder, self.expression, "parts", skip_decoding=False).enumerate()
        masks = masks.filter(lambda position, mask: tf.reduce_any(position == positions))
        for _, mask in _first(masks, len(positions)):
            yield mask[..., 0]

    def decode_all(
        self, take: Callable[[int, bytes, np.ndarray], None], image_format: ImageFormat, progress: Progress
    ) -> None:
        """Calls `take(index, encoded, pixels)` for every image, in several threads; none stays in memory."""

        def decode(encoded: bytes, index: int) -> None:
            take(index, encoded, self.decode(encoded, index, image_format))

        self._each_in_threads(decode, progress)

    def check(self, image_format: ImageFormat, progress: Progress) -> None:
        """Nothing is left to check: finding the labels has read every record, with its checksum, and the survey every
        image."""

    def inspect(self, progress: Progress) -> list[Inspection | str]:
        """What is in every image, or why it cannot be used, decoded in several threads."""
        results: list[Inspection | str] = [""] * len(self)

        def inspect_record(encoded: bytes, index: int) -> None:
            results[index] = inspection_or_problem(inspect_encoded, encoded, self._full_name(index))

        self._each_in_threads(inspect_record, progress)
        return results

    def _full_name(self, index: int) -> str:
        return f"{self.builder.info.full_name}, image {self.names[index]},"

    def _each_in_threads(self, work: Callable[[bytes, int], None], progress: Progress) -> None:
        done = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool, naming_damaged_shard(self.builder, self.expression):
            for encoded, indices in self.encoded_batches(BATCH).prefetch(2).as_numpy_iterator():
                list(pool.map(work, encoded, indices))
                done += len(indices)
                progress(done, len(self))


def count_records(builder: tfds.core.DatasetBuilder, expression: str, given: str | None = None) -> int:
    """How many records a split expression names. Raises `UserError`, calling it `given`, where there are none such."""
    try:
        return builder.info.splits[expression].num_examples
    except (KeyError, ValueError, AssertionError, TypeError) as error:
        available = list(builder.info.splits)
        guess = nearest(re.split(r"[\[+]", expression)[0], available)
        hint = f" Did you mean '{guess}'?" if guess and guess not in expression else ""
        raise UserError(
            f"{given or expression} is not a split of {builder.info.full_name}.{hint} It has "
            f"{', '.join(available) or 'none'}; parts are written like 'train[:80%]' ({one_line_reason(error)})."
        ) from None


def read_feature(builder: tfds.core.DatasetBuilder, expression: str, key: str, skip_decoding: bool) -> tf.data.Dataset:
    """One feature of every record, in stored order; an image stays encoded where decoding is skipped."""
    decoders = tfds.decode.PartialDecoding(
        {key: True}, decoders={key: tfds.decode.SkipDecoding()} if skip_decoding else None
    )
    settings = tfds.ReadConfig(try_autocache=False)
    try:
        with no_warnings():
            data = builder.as_dataset(split=expression, shuffle_files=False, decoders=decoders, read_config=settings)
    except (NotImplementedError, ImportError):  # TFDS reads some formats in other ways, or with other packages
        raise UserError(
            f"{builder.info.full_name} is stored in files of the format {builder.info.file_format.value}, which cannot "
            "be read here; prepare it as tfrecord files."
        ) from None
    return data.map(lambda example: example[key])


def _first(elements: tf.data.Dataset, count: int) -> Iterator[tuple]:
    """So many elements; reads no further."""
    return islice(elements.as_numpy_iterator(), count)
