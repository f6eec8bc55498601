"""What a dataset is made of: a `Source` has a `Split` for each role, and a `Feed` gives the images of a role in
batches.

To use a source of your own, write one class with the members of `Source` and one with those of `Split`, and open them
with `Dataset(source, config, progress)`. They need not inherit from these protocols. You need not write a `Feed`:
`data.feeds` has one for image files and one for records that are read in stored order.

A role is 'train', 'validation' or 'test'. The index of an image in its role is 0 ... len(split) - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import tensorflow as tf

    from convlens.core.progress import Progress
    from convlens.data.feeds import Decoder
    from convlens.data.images import Inspection

ROLES = ("train", "validation", "test")


@dataclass(frozen=True)
class ImageFormat:
    """The shape and the values that every image of a dataset has once it is decoded.

    Attributes:
        shape: (height, width, channels); channels are 1 or 3.
        resize: 'crop', 'pad' or 'stretch', as in `fit_image`; None: an image of a different size is refused.
        value_range: the values in the files that become 0 and 255; None: the full range of their bits.
    """

    shape: tuple[int, int, int]
    resize: str | None
    value_range: tuple[float, float] | None = None

    @property
    def dtype(self) -> np.dtype:
        """The dtype of decoded images: uint8, or uint16 in steps of 1/257 of a level if there is a `value_range`."""
        return np.dtype(np.uint8 if self.value_range is None else np.uint16)


@runtime_checkable
class Source(Protocol):
    """Where images come from. A source finds its images, checks every one of them, and divides them into roles.

    Its constructor does that work. It raises `UserError` for a mistake that a user can correct: no images, a class
    without images, an image that cannot be used, many images that are in two splits.
    """

    @property
    def name(self) -> str:
        """The name of the dataset, for people."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, at least two; a label is an index into them."""
        ...

    @property
    def splits(self) -> Mapping[str, Split]:
        """Role -> its images, for all three roles; `splits.carve_missing` takes missing ones from the training
        images."""
        ...

    @property
    def inspections(self) -> Mapping[str, Sequence[Inspection]]:
        """Role -> the inspection of each of its images (`images.inspect_image`), in the order of its split."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Lines for the user to read."""
        ...

    @property
    def skipped(self) -> tuple[str, ...]:
        """A line for each image that was left out because it cannot be used."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash that changes if the images, their labels or their roles change, and only then."""
        ...

    def shape(self, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
        """The (height, width, channels) of the images, given the configured size and channels; None means not
        configured.

        Raises `UserError` if the images differ in size and no size was configured.
        """
        ...

    def part_names(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """The names of the values in the images' masks, if masks fit images of `shape`; else ()."""
        ...

    def fault(self) -> str:
        """A line about the first image that can no longer be read; '' if all can. Called after a stream has failed."""
        ...


@runtime_checkable
class Split(Protocol):
    """The images of one role, in a fixed order. `len(split)` is their number."""

    @property
    def names(self) -> Sequence[str]:
        """The name of each image, for people and errors; names are unique in a source."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """int32 (n,), indices into the source's classes."""
        ...

    @property
    def streams(self) -> bool:
        """Whether the images can be read only in stored order.

        A shuffled epoch then draws each image from a buffer of `data.shuffle_buffer` images. Otherwise any image can be
        read at any time, and the whole epoch is shuffled.
        """
        ...

    def __len__(self) -> int: ...

    def each(self, indices: Sequence[int], image_format: ImageFormat) -> Iterator[np.ndarray]:
        """Gives some images, by ascending index, one after another, each of the format's shape and dtype.

        Raises `UserError`, naming the image, where one cannot be read.
        """
        ...

    def decode_all(
        self, take: Callable[[int, bytes, np.ndarray], None], image_format: ImageFormat, progress: Progress
    ) -> None:
        """Calls `take(index, encoded, pixels)` once for every image, in any order and from any thread.

        `encoded` are the bytes whose hash is in the image's inspection. No image stays in memory. Raises `UserError`,
        naming the image, if one cannot be read.
        """
        ...

    def check(self, image_format: ImageFormat, progress: Progress) -> None:
        """Raises `UserError`, naming the first image that cannot be used; called just before images are streamed."""
        ...

    def feed(self, decoder: Decoder, shuffle_buffer: int) -> Feed:
        """A feed of the images in batches, decoded again in every epoch.

        Args:
            decoder: gives the pixels and labels of a batch.
            shuffle_buffer: number of images in the shuffle buffer, used if the split streams.
        """
        ...

    def masks(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """The masks of some images, by ascending index: uint8 (height, width), values as `Source.part_names` names
        them.

        Called only if the source has names for them.
        """
        ...


@runtime_checkable
class Feed(Protocol):
    """Gives the images of one role to the pipeline, which runs in tf.data.

    A batch is first a small element that identifies it (indices, or encoded images) and is decoded later, so that
    skipping to a step costs almost nothing.
    """

    @property
    def count(self) -> int:
        """How many images there are."""
        ...

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        """Elements for the batches of one epoch; the last batch may be smaller.

        Args:
            key: int32 (2,); equal keys give equal orders. None: stored order.
        """
        ...

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        """Elements for the batches of some images, by ascending index; the last batch may be smaller."""
        ...

    def indices(self, element: Any) -> tf.Tensor:
        """The indices of the images in an element's batch, integers (batch,)."""
        ...

    def fetch(self, element: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The batch of an element: images (batch, height, width, channels) in [0, 255], labels int32 (batch,).

        Images are uint8, or float32 if they are kept as uint16.
        """
        ...


@runtime_checkable
class CachedFeed(Feed, Protocol):
    """A feed of images that are already decoded and can also be read as arrays."""

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Some images, in any order, as they are kept: (n, height, width, channels) of the format's dtype."""
        ...

    def all(self) -> np.ndarray:
        """Every image, as `read` gives them."""
        ...
