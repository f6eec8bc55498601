"""Values inside a saved configuration, judged as plain data: numbers, words, shapes and names."""

import math
from collections.abc import Iterable
from typing import Any

from convlens.core.errors import ModelError
from convlens.models.keras_file.archive import printable

DIMENSIONS, SIDE = 8, 2**24
VALUES_AN_IMAGE = 2**30  # in one tensor
VALUES = 10_000  # in one list of numbers


def check_plain(value: Any, where: str, depth: int = 0) -> int:
    """Refuses whatever is not a number, a word, true, false, null or a list of these; returns how many there are."""
    if isinstance(value, list):
        count = len(value)
        for item in value if count <= VALUES and depth < 4 else []:
            count += check_plain(item, where, depth + 1)
            if count > VALUES:
                break
        if count > VALUES or depth == 4:
            raise ModelError(f"has an over-long list in {where}")
        return count
    if isinstance(value, dict):
        raise ModelError(f"has {described(value)} in {where}, where a number or a word belongs")
    if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) > 2**63:
        raise ModelError(f"has the number {printable(value, 20)} in {where}")
    if isinstance(value, str) and len(value) > 200:
        raise ModelError(f"has a text of {len(value):,} characters in {where}")
    return 0


def check_shape(value: Any, *, negative: bool = False) -> None:
    """A tensor's shape: a few sides, each null or a size that a tensor may have."""
    if value is None:
        return
    if not isinstance(value, list) or len(value) > DIMENSIONS:
        raise ModelError(f"has {described(value)} where a shape of at most {DIMENSIONS} sides belongs")
    for side in value:
        if side is None or (negative and side == -1 and type(side) is int):
            continue
        if type(side) is not int or not 0 < side <= SIDE:
            raise ModelError(f"has a shape with the side {printable(side, 20)}; a side is a number from 1 to {SIDE:,}")
    if math.prod(side for side in value[1:] if side) > VALUES_AN_IMAGE:
        raise ModelError(
            f"asks for a tensor of shape {printable(value)}, of more than {VALUES_AN_IMAGE:,} values an image"
        )


def check_build_shapes(build: Any) -> None:
    """What a layer says that it was built for: one shape, several, or several by name."""
    if build is None:
        return
    if not isinstance(build, dict) or not set(build) <= {"input_shape", "shapes_dict"}:
        raise ModelError(f"has {described(build)} where a layer's input shape belongs")
    shapes = list(build.values())
    if isinstance(build.get("shapes_dict"), dict):
        shapes = list(build["shapes_dict"].values())
    for shape in shapes:
        several = isinstance(shape, list) and shape and all(isinstance(item, list) for item in shape)
        for sides in shape if several else [shape]:
            check_shape(sides)


def check_name(options: dict[str, Any]) -> None:
    name = options.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise ModelError(f"has the name '{printable(name)}'; a name is a printable text of at most 200 characters")


def check_keys(group: dict[str, Any], known: Iterable[str], where: str) -> None:
    """Refuses options that were not reviewed; an unreviewed option that is null or false is ignored."""
    known = set(known)
    for key, value in group.items():
        if key not in known and value is not None and value is not False:
            raise ModelError(f"sets '{printable(key)}' in {where}, which is not an option that is read")


def name_of(saved: dict[str, Any]) -> str:
    """A layer's name for an error's text, wherever it is written, whatever it is."""
    options = saved.get("config")
    return printable((options.get("name") if isinstance(options, dict) else None) or saved.get("name") or "?", 60)


def described(value: Any) -> str:
    if isinstance(value, dict):
        name = value.get("class_name")
        return f"an object of class {printable(name)}" if name else "a group of keys"
    return "a list" if isinstance(value, list) else f"'{printable(value, 30)}'"
