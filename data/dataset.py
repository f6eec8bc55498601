"""A classification dataset: what is in it, single examples, and streams of batches."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from convlens.configs import Data
from convlens.core.errors import UserError, unknown
from convlens.core.quiet import quietly
from convlens.data.cache.disk import DiskCache
from convlens.data.cache.memory import keeps_in_memory, load
from convlens.data.cache.pixel_file import PixelFile
from convlens.data.splits import ROLES

if TYPE_CHECKING:
    import tensorflow as tf

    from convlens.data.cache.device import Resident, ResidentEvaluation


@dataclass(frozen=True)
class DataInfo:
    """What a model and a reader need to know about a dataset.

    Attributes:
        image_size: (height, width) after resizing.
        channels: 1 or 3.
        sizes: images per role: train, validation, test.
        notes: lines that the user should read, such as how missing splits were made.
        parts: what the values of the images' masks mean; empty where there are no masks.
        skipped: a line for each image that cannot be used and was left out.
    """

    name: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    channels: int
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Dataset:
    """Images with labels in three roles, train, validation and test.

    Decoded and resized images are kept as uint8 (`data.cache=auto`): in memory where that takes at most a quarter of
    the memory that is free, and 4 GiB, else in files where that takes at most a quarter of the free disk; otherwise
    every epoch decodes them again. All give the same pixels.

    Attributes: info.
    """

    def __init__(self, source, config: Data, progress: bool):
        self._source = source
        self._config = config
        self._progress = progress
        self._shape = source.shape(config.image_size and tuple(config.image_size), config.channels)
        self._resize = config.resize if config.image_size else None
        self._feeds = {}
        self._faults: list[UserError] = []
        self.info = DataInfo(
            name=source.name,
            classes=source.classes,
            image_size=self._shape[:2],
            channels=self._shape[2],
            sizes={role: len(source.splits[role]) for role in ROLES},
            notes=tuple(source.notes),
            parts=source.parts(self._shape),
            skipped=source.skipped,
        )
        self._in_memory = keeps_in_memory(config.cache, sum(self.info.sizes.values()) * int(np.prod(self._shape)))
        self._disk = DiskCache(
            source.splits,
            source.inspections,
            self._shape,
            self._resize,
            demanded=config.cache == "disk",
            progress=progress,
        )
        auto = config.cache == "auto" and not self._in_memory
        self._on_disk = config.cache == "disk" or (auto and self._disk.fits())

    @cached_property
    def fingerprint(self) -> str:
        """A digest that changes when the images, their labels or their roles do."""
        kept = "\0".join(self.info.classes)
        text = f"{self._source.fingerprint}\0{kept}"
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    @property
    def order(self) -> str:
        """From how many images each next one of a shuffled epoch is drawn, which decides the order; after `load`."""
        if self.keeps("train") or not hasattr(self._source.splits["train"], "batches"):
            return "all images"
        return f"{self._config.shuffle_buffer:,} images"

    def keeps(self, split: str) -> bool:
        """Whether a role's decoded images are kept, in memory or on disk; after `load`."""
        return self._role(split) in self._feeds

    def load(self) -> None:
        """Read and verify every image of every role now, so that no fault is left for the middle of training.

        Raises:
            UserError: names the first file that cannot be read.
        """
        if self._on_disk:
            self._disk.prepare(ROLES)
        for role in ROLES:
            if not self._kept(role):
                images = self._source.splits[role]
                images.check(self._shape, self._resize, f"Checking {role} images", self._progress)

    @contextmanager
    def telling_faults(self) -> Iterator[None]:
        """Turns the error of a stream whose files were damaged or lost after they were checked into a `UserError`."""
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
        """Training steps in an epoch. A last, smaller batch is left out, unless it is the only one.

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

        Order and augmentation depend on seed, epoch and step alone: equal arguments give equal bits, and a stream
        that starts at `start_epoch` and `start_step` continues exactly where another one was left.

        Args:
            augment: apply `data.augment`; never with `overfit`.
            overfit: every step gives the first batch of epoch 0.

        Returns:
            (images (batch, height, width, channels) in [0, 255], one-hot labels (batch, classes) float32); images
            are uint8, or float32 where augmentation is on.
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

    def resident(
        self,
        batch_size: int,
        seed: int,
        epochs: int,
        *,
        weights: np.ndarray | None = None,
        limit_batches: int | None = None,
    ) -> "Resident":
        """The training images on the accelerator, for JAX; see `data.resident`.

        Args:
            weights: how much a mistake on each class costs, (classes,); None: all the same.
        """
        with quietly():
            from convlens.data.cache.device import Resident

        self.load()
        steps = self.steps(batch_size, limit_batches)
        return Resident(
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

    def resident_evaluation(
        self, split: str, batch_size: int, limit_batches: int | None = None
    ) -> "ResidentEvaluation":
        """What `evaluation` gives, on the accelerator, for JAX; see `data.resident`."""
        with quietly():
            from convlens.data.cache.device import ResidentEvaluation

        pixels, labels = self._pixels(self._role(split)), self.labels(split)
        if limit_batches is not None:
            chosen = self.evaluated(split, batch_size, limit_batches)
            pixels, labels = pixels[chosen], labels[chosen]
        return ResidentEvaluation(pixels, labels, len(self.info.classes), batch_size)

    def evaluation(
        self, split: str, batch_size: int, *, limit_batches: int | None = None, overfit_seed: int | None = None
    ) -> "tf.data.Dataset":
        """A role's images once, in fixed order, the last batch perhaps smaller.

        Args:
            split: 'train', 'validation' or 'test'.
            limit_batches: so many batches, of images spread evenly over the role, which may be sorted by class.
            overfit_seed: give only the batch that `training(..., seed, overfit=True)` repeats.

        Returns:
            (images (batch, height, width, channels) uint8, labels (batch,) int32).
        """
        pipeline = _pipeline()

        if overfit_seed is not None:
            feed = self._feed("train", few=True, shuffled=True)
            return pipeline.first_batch(feed, batch_size, overfit_seed)
        feed = self._feed(self._role(split), few=limit_batches is not None)
        evaluated = self.evaluated(split, batch_size, limit_batches)
        chosen = None if limit_batches is None else evaluated
        return pipeline.evaluation(feed, batch_size, chosen, len(evaluated))

    def evaluated(self, split: str, batch_size: int, limit_batches: int | None = None) -> np.ndarray:
        """The indices of the images that `evaluation` gives, in its order: all, or some that are evenly spread."""
        size = self.info.sizes[self._role(split)]
        return self.spread(split, size if limit_batches is None else limit_batches * batch_size)

    def spread(self, split: str, count: int) -> np.ndarray:
        """The indices of at most `count` images of a role, evenly spread over it: it may be sorted by class."""
        size = self.info.sizes[self._role(split)]
        return np.arange(min(count, size)) * size // min(count, size)

    def sample(
        self, split: str, batch_size: int, count: int, *, masks: bool = False
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """The images of `spread(split, count)`.

        Returns:
            batches of (images (batch, height, width, channels) uint8, labels (batch,) int32, masks), the last one
            perhaps smaller. Masks, None where they are not asked for, are uint8 (batch, height, width) at the size in
            which the dataset stores them; a pixel's value is an index into `info.parts`.
        """
        role = self._role(split)
        images = self._source.splits[role]
        if masks and not self.info.parts:
            raise UserError(f"{self.info.name} has no masks of parts, or its images are cropped so that none fits.")
        chosen = self.spread(role, count)
        batches = [chosen[start : start + batch_size].tolist() for start in range(0, len(chosen), batch_size)]
        feed = self._feed(role, few=self._on_disk)
        if hasattr(feed, "read"):
            pixels = (feed.read(batch) for batch in batches)
        else:
            pixels = _stacked(images.each(chosen.tolist(), self._shape, self._resize), batches)
        shown = _stacked(images.masks(chosen.tolist()), batches) if masks else [None] * len(batches)
        labels = (images.labels[batch] for batch in batches)
        return zip(pixels, labels, shown, strict=True)

    def examples(self, split: str, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Some images of a role by index: uint8 (n, height, width, channels), int32 labels (n,), names."""
        role = self._role(split)
        images = self._source.splits[role]
        for index in indices:
            if not 0 <= index < len(images):
                raise UserError(f"Image {index} is not in the {role} split; its images are 0 to {len(images) - 1}.")
        chosen = [int(index) for index in indices]
        known = self._found(role)
        pixels = known.read(chosen) if known else images.read(chosen, self._shape, self._resize)
        return pixels, images.labels[chosen], [images.names[index] for index in chosen]

    def labels(self, split: str) -> np.ndarray:
        """Every label of a role, int32 (n,), in the order of `evaluation`."""
        return self._source.splits[self._role(split)].labels

    def _feed(self, role: str, *, few: bool = False, shuffled: bool = False):
        """A role's images as the pipeline takes them.

        Args:
            few: only a few batches are wanted; neither memory nor the disk is filled for them.
        """
        images = self._source.splits[role]
        # Records are shuffled in a buffer: which ones a few batches hold must not depend on what was filled before.
        among_records = few and shuffled and hasattr(images, "batches")
        kept = None if among_records else self._found(role) if few else self._kept(role)
        if kept:
            return kept
        pipeline = _pipeline()
        plain = [found.plain and found[:3] == self._shape for found in self._source.inspections[role]]
        decoding = pipeline.Decoding(images, self._shape, self._resize, np.array(plain), self._faults)
        return pipeline.streamed(images, decoding, self._config.shuffle_buffer)

    def _pixels(self, role: str) -> np.ndarray:
        """All images of a role that are kept, for the device."""
        kept = self._kept(role)
        if kept:
            return kept.all()
        raise UserError(
            f"The {role} images are kept neither in memory nor on disk, from where they go to the device; use "
            "data.cache=none."
        )

    def _kept(self, role: str):
        """The feed of a role whose decoded images are kept, decoded now if need be; None where they are not."""
        if role not in self._feeds and self._in_memory:
            images, known = self._source.splits[role], self._disk.open(role)
            told = f"Reading {role} images"
            pixels = known.all() if known else load(images, self._shape, self._resize, told, self._progress)
            self._feeds[role] = _pipeline().InMemory(pixels, images.labels)
        elif role not in self._feeds:
            file = self._disk.keep(role) if self._on_disk else None
            feed = self._on_file(role, file) if file else self._found(role)
            if feed:
                self._feeds[role] = feed
        return self._feeds.get(role)

    def _found(self, role: str):
        """The feed of a role whose images are in memory by now, or on disk from an earlier run."""
        if role in self._feeds or self._config.cache == "none":
            return self._feeds.get(role)
        file = self._disk.open(role)
        return self._on_file(role, file) if file else None

    def _on_file(self, role: str, file: PixelFile):
        return _pipeline().OnDisk(file, self._source.splits[role].labels, self._faults)

    def _role(self, split: str) -> str:
        if split not in ROLES:
            raise UserError(unknown("split", split, ROLES))
        return split


def _stacked(arrays: Iterator[np.ndarray], batches: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """Arrays that come one after another, as many together as each batch holds."""
    return (np.stack(list(islice(arrays, len(batch)))) for batch in batches)


def _pipeline():
    """The module that needs TensorFlow, imported when batches are asked for and no sooner."""
    with quietly():
        from convlens.data import pipeline
    return pipeline
