"""Which image plays which role: train, validation or test."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from convlens.core.errors import UserError, unknown
from convlens.data.base import ROLES

# By which names of folders, or of splits in TFDS, a role is known, the most usual one first.
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid", "dev"), "test": ("test",)}


class Divisible(Protocol):
    """Labelled images of which some can be taken apart."""

    labels: np.ndarray

    def take(self, indices: np.ndarray) -> Self:
        """The images of these indices, as a split of their own."""
        ...


SomeSplit = TypeVar("SomeSplit", bound=Divisible)


def named_split(role: str, available: Collection[str]) -> str | None:
    """Which of the available names is the usual one for a role; None where none is."""
    return next((name for name in SPLIT_NAMES[role] if name in available), None)


def carve_missing(
    splits: Mapping[str, SomeSplit], keys: Sequence[str], share: float, classes: Sequence[str], name: str
) -> tuple[dict[str, SomeSplit], list[str]]:
    """All three roles: those that are missing get images of 'train', `share` of every class each.

    Args:
        splits: role -> its images, 'train' among them.
        keys: for each image of 'train' what it is known by, wherever it lies; it decides who gets the image.
        name: of the dataset, for the user.

    Returns:
        role -> its images, and the lines that tell the user what was done.

    Raises:
        UserError: a class has too few images.
    """
    missing = [role for role in ROLES if role not in splits]
    if not missing:
        return dict(splits), []
    train = splits["train"]
    part = carve(train.labels, keys, share, len(missing), classes)
    carved = dict(splits)
    carved |= {role: train.take(np.flatnonzero(part == number)) for number, role in enumerate(["train", *missing])}
    note = (
        f"{name} has no {' and no '.join(missing)} split: {share:.0%} of every class was taken from the training "
        f"images for {'each' if len(missing) > 1 else 'it'}, always the same images."
    )
    return {role: carved[role] for role in ROLES}, [note]


def carve(labels: np.ndarray, keys: Sequence[str], share: float, parts: int, classes: Sequence[str]) -> np.ndarray:
    """Take `parts` random but lasting samples of every class, each `share` of it and at least one image.

    Images are ranked by a hash of their key (a relative path, a position), so that the same images give the same
    parts on every machine, whatever the seed.

    Returns:
        int array (n,): 0 for what stays, 1 ... parts for what was taken.
    """
    ranks = np.array([hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest() for key in keys])
    part = np.zeros(len(labels), np.int32)
    for label, name in enumerate(classes):
        members = np.flatnonzero(labels == label)
        count = max(1, round(share * len(members)))
        if len(members) <= parts * count:
            raise UserError(
                f"Class '{name}' has too few images to carve from, {len(members)}; {parts} of {share:g} each and "
                "something to train on are needed. Add images, or lower data.validation_share."
            )
        ranked = members[np.argsort(ranks[members], kind="stable")]
        for number in range(parts):
            part[ranked[number * count : (number + 1) * count]] = number + 1
    return part


def kept_classes(available: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The classes that are wanted, in that order; all of them by default."""
    for name in wanted or ():
        if name not in available:
            raise UserError(
                unknown("class in data.classes", name, available, where="folders of data.root, or TFDS' catalogue")
            )
    classes = tuple(wanted or available)
    if len(classes) < 2:
        number = f"Only one class found, '{classes[0]}'" if classes else "No class found"
        raise UserError(f"{number}; a classifier needs at least two.")
    if len(set(classes)) < len(classes):
        raise UserError("data.classes names a class twice; name each once.")
    return classes
