"""Images, and images with labels, that a person has as arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlens.core.errors import UserError


def image_batch(images: Any, name: str) -> np.ndarray:
    """Pixels in [0, 255] as (n, height, width, channels), uint8 or float32; a single image becomes a batch of one.

    `name` is the argument that they came in. Raises UserError for what is no image, or has another range.
    """
    try:
        batch = np.asarray(images)
    except ValueError:
        raise UserError(f"{name} holds arrays of several shapes; give images of one size.") from None
    if not (np.issubdtype(batch.dtype, np.number) and batch.ndim in (2, 3, 4) and batch.size):
        raise UserError(
            f"{name} of shape {batch.shape} and type {batch.dtype}; expected pixels (n, height, width, channels)."
        )
    batch = batch[..., None] if batch.ndim == 2 else batch
    batch = batch[None] if batch.ndim == 3 else batch
    low, high = float(batch.min()), float(batch.max())
    if not (low >= 0 and high <= 255):  # also where a value is not a number
        raise UserError(f"{name} has values from {low:g} to {high:g}; expected pixels from 0 to 255.")
    if 0 < high <= 1 and not np.issubdtype(batch.dtype, np.integer):
        raise UserError(
            f"{name} has values from {low:g} to {high:g}; expected pixels from 0 to 255. For a model that was trained "
            "on values from 0 to 1, draw keras.Sequential([keras.layers.Rescaling(1 / 255), model])."
        )
    return batch.astype(np.uint8 if np.issubdtype(batch.dtype, np.integer) else np.float32, copy=False)


@dataclass(frozen=True)
class ArrayInfo:
    """What is known of the images: as much of `data.DataInfo` as figures ask for."""

    name: str
    sizes: dict[str, int]
    part_names: tuple[str, ...] = ()


class ArrayDataset:
    """Images (n, height, width, channels) with class indices (n,), asked as a `data.Dataset` is; every split is all."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self._labels = images, labels
        self.info = ArrayInfo("data=", dict.fromkeys(("train", "validation", "test"), len(images)))

    @classmethod
    def of_pair(cls, pair: Any) -> "ArrayDataset":
        """Of (images, labels). Raises UserError where the two do not belong together."""
        try:
            images, labels = pair
        except (TypeError, ValueError):
            raise UserError("data= is a pair: images (n, height, width, channels) and their class indices.") from None
        images, labels = image_batch(images, "data="), np.asarray(labels)
        if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise UserError(
                f"data= has labels of shape {labels.shape} and type {labels.dtype} for {len(images)} images; expected "
                "a class index for each."
            )
        return cls(images, labels.astype(np.int32))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """The least number of classes that the labels need."""
        return int(self._labels.max()) + 1

    def spread(self, split: str, count: int) -> np.ndarray:
        """The indices of at most `count` images, evenly spread."""
        size, count = len(self.images), min(count, len(self.images))
        return np.arange(count) * size // count

    def sample(
        self, split: str, batch_size: int, count: int, *, masks: bool = False
    ) -> Iterator[tuple[np.ndarray, np.ndarray, None]]:
        """The images of `spread(split, count)` in batches (images, labels, None)."""
        chosen = self.spread(split, count)
        for start in range(0, len(chosen), batch_size):
            rows = chosen[start : start + batch_size]
            yield self.images[rows], self._labels[rows], None

    def examples(self, split: str, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Images by index, with labels and names."""
        return self.images[indices], self._labels[indices], self.names(split, indices)

    def names(self, split: str, indices: Sequence[int]) -> list[str]:
        """What images are called, by index."""
        return [f"image {index}" for index in indices]
