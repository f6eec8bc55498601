"""Which image plays which role: train, validation or test."""

import hashlib
from collections.abc import Sequence

import numpy as np

from convlens.core.errors import UserError, unknown

ROLES = ("train", "validation", "test")


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
            raise UserError(unknown("class in data.classes", name, available))
    classes = tuple(wanted or available)
    if len(classes) < 2:
        raise UserError(f"Only one class found, '{classes[0]}'; a classifier needs at least two.")
    if len(set(classes)) < len(classes):
        raise UserError("data.classes names a class twice; name each once.")
    return classes
