"""A prepared TFDS dataset, read record by record."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from configs import Data, UserError, nearest
from data.folder import differing_sizes
from data.images import Inspection, decode_image, inspect_encoded
from data.preparation import no_warnings
from data.progress import track
from data.rendered_cars import PARTS
from data.shards import (
    again,
    edges,
    exchanged,
    faulty_shard,
    naming_damage,
    reason,
    refuse_copies,
    refuse_overlaps,
    serialized,
    shards,
)
from data.splits import ROLES, carve, kept_classes
from data.survey import Remembered, Survey, attempt, signature_of, tell_shared

_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid", "dev"), "test": ("test",)}
_BATCH = 256


class TfdsSplit:
    """The images of one role, in the order in which TFDS stores them.

    Args:
        positions: which records of `expression` belong to this role, ascending.
        labels: their labels, as indices into the classes that are kept.
    """

    def __init__(self, builder, image_key: str, expression: str, positions: np.ndarray, labels: np.ndarray):
        self.builder = builder
        self.image_key = image_key
        self.expression = expression
        self.positions = positions
        self.labels = labels.astype(np.int32)
        self.names = [f"{expression} {position}" for position in positions.tolist()]

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self,
        batch_size: int,
        indices: Sequence[int] | None = None,
        shuffle: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
    ) -> tf.data.Dataset:
        """Batches of (encoded images, indices within this role), always in the same order.

        Args:
            indices: only these images.
            shuffle: changes the order of single records, before they are batched.
        """
        index_of = np.full(_count(self.builder, self.expression), -1, np.int64)
        index_of[self.positions] = np.arange(len(self))
        wanted = np.zeros(len(index_of), bool)
        wanted[self.positions if indices is None else self.positions[list(indices)]] = True

        whole = serialized(self.builder, self.expression)
        data = _read(self.builder, self.expression, self.image_key, skip_decoding=True) if whole is None else whole
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

    def decode(self, encoded: bytes, index: int, shape: tuple[int, int, int], resize: str | None) -> np.ndarray:
        """One record's image as a uint8 array (height, width, channels)."""
        name = f"{self.builder.info.full_name}, image {self.names[index]},"
        return decode_image(encoded, name, shape[:2], shape[2], resize)

    def read(self, indices: Sequence[int], shape: tuple[int, int, int], resize: str | None) -> np.ndarray:
        """Some images as a uint8 array (n, height, width, channels). Reads every record before the last of them."""
        wanted = sorted(set(indices))
        found = dict(zip(wanted, self.each(wanted, shape, resize), strict=True))
        return np.stack([found[index] for index in indices]) if found else np.empty((0, *shape), np.uint8)

    def each(self, indices: Sequence[int], shape: tuple[int, int, int], resize: str | None) -> Iterator[np.ndarray]:
        """Some images, by ascending index, one after another."""
        for encoded, index in _first(self.batches(_BATCH, indices).unbatch(), len(indices)):
            yield self.decode(encoded, index, shape, resize)

    def masks(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """The part masks of some images, uint8 (height, width), by ascending index."""
        positions = self.positions[list(indices)]
        masks = _read(self.builder, self.expression, "parts", skip_decoding=False).enumerate()
        masks = masks.filter(lambda position, mask: tf.reduce_any(position == positions))
        for _, mask in _first(masks, len(positions)):
            yield mask[..., 0]

    def decode_all(
        self,
        take: Callable[[int, bytes, np.ndarray], None],
        shape: tuple[int, int, int],
        resize: str | None,
        description: str,
        progress: bool,
    ) -> None:
        """Calls `take(index, encoded, pixels)` for every image, in several threads; none stays in memory."""

        def decode(encoded: bytes, index: int) -> None:
            take(index, encoded, self.decode(encoded, index, shape, resize))

        self._each_in_threads(decode, description, progress)

    def check(self, shape: tuple[int, int, int], resize: str | None, description: str, progress: bool) -> None:
        """Nothing is left to check: finding the labels has read every record, with its checksum, and the survey every
        image."""

    def inspect(self, description: str, progress: bool) -> list[Inspection | str]:
        """What is in every image, or why it cannot be used, decoded in several threads."""
        found: list = [None] * len(self)

        def look(encoded: bytes, index: int) -> None:
            name = f"{self.builder.info.full_name}, image {self.names[index]},"
            found[index] = attempt(inspect_encoded, encoded, name)

        self._each_in_threads(look, description, progress)
        return found

    def without(self, problems: Mapping[str, str]) -> "TfdsSplit":
        """The split without the images of these names."""
        chosen = np.array([name not in problems for name in self.names])
        return TfdsSplit(self.builder, self.image_key, self.expression, self.positions[chosen], self.labels[chosen])

    def _each_in_threads(self, work: Callable[[bytes, int], None], description: str, progress: bool) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool, track(description, len(self), progress) as advance:
            with naming_damage(self.builder, self.expression):
                for encoded, indices in self.batches(_BATCH).prefetch(2).as_numpy_iterator():
                    list(pool.map(work, encoded, indices))
                    advance(len(indices))


class TfdsSource:
    """A prepared TFDS dataset with the labels of all its images, each of which was looked at.

    Attributes: name, classes, splits (role -> TfdsSplit), inspections (role -> one for each image), notes (lines that
    the user should read), skipped (a line for each image that was left out).

    Raises:
        UserError: unknown name, cannot be prepared, no image or label, wrong or overlapping splits, damaged files,
            an image that cannot be used (unless these are skipped), many images that are in two splits.
    """

    def __init__(self, builder, config: Data, progress: bool):
        self.builder = builder
        self.name = builder.info.full_name
        self.notes: list[str] = []
        self.image_key, self.label_key = _keys(builder)
        names = builder.info.features[self.label_key].names
        self.classes = kept_classes(names, config.classes)
        self.splits: dict[str, TfdsSplit] = {}
        expressions = self._expressions(config)
        refuse_overlaps(builder, expressions)
        refuse_copies(builder)
        self.notes += exchanged(builder)
        for role, expression in expressions.items():
            self.splits[role] = self._split(role, expression, names, progress)
        survey = self._survey(progress)
        self.skipped = survey.skipped(config.on_error)
        if self.skipped:
            self.splits = {role: split.without(survey.problems) for role, split in self.splits.items()}
            for role, split in self.splits.items():
                self._refuse_missing_classes(role, split.expression, split.labels)
        self._usable = survey.usable
        self._carve_what_is_missing(config.validation_share)
        self.notes += survey.notes(self.skipped)
        self.inspections = survey.of(self.splits)
        self.notes += tell_shared(self.splits, self.inspections)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of version, roles, labels and of every shard's length and edges."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for role, split in self.splits.items():
            digest.update(f"{role}\0{split.expression}\0".encode())
            digest.update(split.positions.tobytes() + split.labels.tobytes())
        for path in shards(self.builder):
            digest.update(path.name.encode() + edges(path))
        return digest.hexdigest()

    def shape(self, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
        """(height, width, channels): the dataset's own where the configuration leaves them open."""
        height, width, own_channels = self.builder.info.features[self.image_key].shape
        if image_size is None and (height is None or width is None):
            image_size = self._common_size()
        height, width = image_size or (height, width)
        return height, width, channels or (1 if own_channels == 1 else 3)

    def fault(self) -> str:
        """Which shard cannot be read by now, if one cannot."""
        expressions = dict.fromkeys(split.expression for split in self.splits.values())
        found = next(filter(None, (faulty_shard(self.builder, expression) for expression in expressions)), "")
        return found and f"{found}; {again(self.builder)}"

    def parts(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """What the values of the masks mean, if images of `shape` have any that lie on them: nothing was cut off."""
        if self.builder.name != "rendered_cars":
            return ()
        height, width, _ = self.builder.info.features[self.image_key].shape
        return PARTS if height * shape[1] == width * shape[0] else ()

    def _common_size(self) -> tuple[int, int]:
        sizes = [
            (self._usable[name].height, self._usable[name].width)
            for split in self.splits.values()
            for name in split.names
        ]
        if len(set(sizes)) > 1:
            raise UserError(differing_sizes(self.name, sizes))
        return sizes[0]

    def _survey(self, progress: bool) -> Survey:
        """What is in the images; they are read where that is not known, or the shards have changed."""
        found: dict[str, Inspection | str] = {}
        remembered = Remembered(Path(self.builder.data_path))
        stated = [(path.name, signature_of(path)) for path in shards(self.builder)]
        signature = None
        if all(own for _, own in stated):
            signature = hashlib.blake2b(repr(stated).encode(), digest_size=16).hexdigest()
        for split in self.splits.values():
            known = [remembered.get(name, signature) if signature else None for name in split.names]
            if not all(known):
                known = split.inspect(f"Looking at the images ({split.expression})", progress)
            for name, item in zip(split.names, known, strict=True):
                found[name] = item
                if signature and isinstance(item, Inspection):
                    remembered.put(name, signature, item)
        remembered.save()
        return Survey(
            usable={name: item for name, item in found.items() if isinstance(item, Inspection)},
            problems={name: item for name, item in found.items() if isinstance(item, str)},
        )

    def _expressions(self, config: Data) -> dict[str, str]:
        available = list(self.builder.info.splits)
        if not available:
            raise UserError(
                f"{self.builder.data_path} has no list of splits (dataset_info.json); {again(self.builder)}"
            )
        expressions = {}
        for role in ROLES:
            given = getattr(config.splits, role)
            found = [name for name in _NAMES[role] if name in available]
            if given is not None:
                _count(self.builder, given, f"data.splits.{role}={given}")
                expressions[role] = given
            elif found:
                expressions[role] = found[0]
        if "train" not in expressions:
            raise UserError(
                f"{self.name} has no split 'train' but {', '.join(available)}; say which one to train on, "
                f"such as data.splits.train={available[0]}."
            )
        return expressions

    def _split(self, role: str, expression: str, names: Sequence[str], progress: bool) -> TfdsSplit:
        expected = _count(self.builder, expression)
        if not expected:
            raise UserError(f"{self.name}, {expression}: no images; give another split as data.splits.{role}.")
        own = np.concatenate(list(self._labels(expression, progress)))
        if len(own) != expected:
            found = f"{self.name}, {expression}: {len(own)} records where {expected} are listed"
            raise UserError(f"{faulty_shard(self.builder, expression) or found}; {again(self.builder)}")
        if own.size and (own.min() < 0 or own.max() >= len(names)):
            position = int(np.flatnonzero((own < 0) | (own >= len(names)))[0])
            raise UserError(
                f"{self.name}, {expression}: record {position} has label {own[position]} but labels go from 0 to "
                f"{len(names) - 1} (-1 means that they are kept secret); give another split as data.splits.{role}."
            )
        kept = np.full(len(names), -1, np.int32)
        kept[[names.index(name) for name in self.classes]] = np.arange(len(self.classes))
        labels = kept[own]
        positions = np.flatnonzero(labels >= 0)
        labels = labels[positions]
        self._refuse_missing_classes(role, expression, labels)
        return TfdsSplit(self.builder, self.image_key, expression, positions, labels)

    def _refuse_missing_classes(self, role: str, expression: str, labels: np.ndarray) -> None:
        counts = np.bincount(labels, minlength=len(self.classes))
        if role == "train" and not counts.all():
            empty = self.classes[int(np.argmin(counts))]
            raise UserError(
                f"{self.name}, {expression}: class '{empty}' has no image to train on; "
                "list the classes to keep in data.classes, or give another data.splits.train."
            )
        if not len(labels):
            raise UserError(f"{self.name}, {expression}: no images of the classes in data.classes.")

    def _labels(self, expression: str, progress: bool) -> Iterator[np.ndarray]:
        with track(f"Reading labels ({expression})", _count(self.builder, expression), progress) as advance:
            with naming_damage(self.builder, expression):
                data = _read(self.builder, expression, self.label_key, skip_decoding=False)
                for labels in data.batch(_BATCH).as_numpy_iterator():
                    advance(len(labels))
                    yield labels

    def _carve_what_is_missing(self, share: float) -> None:
        missing = [role for role in ("validation", "test") if role not in self.splits]
        if not missing:
            return
        train = self.splits["train"]
        part = carve(train.labels, [str(position) for position in train.positions], share, len(missing), self.classes)
        for number, role in enumerate(["train", *missing]):
            chosen = np.flatnonzero(part == number)
            self.splits[role] = TfdsSplit(
                self.builder, self.image_key, train.expression, train.positions[chosen], train.labels[chosen]
            )
        self.splits = {role: self.splits[role] for role in ROLES}
        self.notes.append(
            f"{self.name} has no {' and no '.join(missing)} split: {share:.0%} of every class was taken from "
            f"'{train.expression}' for {'each' if len(missing) > 1 else 'it'}, always the same images."
        )


def _keys(builder) -> tuple[str, str]:
    """The features that hold the image and its class: the supervised pair, or the first of each kind."""
    features = builder.info.features
    pair = builder.info.supervised_keys or ()
    keys = [key for key in pair if isinstance(key, str)] + list(features)
    images = [key for key in keys if isinstance(features[key], tfds.features.Image) and _is_plain(features[key])]
    labels = [key for key in keys if isinstance(features[key], tfds.features.ClassLabel)]
    if not images or not labels:
        found = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in features.items())
        raise UserError(f"{builder.info.full_name} needs an 8- or 16-bit Image and a ClassLabel; it has {found}.")
    return images[0], labels[0]


def _is_plain(image: tfds.features.Image) -> bool:
    return image.np_dtype in (np.uint8, np.uint16)


def _count(builder, expression: str, given: str | None = None) -> int:
    try:
        return builder.info.splits[expression].num_examples
    except (KeyError, ValueError, AssertionError, TypeError) as error:
        available = list(builder.info.splits)
        guess = nearest(re.split(r"[\[+]", expression)[0], available)
        hint = f" Did you mean '{guess}'?" if guess and guess not in expression else ""
        raise UserError(
            f"{given or expression} is not a split of {builder.info.full_name}.{hint} It has "
            f"{', '.join(available) or 'none'}; parts are written like 'train[:80%]' ({reason(error)})."
        ) from None


def _read(builder, expression: str, key: str, skip_decoding: bool) -> tf.data.Dataset:
    """One feature of every record, in stored order; an image stays encoded where decoding is skipped."""
    decoders = tfds.decode.PartialDecoding(
        {key: True}, decoders={key: tfds.decode.SkipDecoding()} if skip_decoding else None
    )
    settings = tfds.ReadConfig(try_autocache=False)
    with no_warnings():
        data = builder.as_dataset(split=expression, shuffle_files=False, decoders=decoders, read_config=settings)
    return data.map(lambda example: example[key])


def _first(elements: tf.data.Dataset, count: int) -> Iterator[tuple]:
    """So many elements; reads no further."""
    return islice(elements.as_numpy_iterator(), count)
