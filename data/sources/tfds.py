"""A prepared TFDS dataset: its classes, its roles, and what each of its images holds."""

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.data.base import ROLES
from convlens.data.images import Inspection, differing_sizes
from convlens.data.rendered_cars import PARTS
from convlens.data.sources.tfds_features import image_and_label
from convlens.data.sources.tfds_shards import (
    edge_bytes,
    exchanged_shard_notes,
    faulty_shard,
    how_to_prepare_again,
    naming_damaged_shard,
    refuse_copied_shards,
    refuse_endless_records,
    refuse_overlapping_splits,
    shard_paths,
)
from convlens.data.sources.tfds_split import BATCH, TfdsSplit, count_records, read_feature
from convlens.data.splits import carve_missing, kept_classes, known_classes, named_split
from convlens.data.survey import InspectionCache, Survey, contradiction_notes, shared_image_notes, signature_of


class TfdsSource:
    """A prepared TFDS dataset with the labels of all its images, each of which was looked at.

    Attributes: name, classes, splits (role -> TfdsSplit), inspections (role -> one for each image), notes (lines that
    the user should read), skipped (a line for each image that was left out).

    Raises:
        UserError: unknown name, cannot be prepared, no image or label, wrong or overlapping splits, damaged files,
            an image that cannot be used (unless these are skipped), many images that are in two splits.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, config: Data, progress: bool):
        self.builder = builder
        self.name = builder.info.full_name
        self.notes: list[str] = []
        self.image_key, self.label_key = image_and_label(builder)
        names = builder.info.features[self.label_key].names
        self.classes = kept_classes(names, config.classes)
        expressions = self._expressions(config)
        refuse_overlapping_splits(builder, expressions)
        refuse_endless_records(builder)
        refuse_copied_shards(builder)
        self.notes += exchanged_shard_notes(builder)
        splits = {role: self._split(role, expression, names, progress) for role, expression in expressions.items()}
        survey = self._survey(splits, progress)
        self.skipped = survey.skipped(config.on_error)
        if self.skipped:
            splits = {role: _without(split, survey.problems) for role, split in splits.items()}
            for role, split in splits.items():
                self._refuse_missing_classes(role, split.expression, split.labels)
        self._usable = survey.usable
        keys = [str(position) for position in splits["train"].positions]
        train_only = known_classes("data.train_only", config.train_only, self.classes)
        self.splits, carved = carve_missing(splits, keys, config.validation_share, self.classes, self.name, train_only)
        self.inspections = survey.of(self.splits)
        self.notes += carved + survey.notes(self.skipped) + shared_image_notes(self.splits, self.inspections)
        self.notes += contradiction_notes(self.splits, self.inspections, self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of version, roles, labels and of every shard's length and edges."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for role, split in self.splits.items():
            digest.update(f"{role}\0{split.expression}\0".encode())
            digest.update(split.positions.tobytes() + split.labels.tobytes())
        for path in shard_paths(self.builder):
            digest.update(path.name.encode() + edge_bytes(path))
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
        faults = (faulty_shard(self.builder, expression) for expression in expressions)
        fault = next(filter(None, faults), "")
        return fault and f"{fault}; {how_to_prepare_again(self.builder)}"

    def part_names(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """What the values of the masks mean, if images of `shape` have any that lie on them: nothing was cut off."""
        features = self.builder.info.features
        if self.builder.name != "rendered_cars" or "parts" not in features:
            return ()
        height, width, _ = features[self.image_key].shape
        return PARTS if height and width and height * shape[1] == width * shape[0] else ()

    def _common_size(self) -> tuple[int, int]:
        sizes = [
            (self._usable[name].height, self._usable[name].width)
            for split in self.splits.values()
            for name in split.names
        ]
        if len(set(sizes)) > 1:
            raise UserError(differing_sizes(self.name, sizes))
        return sizes[0]

    def _survey(self, splits: Mapping[str, TfdsSplit], progress: bool) -> Survey:
        """What is in the images; they are read where that is not known, or the shards have changed."""
        cache = InspectionCache(Path(self.builder.data_path))
        signature = self._signature()
        results: dict[str, Inspection | str] = {}
        for split in splits.values():
            known = [cache.get(name, signature) if signature else None for name in split.names]
            looked_at: Sequence[Inspection | str] = [inspection for inspection in known if inspection]
            if len(looked_at) < len(split):
                with progress_bar(f"Looking at the images ({split.expression})", len(split), shown=progress) as bar:
                    looked_at = split.inspect(bar)
            for name, result in zip(split.names, looked_at, strict=True):
                results[name] = result
                if signature and isinstance(result, Inspection):
                    cache.put(name, signature, result)
        cache.save()
        return Survey.of_results(results.keys(), results.values())

    def _signature(self) -> str | None:
        """What changes when a shard does; None where one has changed just now."""
        signatures = [(path.name, signature_of(path)) for path in shard_paths(self.builder)]
        if not all(signature for _, signature in signatures):
            return None
        return hashlib.blake2b(repr(signatures).encode(), digest_size=16).hexdigest()

    def _expressions(self, config: Data) -> dict[str, str]:
        available = list(self.builder.info.splits)
        if not available:
            advice = how_to_prepare_again(self.builder)
            raise UserError(f"{self.builder.data_path} has no list of splits (dataset_info.json); {advice}")
        expressions = {}
        for role in ROLES:
            given = getattr(config.splits, role)
            usual = named_split(role, available)
            if given is not None:
                count_records(self.builder, given, f"data.splits.{role}={given}")
                expressions[role] = given
            elif usual:
                expressions[role] = usual
        if "train" not in expressions:
            raise UserError(
                f"{self.name} has no split 'train', only {', '.join(available)}; choose the one to train on, "
                f"such as data.splits.train={available[0]}."
            )
        return expressions

    def _split(self, role: str, expression: str, names: Sequence[str], progress: bool) -> TfdsSplit:
        expected = count_records(self.builder, expression)
        if not expected:
            raise UserError(f"{self.name}, {expression}: no images; give another split as data.splits.{role}.")
        own = np.concatenate(list(self._labels(expression, progress)))
        if len(own) != expected:
            fault = f"{self.name}, {expression}: {len(own)} records, but {expected} are listed"
            raise UserError(f"{faulty_shard(self.builder, expression) or fault}; {how_to_prepare_again(self.builder)}")
        if own.size and (own.min() < 0 or own.max() >= len(names)):
            position = int(np.flatnonzero((own < 0) | (own >= len(names)))[0])
            raise UserError(
                f"{self.name}, {expression}: record {position} has label {own[position]} but labels go from 0 to "
                f"{len(names) - 1} (-1 means that they are kept secret). {self._labelled_splits(role)}"
            )
        kept = np.full(len(names), -1, np.int32)
        kept[[names.index(name) for name in self.classes]] = np.arange(len(self.classes))
        labels = kept[own]
        positions = np.flatnonzero(labels >= 0)
        labels = labels[positions]
        self._refuse_missing_classes(role, expression, labels)
        return TfdsSplit(self.builder, self.image_key, expression, positions, labels)

    def _labelled_splits(self, role: str) -> str:
        """Which splits to give where those of a role have no labels."""
        available = list(self.builder.info.splits)
        source = "validation" if role == "test" and named_split("validation", available) else "train"
        name = named_split(source, available)
        if role == "train" or name is None:
            return f"Give another split as data.splits.{role}."
        share = "50%" if source == "validation" else "90%"
        words = (f"data.splits.{source}={name}[:{share}]", f"data.splits.{role}={name}[{share}:]")
        return f"Take a part of another split: {shlex.join(words)}"

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
        done, total = 0, count_records(self.builder, expression)
        with (
            progress_bar(f"Reading labels ({expression})", total, shown=progress) as bar,
            naming_damaged_shard(self.builder, expression),
        ):
            data = read_feature(self.builder, expression, self.label_key, skip_decoding=False)
            for labels in data.batch(BATCH).as_numpy_iterator():
                done += len(labels)
                bar(done, total)
                yield labels


def _without(split: TfdsSplit, problems: Mapping[str, str]) -> TfdsSplit:
    """The split without the images of these names."""
    return split.take(np.flatnonzero([name not in problems for name in split.names]))
