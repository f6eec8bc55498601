"""What a dataset is made of: a `Source` has a `Split` for each role, and a `Feed` gives a role's images in batches.

To learn from images that come from elsewhere, write a class that does what `Source` says, one that does what `Split`
says, and open them with `Dataset(source, config, progress)`. They need not inherit from these protocols. A `Feed` need
not be written: `data.feeds` has one for image files and one for records that are read in stored order.

A role is 'train', 'validation' or 'test'. Within its role an image is known by its index, 0 ... len(split) - 1.
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
    """What every image of a dataset becomes when it is decoded.

    Attributes:
        shape: (height, width, channels); channels are 1 or 3.
        resize: 'crop', 'pad' or 'stretch', as in `fit_image`; None: an image of another size is refused.
        value_range: the values in the files that become 0 and 255; None: those that the number of bits allows.
    """

    shape: tuple[int, int, int]
    resize: str | None
    value_range: tuple[float, float] | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of decoded images as they are kept: uint8, or uint16 in steps of 1/257 where there is a `value_range`."""
        return np.dtype(np.uint8 if self.value_range is None else np.uint16)


@runtime_checkable
class Source(Protocol):
    """Where images come from: found, every one of them looked at, and divided into roles.

    Its constructor does that work, and raises `UserError` for what a user can mend: no images, a class without any, an
    image that cannot be used, many images that are in two splits.
    """

    @property
    def name(self) -> str:
        """Of the dataset, for people."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, at least two; a label is an index into them."""
        ...

    @property
    def splits(self) -> Mapping[str, Split]:
        """Role -> its images, for all three roles; `splits.carve_missing` makes those that are not there."""
        ...

    @property
    def inspections(self) -> Mapping[str, Sequence[Inspection]]:
        """Role -> what a look at each of its images found (`images.inspect_image`), in the order of its split."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Lines that the user should read."""
        ...

    @property
    def skipped(self) -> tuple[str, ...]:
        """A line for each image that was left out because it cannot be used."""
        ...

    @property
    def fingerprint(self) -> str:
        """A digest that changes when the images, their labels or their roles do, and with nothing else."""
        ...

    def shape(self, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
        """(height, width, channels) of the images where the configuration leaves one of them open (None).

        Raises `UserError` where the images differ in size and none was configured.
        """
        ...

    def parts(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """What the values of the images' masks mean, if images of `shape` have masks that lie on them; else ()."""
        ...

    def fault(self) -> str:
        """A line on the first image that can no longer be read; '' if all can. Asked when a stream has failed."""
        ...


@runtime_checkable
class Split(Protocol):
    """The images of one role, in a fixed order. `len(split)` is their number."""

    @property
    def names(self) -> Sequence[str]:
        """What people and errors call each image; no two are alike in a source."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """int32 (n,), indices into the source's classes."""
        ...

    @property
    def streams(self) -> bool:
        """Whether the images can be read only in stored order.

        A shuffled epoch then draws each next one from a buffer of `data.shuffle_buffer` images. Otherwise any image can
        be read at any time, and an epoch is shuffled as a whole.
        """
        ...

    def __len__(self) -> int: ...

    def each(self, indices: Sequence[int], image_format: ImageFormat) -> Iterator[np.ndarray]:
        """Some images, by ascending index, one after another: of the format's shape and dtype.

        Raises `UserError`, naming the image, where one cannot be read.
        """
        ...

    def decode_all(
        self, take: Callable[[int, bytes, np.ndarray], None], image_format: ImageFormat, progress: Progress
    ) -> None:
        """Calls `take(index, encoded, pixels)` once for every image, in any order and from any thread.

        `encoded` are the bytes whose digest the image's inspection has. No image stays in memory. Raises `UserError`,
        naming the image, where one cannot be read.
        """
        ...

    def check(self, image_format: ImageFormat, progress: Progress) -> None:
        """Raises `UserError`, naming the first image that cannot be used; asked just before they are streamed."""
        ...

    def feed(self, decoder: Decoder, shuffle_buffer: int) -> Feed:
        """Gives the images in batches, decoded anew in every epoch.

        Args:
            decoder: makes pixels and labels of a batch.
            shuffle_buffer: of how many images, where the split streams.
        """
        ...

    def masks(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """The masks of some images, by ascending index: uint8 (height, width), values as `Source.parts` names them.

        Asked only where the source has names for them.
        """
        ...


@runtime_checkable
class Feed(Protocol):
    """Gives the images of one role to the pipeline, which runs in tf.data.

    A batch is first a cheap element that identifies it (indices, or encoded images) and only then decoded, so that
    skipping to a step costs next to nothing.
    """

    @property
    def count(self) -> int:
        """How many images there are."""
        ...

    def epoch(self, key: tf.Tensor | None, batch_size: int) -> tf.data.Dataset:
        """Elements for the batches of one epoch, the last one perhaps smaller.

        Args:
            key: int32 (2,); equal keys give equal orders. None: stored order.
        """
        ...

    def chosen(self, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
        """Elements for the batches of some images, by ascending index, the last one perhaps smaller."""
        ...

    def indices(self, element: Any) -> tf.Tensor:
        """Which images an element's batch holds, integers (batch,)."""
        ...

    def fetch(self, element: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The batch of an element: images (batch, height, width, channels) in [0, 255], labels int32 (batch,).

        Images are uint8, or float32 where they are kept as uint16.
        """
        ...


@runtime_checkable
class CachedFeed(Feed, Protocol):
    """A feed of images that are decoded already, which can also be had as arrays."""

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Some images, in any order, as they are kept: (n, height, width, channels) of the format's dtype."""
        ...

    def all(self) -> np.ndarray:
        """Every image, as `read` gives them."""
        ...
