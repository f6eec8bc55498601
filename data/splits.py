"""Which image plays which role: train, validation or test."""

import hashlib
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from convlens.core.errors import UserError, unknown
from convlens.core.program import as_value
from convlens.data.base import ROLES

# By which names of folders, or of splits in TFDS, a role is known, the most usual one first.
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid", "dev"), "test": ("test",)}


_MOST_LISTED = 30  # names of classes in a line for the user


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
    splits: Mapping[str, SomeSplit],
    keys: Sequence[str],
    share: float,
    classes: Sequence[str],
    name: str,
    train_only: Collection[str] = (),
) -> tuple[dict[str, SomeSplit], list[str]]:
    """All three roles: those that are missing get images of 'train', `share` of every class each.

    Args:
        splits: role -> its images, 'train' among them.
        keys: for each image of 'train' what it is known by, wherever it lies; it decides who gets the image.
        name: of the dataset, for the user.
        train_only: classes of which nothing is taken.

    Returns:
        role -> its images, and the lines that tell the user what was done.

    Raises:
        UserError: a class has too few images.
    """
    missing = [role for role in ROLES if role not in splits]
    if not missing:
        return dict(splits), []
    train = splits["train"]
    part = carve(train.labels, keys, share, missing, classes, train_only)
    carved = dict(splits)
    carved |= {role: train.take(np.flatnonzero(part == number)) for number, role in enumerate(["train", *missing])}
    note = (
        f"{name} has no {' and no '.join(missing)} split: {share:.0%} of every class was taken from the training "
        f"images for {'each' if len(missing) > 1 else 'it'}, always the same images."
    )
    return {role: carved[role] for role in ROLES}, [note]


def carve(
    labels: np.ndarray,
    keys: Sequence[str],
    share: float,
    roles: Sequence[str],
    classes: Sequence[str],
    train_only: Collection[str] = (),
) -> np.ndarray:
    """Take a random but lasting sample of every class for each of `roles`: `share` of it and at least one image.

    Images are ranked by a hash of their key (a relative path, a position), so that the same images give the same
    parts on every machine, whatever the seed.

    Returns:
        int array (n,): 0 for what stays, 1 for what the first role gets, and so on.
    """
    counts = {name: int((labels == label).sum()) for label, name in enumerate(classes) if name not in train_only}
    _refuse_small_classes(counts, share, roles, classes, train_only)
    ranks = np.array([hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest() for key in keys])
    part = np.zeros(len(labels), np.int32)
    for label, name in enumerate(classes):
        if name not in counts:
            continue
        members = np.flatnonzero(labels == label)
        count = _taken(share, len(members))
        ranked = members[np.argsort(ranks[members], kind="stable")]
        for number in range(len(roles)):
            part[ranked[number * count : (number + 1) * count]] = number + 1
    return part


def _taken(share: float, images: int) -> int:
    return max(1, round(share * images))


def _refuse_small_classes(
    counts: Mapping[str, int], share: float, roles: Sequence[str], classes: Sequence[str], train_only: Collection[str]
) -> None:
    """Raises `UserError`, with what helps, where nothing would be left of a class to learn from; `counts`: images."""
    parts = len(roles)
    small = [name for name, count in counts.items() if count <= parts * _taken(share, count)]
    if not small:
        if not counts:
            raise UserError(
                "data.train_only names every class: nothing is left to score a network on. Leave two classes out of it."
            )
        return
    smallest = min(small, key=lambda name: counts[name])
    count, more = counts[smallest], len(small) - 1
    others = f" {more} more class{'es have' if more > 1 else ' has'} too few as well." if more else ""
    line = f"Class '{smallest}' has {count} image{'s' if count > 1 else ''}"
    if count > parts:
        # What leaves an image of each class, in whole percents.
        lower = min((counts[name] - 1) // parts / counts[name] for name in small)
        each = " and as many for ".join(roles)
        raise UserError(
            f"{line}: a share of {share:g} takes {_taken(share, count)} for {each}, and none is left to train on."
            f"{others} Add images, or lower the share: "
            f"data.validation_share={max(0.01, int(lower * 100) / 100):g}"
        )
    line += (
        f"; at least {parts + 1} are needed: one to train on, one for {' and one for '.join(roles)}.{others} Add images"
    )
    kept = [name for name in classes if name not in small]
    if len(kept) >= 2:
        line += f", leave such classes out: {listed('data.classes', kept)}"
    if counts.keys() - set(small):
        line += ", or keep such classes in train alone, to be learned and never scored: "
        line += listed("data.train_only", [*train_only, *small])
    raise UserError(line)


def listed(key: str, names: Sequence[str]) -> str:
    """A key with a list of names as a word to be typed."""
    if len(names) > _MOST_LISTED:
        return f"list {len(names)} classes as {key}"
    values = [_as_text(name) for name in names]
    if all(re.fullmatch(r"[\w-]+", value, re.ASCII) for value in values):
        return f"{key}={','.join(values)}"
    return shlex.quote(f"{key}=[{','.join(values)}]")


def _as_text(name: str) -> str:
    """A name in the quotes without which it would be a number, or nothing."""
    value = as_value(name)
    is_word = re.fullmatch(r"[^\W\d_][\w-]*", name) and name.lower() not in ("true", "false", "null", "nan", "inf")
    return value if is_word or value != name else f"'{name}'"


def known_classes(key: str, names: Sequence[str] | None, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that a key names, if any. Raises `UserError` where there is none of such a name."""
    for name in names or ():
        if name not in classes:
            raise UserError(unknown(f"class in {key}", name, classes, where="folders of data.root, or TFDS' catalogue"))
    return tuple(names or ())


def kept_classes(available: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The classes that are wanted, in that order; all of them by default."""
    known_classes("data.classes", wanted, available)
    classes = tuple(wanted or available)
    if len(classes) < 2:
        number = f"Only one class found, '{classes[0]}'" if classes else "No class found"
        raise UserError(f"{number}; a classifier needs at least two. Add images of another class.")
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"data.classes names '{twice}' twice; name each class once.")
    return classes
