"""A classification dataset: what is in it, single examples, and streams of batches."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from convlens.configs import Data
from convlens.configs.schema import Augment
from convlens.core.errors import UserError, unknown
from convlens.core.progress import print_note, progress_bar
from convlens.core.quiet import quietly
from convlens.data.base import ROLES, Feed, ImageFormat, Source, Split
from convlens.data.cache.image_cache import ImageCache
from convlens.data.images import in_pixels
from convlens.data.info import DataInfo
from convlens.data.sources.opening import open_source
from convlens.data.value_range import narrow_range_notes, used_range

if TYPE_CHECKING:
    import tensorflow as tf

    from convlens.data.cache.device import DeviceEvaluation, DeviceTraining


def open_dataset(
    config: Data, *, progress: bool = True, side_of: Callable[[Sequence[tuple[int, int]]], int] | None = None
) -> "Dataset":
    """Opens the dataset that a configuration describes; it is prepared on first use, and every image is checked.

    Args:
        progress: show bars while preparing and reading, and print on stderr what was chosen for the user.
        side_of: called with the (height, width) of all images if no image size is configured; gives the side, in
            pixels, of the square images to make of them.

    Raises:
        UserError: a mistake that the user can correct, in names, folders, classes or splits, or a damaged file.
    """
    source = open_source(config, progress)
    if side_of and config.image_size is None:
        side = side_of([inspection[:2] for role in ROLES for inspection in source.inspections[role]])
        config = config.model_copy(update={"image_size": [side, side]})
    dataset = Dataset(source, config, progress)
    _refuse_unsuited_augmentation(config, dataset.info.channels)
    if progress:
        for note in dataset.info.notes:
            print_note(note)
    return dataset


class Dataset:
    """Images with labels in three splits: train, validation and test.

    Decoded and resized images are kept as uint8, or as uint16 with a `data.value_range`. With `data.cache=auto` they
    are kept in memory if they take at most a quarter of the free memory and at most 4 GiB, else in files if they take
    at most a quarter of the free disk space; otherwise every epoch decodes them again. All three give the same pixels.

    Attributes: info.

    Raises:
        UserError: the images differ in size and no size is configured, or they do not fit in the cache that is
            configured.
    """

    def __init__(self, source: Source, config: Data, progress: bool):
        self._source = source
        self._config = config
        self._progress = progress
        size = config.image_size
        shape = source.shape((size[0], size[1]) if size else None, config.channels)
        value_range = used_range(config.value_range, source.inspections)
        self._format = ImageFormat(shape, config.resize if config.image_size else None, value_range)
        self._faults: list[UserError] = []
        self._cache = ImageCache(source, config.cache, self._format, self._faults, progress=progress)
        self.info = DataInfo(
            name=source.name,
            classes=source.classes,
            image_size=shape[:2],
            channels=shape[2],
            sizes={role: len(source.splits[role]) for role in ROLES},
            notes=(*source.notes, *narrow_range_notes(value_range, source.inspections)),
            part_names=source.part_names(shape),
            skipped=source.skipped,
            value_range=value_range,
        )

    def augment_as(self, augment: Augment) -> None:
        """Augments training images in these ways from now on. Raises UserError if one does not suit the images."""
        self._config = self._config.model_copy(update={"augment": augment})
        _refuse_unsuited_augmentation(self._config, self.info.channels)

    @cached_property
    def fingerprint(self) -> str:
        """A hash that changes when the images, their labels or their splits change."""
        class_names = "\0".join(self.info.classes)
        text = f"{self._source.fingerprint}\0{class_names}"
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    @property
    def order(self) -> str:
        """From how many images each next one of a shuffled epoch is drawn, which decides the order; after `load`."""
        if self._source.splits["train"].streams and not self.keeps("train"):
            return f"{self._config.shuffle_buffer:,} images"
        return "all images"

    def keeps(self, split: str) -> bool:
        """Whether the decoded images of a split are kept, in memory or on disk; valid after `load`."""
        return self._cache.holds(_role(split))

    def stored_sizes(self) -> np.ndarray:
        """The (height, width) of every image in its file, after EXIF rotation: integers (n, 2)."""
        return np.array([inspection[:2] for role in ROLES for inspection in self._source.inspections[role]])

    def load(self) -> None:
        """Reads and verifies every image of every split now, so that no fault appears in the middle of training.

        Raises:
            UserError: names the first file that cannot be read.
        """
        self._cache.fill()
        for role in ROLES:
            if not self._cache.holds(role):
                split = self._source.splits[role]
                with progress_bar(f"Checking {role} images", len(split), shown=self._progress) as progress:
                    split.check(self._format, progress)

    @contextmanager
    def faults_as_user_errors(self) -> Iterator[None]:
        """Turns an error of a stream into a `UserError` if its files were damaged or lost after they were checked."""
        self._faults.clear()
        try:
            yield
        except Exception as error:
            if not type(error).__module__.startswith("tensorflow."):
                raise
            fault = next(iter(self._faults), None) or self._source.fault()
            if fault:
                raise UserError(f"The data has changed since training began: {fault}") from None
            raise

    def steps(self, batch_size: int, limit_batches: int | None = None, overfit: bool = False) -> int:
        """The number of training steps in an epoch. A last, smaller batch is left out, unless it is the only one.

        With `overfit` every step sees the same batch; there are as many steps as without it.
        """
        steps = max(1, self.info.sizes["train"] // batch_size)
        return min(steps, limit_batches or steps)

    def training(
        self,
        batch_size: int,
        seed: int,
        epochs: int,
        *,
        augment: bool = True,
        limit_batches: int | None = None,
        overfit: bool = False,
        start_epoch: int = 0,
        start_step: int = 0,
    ) -> "tf.data.Dataset":
        """One stream of shuffled batches over all epochs, `steps()` batches each.

        Order and augmentation depend on seed, epoch and step alone: equal arguments give equal bits, and a stream that
        starts at `start_epoch` and `start_step` continues exactly where an earlier stream stopped.

        Args:
            augment: apply `data.augment`; never with `overfit`.
            overfit: every step gives the first batch of epoch 0.

        Returns:
            (images (batch, height, width, channels) in [0, 255], one-hot labels (batch, classes) float32); images
            are uint8, or float32 if augmentation is on or there is a `data.value_range`.
        """
        pipeline = _pipeline()

        changes = self._config.augment if augment and not overfit else None
        steps = self.steps(batch_size, limit_batches)
        few = overfit or limit_batches is not None
        if not few:
            self.load()
        feed = self._feed("train", few=few, shuffled=True)
        if overfit:
            return pipeline.overfitting(feed, batch_size, seed, steps, epochs, len(self.info.classes))
        return pipeline.training(
            feed, batch_size, seed, steps, epochs, len(self.info.classes), changes, (start_epoch, start_step)
        )

    def training_on_device(
        self,
        batch_size: int,
        seed: int,
        epochs: int,
        *,
        weights: np.ndarray | None = None,
        limit_batches: int | None = None,
    ) -> "DeviceTraining":
        """The training images on the accelerator, for JAX; see `data.cache.device`.

        Args:
            weights: the weight of each class in the loss, (classes,); None: all the same.
        """
        with quietly():
            from convlens.data.cache.device import DeviceTraining

        self.load()
        steps = self.steps(batch_size, limit_batches)
        return DeviceTraining(
            self._pixels("train"),
            self.labels("train"),
            len(self.info.classes),
            self._config.augment,
            weights,
            batch_size=batch_size,
            seed=seed,
            steps=steps,
            epochs=epochs,
        )

    def evaluation_on_device(self, split: str, batch_size: int, limit_batches: int | None = None) -> "DeviceEvaluation":
        """The images of `evaluation`, on the accelerator, for JAX; see `data.cache.device`."""
        with quietly():
            from convlens.data.cache.device import DeviceEvaluation

        pixels, labels = self._pixels(_role(split)), self.labels(split)
        if limit_batches is not None:
            chosen = self.evaluated(split, batch_size, limit_batches)
            pixels, labels = pixels[chosen], labels[chosen]
        return DeviceEvaluation(pixels, labels, len(self.info.classes), batch_size)

    def evaluation(
        self, split: str, batch_size: int, *, limit_batches: int | None = None, overfit_seed: int | None = None
    ) -> "tf.data.Dataset":
        """Each image of a split once, in fixed order; the last batch may be smaller.

        Args:
            split: 'train', 'validation' or 'test'.
            limit_batches: give only so many batches, of images evenly spaced over the split, which may be sorted by
                class.
            overfit_seed: give only the batch that `training(..., seed, overfit=True)` repeats.

        Returns:
            (images (batch, height, width, channels), labels (batch,) int32); images are uint8, or float32 in [0, 255]
            where there is a `data.value_range`.
        """
        pipeline = _pipeline()

        if overfit_seed is not None:
            feed = self._feed("train", few=True, shuffled=True)
            return pipeline.first_batch(feed, batch_size, overfit_seed)
        feed = self._feed(_role(split), few=limit_batches is not None)
        evaluated = self.evaluated(split, batch_size, limit_batches)
        chosen = None if limit_batches is None else evaluated
        return pipeline.evaluation(feed, batch_size, chosen, len(evaluated))

    def evaluated(self, split: str, batch_size: int, limit_batches: int | None = None) -> np.ndarray:
        """The indices of the images that `evaluation` gives, in its order: all, or some that are evenly spaced."""
        size = self.info.sizes[_role(split)]
        return self.spread(split, size if limit_batches is None else limit_batches * batch_size)

    def spread(self, split: str, count: int) -> np.ndarray:
        """The indices of at most `count` images of a split, evenly spaced over it, since it may be sorted by class."""
        size = self.info.sizes[_role(split)]
        return np.arange(min(count, size)) * size // min(count, size)

    def sample(
        self, split: str, batch_size: int, count: int, *, masks: bool = False
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """The images of `spread(split, count)`.

        Returns:
            batches of (images (batch, height, width, channels) as `evaluation` has them, labels (batch,) int32, masks),
            the last one may be smaller. Masks are None if they are not asked for, otherwise uint8 (batch, height,
            width) in the size that the dataset stores; the value of a pixel is an index into `info.part_names`.
        """
        role = _role(split)
        images = self._source.splits[role]
        if masks and not self.info.part_names:
            raise UserError(f"{self.info.name} has no masks of parts, or its images are cropped so that none fits.")
        chosen = self.spread(role, count).tolist()
        batches = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]
        # A sample is worth filling memory, not the disk.
        cached = self._cache.present(role) if self._cache.on_disk else self._cache.filled(role)
        read = map(cached.read, batches) if cached else _stacked(images.each(chosen, self._format), batches)
        read = map(in_pixels, read)
        shown = _stacked(images.masks(chosen), batches) if masks else [None] * len(batches)
        labels = (images.labels[batch] for batch in batches)
        return zip(read, labels, shown, strict=True)

    def examples(self, split: str, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Some images of a split by index: images (n, height, width, channels) as in `evaluation`, labels int32 (n,),
        and names."""
        role = _role(split)
        images = self._source.splits[role]
        for index in indices:
            if not 0 <= index < len(images):
                raise UserError(f"Image {index} is not in the {role} split; its images are 0 to {len(images) - 1}.")
        chosen = [int(index) for index in indices]
        cached = self._cache.present(role)
        stored = cached.read(chosen) if cached else _read(images, chosen, self._format)
        return in_pixels(stored), images.labels[chosen], [images.names[index] for index in chosen]

    def names(self, split: str, indices: Sequence[int]) -> list[str]:
        """What people call some images of a role, by index: of a folder, the files' paths in it."""
        names = self._source.splits[_role(split)].names
        return [names[index] for index in indices]

    def labels(self, split: str) -> np.ndarray:
        """Every label of a split, int32 (n,), in the order of `evaluation`."""
        return self._source.splits[_role(split)].labels

    def _feed(self, role: str, *, few: bool = False, shuffled: bool = False) -> Feed:
        """A role's images as the pipeline takes them.

        Args:
            few: only a few batches are wanted; neither memory nor the disk is filled for them.
        """
        split = self._source.splits[role]
        cached = None
        if not few:
            cached = self._cache.filled(role)
        elif not (shuffled and split.streams):
            # Shuffled in a buffer, what a few batches hold must not depend on what was filled before.
            cached = self._cache.present(role)
        return cached or self._streamed(role)

    def _streamed(self, role: str) -> Feed:
        """A role's images, decoded anew in every epoch."""
        with quietly():
            from convlens.data.feeds import Decoder

        split, shape = self._source.splits[role], self._format.shape
        as_stored = self._format.value_range is None
        plain = [
            as_stored and inspection.plain and inspection[:3] == shape for inspection in self._source.inspections[role]
        ]
        decoder = Decoder(split.labels, self._format, np.array(plain), self._faults)
        return split.feed(decoder, self._config.shuffle_buffer)

    def _pixels(self, role: str) -> np.ndarray:
        """All images of a role that are kept, for the device."""
        cached = self._cache.filled(role)
        if cached:
            return cached.all()
        raise UserError(
            f"The {role} images are neither in memory nor on disk, so they cannot be copied to the device; use "
            "data.cache=none."
        )


def _role(split: str) -> str:
    if split not in ROLES:
        raise UserError(unknown("split", split, ROLES))
    return split


def _read(split: Split, indices: Sequence[int], image_format: ImageFormat) -> np.ndarray:
    """Some images in any order, (n, height, width, channels) of the format's dtype."""
    ascending = sorted(set(indices))
    image_of = dict(zip(ascending, split.each(ascending, image_format), strict=True))
    images = np.empty((len(indices), *image_format.shape), image_format.dtype)
    for row, index in enumerate(indices):
        images[row] = image_of[index]
    return images


def _stacked(arrays: Iterator[np.ndarray], batches: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """Arrays that come one after another, as many together as each batch holds."""
    return (np.stack(list(islice(arrays, len(batch)))) for batch in batches)


def _pipeline():
    """The module that needs TensorFlow, imported when batches are asked for and no sooner."""
    with quietly():
        from convlens.data import pipeline
    return pipeline


def _refuse_unsuited_augmentation(config: Data, channels: int) -> None:
    if channels == 3:
        return
    for name in ("saturation", "hue", "rand_augment"):
        if getattr(config.augment, name):
            raise UserError(
                f"data.augment.{name} works on colours but the images are grey; set it to 0, or data.channels to 3."
            )
