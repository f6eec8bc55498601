"""Arrays in an `.npz` file, whose headers are all checked before memory is allocated for their values."""

import io
import math
import re
from collections.abc import Iterable

import numpy as np

from convlens.core.errors import UserError
from convlens.core.plain_zip import PlainZip

MEMBERS = 10_000
EXPANSION, EXPANSION_FLOOR = 100, 16 * 2**20  # unpacked bytes for a stored one; below the floor, as many as there are
_MAGIC = b"\x93NUMPY\x01\x00"
# What NumPy writes of plain numbers: no records, no objects, one way of spelling it.
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiub]\d)', 'fortran_order': (True|False), 'shape': \(((?:\d{1,10}, ?){0,8}\d{0,10})\), \} *\n"
)


def parse_arrays(content: bytes, *, dtypes: Iterable[str], most: int) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by their names, of at most `most` bytes in all.

    `dtypes` are those that may occur, as NumPy writes them: "<f4". Raises `UserError` with a reason that begins with a
    verb, "takes more than 1,000 bytes once unpacked".
    """
    archive = PlainZip(io.BytesIO(content), len(content), MEMBERS)
    total = sum(member.file_size for member in archive.members.values())
    if total > most or total > max(EXPANSION_FLOOR, EXPANSION * len(content)):
        raise UserError(f"takes {total:,} bytes once unpacked, from {len(content):,}; at most {most:,} are read")
    known = set(dtypes)
    for name, member in archive.members.items():  # all headers before any array
        _header(next(archive.chunks(name), b""), member.file_size, name, known)
    return {name.removesuffix(".npy"): _array(b"".join(archive.chunks(name)), name, known) for name in archive.members}


def bytes_of_arrays(content: bytes) -> int:
    """How many bytes the arrays of an `.npz` file take, as its directory says. Raises `UserError`."""
    archive = PlainZip(io.BytesIO(content), len(content), MEMBERS)
    return sum(member.file_size for member in archive.members.values())


def _header(content: bytes, size: int, name: str, dtypes: set[str]) -> tuple[int, np.dtype, tuple[int, ...], bool]:
    """Of an array of so many bytes, whose first are given: where its values begin, dtype, shape, whether in columns."""
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(content[start:end]) if content.startswith(_MAGIC) else None
    if header is None or header[1].decode() not in dtypes:
        raise UserError(f"has an array that is not one of {', '.join(sorted(dtypes))}, {name[:80]!r}")
    dtype, shape = np.dtype(header[1].decode()), tuple(int(side) for side in re.findall(rb"\d+", header[3]))
    if math.prod(shape) * dtype.itemsize != size - end:
        raise UserError(f"has an array of shape {shape} that takes {size - end:,} bytes, {name[:80]!r}")
    return end, dtype, shape, header[2] == b"True"


def _array(content: bytes, name: str, dtypes: set[str]) -> np.ndarray:
    end, dtype, shape, in_columns = _header(content, len(content), name, dtypes)
    values = np.frombuffer(content, dtype, offset=end)
    return values.reshape(shape[::-1]).T if in_columns else values.reshape(shape)
