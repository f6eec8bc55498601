"""A table of numbers in CSV, read within limits."""

import csv
import math

from convlens.core.errors import UserError

ROWS, COLUMNS, LINE = 100_000, 100, 5_000  # rows, columns, characters of a line
NUMBERS = 1_000_000  # in all rows, which take 80 MB


def parse_table(text: str) -> list[dict[str, float]]:
    """A row after another, each with a finite number for every name in the first line; a number that is left out is
    left out of its row.

    Raises `UserError` with a reason that begins with a verb, "has a row of 3 numbers for 8 names".
    """
    if text.count(",") > NUMBERS:
        raise UserError(f"has more than {NUMBERS:,} numbers")
    lines = text.split("\n", ROWS + 2)
    if len(lines) > ROWS + 2:
        raise UserError(f"has more than {ROWS:,} rows")
    if lines.pop() != "":
        raise UserError("does not end with a line's end")
    if any(len(line) > LINE or not line.isascii() or not line.isprintable() for line in lines):
        raise UserError(f"has a line of more than {LINE:,} characters, or one that is no table of numbers")
    try:
        names, *rows = csv.reader(lines, strict=True) if lines else [[]]
    except csv.Error as error:
        raise UserError(f"is not CSV ({error})") from None
    if not 0 < len(names) <= COLUMNS or len(set(names)) < len(names) or "" in names:
        raise UserError(
            f"has a first line of {len(names):,} names, some of them twice or empty, or more than {COLUMNS}"
        )
    return [_row(names, row) for row in rows]


def _row(names: list[str], values: list[str]) -> dict[str, float]:
    if len(values) != len(names):
        raise UserError(f"has a row of {len(values):,} numbers for {len(names):,} names")
    return {name: _number(value) for name, value in zip(names, values, strict=True) if value != ""}


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"has '{text[:40]}' where a finite number belongs")
    return number
