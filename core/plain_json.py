"""Reads JSON that is nothing but data, within limits: unique keys, finite numbers, valid text, bounded nesting."""

import json
import math
import re
from typing import Any

from convlens.core.errors import UserError

DEPTH = 60
BRACKETS = (
    500_000  # lists and groups in a text; the model of NASNetLarge, the largest of keras.applications, has 20,000
)
VALUES = 2_000_000
DIGITS = 25  # of a whole number
_LONG = re.compile(rb"[0-9]{%d}" % (DIGITS + 1))
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(raw: bytes, *, depth: int = DEPTH, values: int = VALUES, errors: str = "strict") -> dict[str, Any]:
    """The keys and values of a JSON text in UTF-8; with `errors="surrogateescape"`, bytes that are no text are kept.

    `depth` is how many levels it may have, `values` about how many values.

    Raises `UserError` with a reason that begins with a verb, "is nested too deeply, below 60 levels".
    """
    # What JSON costs in memory is decided by its lists and groups, not by its length.
    if raw.count(b"[") + raw.count(b"{") > BRACKETS:
        raise UserError(f"has more than {BRACKETS:,} lists and groups")
    if raw.count(b",") > values:
        raise UserError(f"has more than {values:,} values")
    whole = _whole_number if _LONG.search(raw) else None
    try:
        text = raw.decode("utf-8", errors)
        value = json.loads(
            text,
            object_pairs_hook=_refuse_duplicate_keys,
            parse_constant=_refuse_number,
            parse_float=_finite,
            parse_int=whole,
        )
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise UserError(f"is not UTF-8 text (byte {error.start:,})") from None
    except RecursionError:
        raise UserError(f"is nested too deeply, below {depth} levels") from None
    except ValueError as error:
        raise UserError(f"is not JSON ({str(error)[:200]})") from None
    if not isinstance(value, dict):
        raise UserError(f"holds {type(value).__name__}, expected a group of keys")
    _check_values(value, depth, errors if _HALF.search(text) else "")
    return value


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A group's keys and values.

    Raises `UserError` for a key that occurs twice: another reader might take the other value.
    """
    group = dict(pairs)
    if len(group) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1) if len(keys) < 1000 else "..."
        raise UserError(f"has the key {twice[:80]!r} twice in one group")
    return group


def _refuse_number(name: str) -> None:
    raise UserError(f"has {name} where a finite number belongs")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse_number(text[:40])
    return number


def _whole_number(text: str) -> int:
    if len(text) > DIGITS:
        raise UserError(f"has the number {text[:20]}... of {len(text):,} digits")
    return int(text)


def _check_values(value: Any, most: int, errors: str) -> None:
    """Refuses nesting that is too deep and, where `errors` says how text was decoded, half of a surrogate pair."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > most:
            raise UserError(f"is nested too deeply, below {most} levels")
        below = []
        for group in level:
            items = [*group, *group.values()] if isinstance(group, dict) else group
            if errors:
                _check_texts(items, errors)
            below += [item for item in items if isinstance(item, dict | list)]
        level = below


def _check_texts(items: list, errors: str) -> None:
    for item in items:
        try:
            if isinstance(item, str):
                item.encode("utf-8", errors)
        except UnicodeEncodeError:
            raise UserError(f"has a text with half of a character in it, {ascii(item[:40])}") from None
