"""Reads the headers of the HDF5 files that Keras writes, and of no others.

The HDF5 library follows links to other files, allocates what a header declares, and loops or crashes on some damaged
files. Keras, through h5py, uses a small part of the format: old-style groups and whole uncompressed arrays. Here only
that part is understood, every offset is checked, and all else is refused. Section numbers are those of the
"HDF5 File Format Specification Version 3.0", https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlens.core.errors import ModelError
from convlens.models.keras_file.archive import printable, size_of

OBJECTS = 50_000
MESSAGES = 100  # in an object's header; Keras' have about ten
MESSAGES_IN_ALL, HEADER_BYTES = 300_000, 2**26  # of all objects; NASNetLarge's weights have 13,000, in 1 MB
NAME_BYTES, PATH_BYTES = 500, 1000  # of one member, of all groups above an array
_UNDEFINED = 2**64 - 1
_SUPERBLOCK = bytes.fromhex("894844460d0a1a0a 00000000 00080800")  # version 0, offsets and lengths of 8 bytes
_DATASPACE, _LINK_INFO, _DATATYPE, _LINK, _EXTERNAL, _LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
_FILTERS, _CONTINUATION, _SYMBOL_TABLE = 0x0B, 0x10, 0x11
_SOFT_LINK = 2
# Datatype messages (IV.A.2.d), whole: class and version, class bits, size, then bit fields. All little-endian.
_TYPES = {
    bytes.fromhex("11200f00 02000000 00001000 0a05000a 0f000000"): "float16",
    bytes.fromhex("11201f00 04000000 00002000 17080017 7f000000"): "float32",
    bytes.fromhex("11203f00 08000000 00004000 340b0034 ff030000"): "float64",
    bytes.fromhex("10080000 04000000 00002000"): "int32",
    bytes.fromhex("10080000 08000000 00004000"): "int64",
    bytes.fromhex("15000000 02000000"): "bfloat16",  # HDF5 has none: Keras writes two opaque bytes
}
_SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "int32": 4, "int64": 8}


@dataclass(frozen=True)
class Array:
    """Where an array lies in the file."""

    shape: tuple[int, ...]
    dtype: str
    offset: int
    bytes: int


def arrays(path: Path, *, without: str) -> dict[str, Array]:
    """Every array of the file by its path, "layers/dense/vars/0", except below the group `without`.

    Each lies in the file whole, and no two share bytes. Raises ModelError for anything that Keras does not write.
    """
    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise ModelError("has no weights: model.weights.h5 is empty") from None
        array_by_path: dict[str, Array] = {}
        with content:
            for name, array in _Reader(content).arrays(without):
                # One name may be there twice, or have a "/" in it and stand for a group's member.
                if name in array_by_path:
                    raise ModelError(f"has damaged weights: '{printable(name)}' is there twice")
                array_by_path[name] = array
    pieces = sorted((array.offset, array.offset + array.bytes, name) for name, array in array_by_path.items())
    for (_, end, first), (start, _, second) in zip(pieces, pieces[1:], strict=False):
        if start < end:
            raise ModelError(f"has weights that share bytes: '{printable(first)}' and '{printable(second)}'")
    return array_by_path


class _Reader:
    def __init__(self, content: mmap.mmap):
        self.content = content
        self.seen: set[int] = set()
        self.listed = 0
        self.messages_left = MESSAGES_IN_ALL
        self.bytes_left = HEADER_BYTES

    def arrays(self, without: str) -> Iterator[tuple[str, Array]]:
        """Superblock (II.A), then one group after the other."""
        head = self.read(0, 96)
        if not head.startswith(_SUPERBLOCK) or head[24:32] != bytes(8) or _number(head[48:56]) != _UNDEFINED:
            raise ModelError("has weights in a form of HDF5 that Keras does not write")
        waiting = [("", _number(head[64:72]))]
        while waiting:
            path, address = waiting.pop()
            messages = self.messages(address, path)
            if len(path) > PATH_BYTES:
                raise ModelError(f"has weights below groups whose names have more than {PATH_BYTES:,} characters")
            if _SYMBOL_TABLE in messages:
                prefix = f"{path}/" if path else ""
                waiting += [
                    (f"{prefix}{name}", child)
                    for name, child in self.members(messages[_SYMBOL_TABLE], path)
                    if f"{prefix}{name}" != without
                ]
            elif _LINK_INFO in messages or _LINK in messages:
                raise ModelError(
                    f"has links in its weights that Keras does not write, in the group '/{printable(path)}'"
                )
            else:
                yield path, self.array(messages, path)

    def read(self, offset: int, length: int) -> bytes:
        if offset + length > len(self.content):
            raise ModelError("has damaged weights: they point outside of their file")
        self.bytes_left -= length
        if self.bytes_left < 0:
            raise ModelError(f"has headers in its weights of more than {size_of(HEADER_BYTES)}")
        return self.content[offset : offset + length]

    def count(self, more: int) -> None:
        self.listed += more
        if self.listed > OBJECTS:
            raise ModelError(f"has more than {OBJECTS:,} objects in its weights")

    def once(self, address: int, what: str) -> None:
        if address in self.seen:
            raise ModelError(f"has damaged weights: {what} is reached twice")
        self.seen.add(address)

    def messages(self, address: int, path: str) -> dict[int, bytes]:
        """The messages of an object's header (IV.A.1.a), by type; of attributes and such only the last."""
        self.once(address, f"'/{printable(path)}'")
        head = self.read(address, 16)
        count = _number(head[2:4])
        if head[0] != 1 or count > MESSAGES:
            raise ModelError(f"has damaged weights: no header at '/{printable(path)}'")
        self.messages_left -= count
        if self.messages_left < 0:
            raise ModelError(f"has more than {MESSAGES_IN_ALL:,} messages in the headers of its weights")
        blocks, message_by_kind = [(address + 16, _number(head[8:12]))], {}
        while blocks and count:
            start, length = blocks.pop(0)
            end = start + length
            while start + 8 <= end and count:
                kind, size, flags = (
                    _number(self.read(start, 2)),
                    _number(self.read(start + 2, 2)),
                    self.read(start + 4, 1),
                )
                body = self.read(start + 8, size)
                if kind == _CONTINUATION:
                    self.once(_number(body[:8]), "a header")
                    blocks.append((_number(body[:8]), _number(body[8:16])))
                elif kind in (_DATASPACE, _DATATYPE, _LAYOUT) and (flags[0] & 2 or kind in message_by_kind):
                    raise ModelError(f"has weights described elsewhere, at '{printable(path)}'")
                else:
                    message_by_kind[kind] = body
                start += 8 + size
                count -= 1
        return message_by_kind

    def members(self, table: bytes, path: str) -> Iterator[tuple[str, int]]:
        """A group's members (III.A.1, III.B to III.D): names in a heap, addresses in the leaves of a B-tree."""
        names = _number(table[8:16])
        self.once(names, f"the list of names of the group '/{printable(path)}'")
        heap = self.read(names, 32)
        if not heap.startswith(b"HEAP\0"):
            raise ModelError(f"has damaged weights: no names for the group '/{printable(path)}'")
        start_of_names, length = _number(heap[24:32]), _number(heap[8:16])
        nodes = [_number(table[:8])]
        while nodes:
            address = nodes.pop()
            self.once(address, f"the list of the group '/{printable(path)}'")
            head = self.read(address, 24)
            if head.startswith(b"TREE\0"):
                self.count(_number(head[6:8]))
                children = self.read(address + 24, 8 + 16 * _number(head[6:8]))
                nodes += [_number(children[start : start + 8]) for start in range(8, len(children), 16)]
                continue
            if not head.startswith(b"SNOD\1"):
                raise ModelError(f"has damaged weights: no list of the group '/{printable(path)}'")
            self.count(_number(head[6:8]))
            entries = self.read(address + 8, 40 * _number(head[6:8]))
            for start in range(0, len(entries), 40):
                entry = entries[start : start + 40]
                name = self.name(start_of_names, length, _number(entry[:8]))
                if _number(entry[16:20]) == _SOFT_LINK:
                    raise ModelError(
                        f"has a link to somewhere else in its weights, '{printable(path)}/{printable(name)}'"
                    )
                yield name, _number(entry[8:16])

    def name(self, start: int, length: int, first: int) -> str:
        """A member's name, as it begins so many bytes after a heap's start; only the name itself is read."""
        raw = self.read(start + first, max(0, min(NAME_BYTES, length - first, len(self.content) - start - first)))
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")

    def array(self, messages: dict[int, bytes], path: str) -> Array:
        quoted_path = f"'{printable(path)}'"
        if _EXTERNAL in messages:
            raise ModelError(f"has weights stored in other files, {quoted_path}")
        if not {_DATASPACE, _DATATYPE, _LAYOUT} <= messages.keys():
            raise ModelError(f"has {quoted_path} in its weights, which is neither a group nor an array")
        dtype = next((name for code, name in _TYPES.items() if messages[_DATATYPE].startswith(code)), None)
        if dtype is None:
            raise ModelError(f"has weights of a type that is not read, {quoted_path}")
        layout = messages[_LAYOUT]
        if layout[:2] != b"\3\1" or _FILTERS in messages:
            raise ModelError(
                f"has weights stored in chunks, compressed or virtual, {quoted_path}, which Keras does not write"
            )
        shape = _shape(messages[_DATASPACE], quoted_path)
        offset, size = _number(layout[2:10]), _number(layout[10:18])
        needed = math.prod(shape) * _SIZES[dtype]
        if size != needed or offset + size > len(self.content):
            raise ModelError(f"declares {size_of(needed)} of weights for {quoted_path}, which the file does not hold")
        return Array(shape, dtype, offset, size)


def _shape(space: bytes, quoted_path: str) -> tuple[int, ...]:
    """A dataspace's sides (IV.A.2.b). In version 2 a byte says that it is a scalar, simple, or has no elements."""
    version, rank, _, kind = space[:4].ljust(4, b"\0")
    start = {1: 8, 2: 4}.get(version, 0)
    if not start or rank > 8 or len(space) < start + 8 * rank or (version == 2 and kind == 2):
        raise ModelError(f"has damaged weights: no shape for {quoted_path}")
    return tuple(_number(space[start + 8 * side : start + 8 * side + 8]) for side in range(rank))


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
