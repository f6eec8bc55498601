"""Whether the picture of a PNG is what was written: its checksums tell, most of which Pillow does not read."""

import zlib
from collections.abc import Iterator

_START = 8  # bytes of the signature
_AROUND = 12  # bytes of a chunk around its content: length, kind, checksum


def png_damage(encoded: bytes) -> str | None:
    """What is wrong with the picture of a PNG that Pillow could decode; None where it is what was written."""
    for kind, content, checksum in _chunks(encoded):
        if kind == b"IDAT" and len(checksum) < 4:
            return "its end is missing"
        if kind == b"IDAT" and zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            return "a checksum of its picture differs"
    return None


def has_end(encoded: bytes) -> bool:
    """Whether nothing is missing behind the picture: some decoders refuse a PNG without the chunk that ends it."""
    if encoded[-8:-4] == b"IEND":  # it mostly is the last one
        return True
    return any(kind == b"IEND" and len(checksum) == 4 for kind, _, checksum in _chunks(encoded))


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Kind, content and checksum of each chunk; where the file is cut, what is left of them."""
    view, position = memoryview(encoded), _START
    while position + 8 <= len(encoded):
        size = int.from_bytes(view[position : position + 4], "big")
        kind, end = bytes(view[position + 4 : position + 8]), position + 8 + size
        yield kind, view[position + 8 : end], view[end : end + 4]
        if kind == b"IEND":
            return
        position += _AROUND + size
