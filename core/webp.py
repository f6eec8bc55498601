"""Whether a part of a WebP's picture was overwritten with zeros: any bytes are codes, and no decoder notices."""

from collections.abc import Iterator

_ZEROS = 256  # bytes in a row; to have so many, a picture of one colour would need tens of megapixels
_FRAME = 16  # bytes of an animation's frame before its own chunks


def webp_damage(encoded: bytes) -> str | None:
    """What is wrong with the picture of a WebP that Pillow could decode; None where nothing can be seen."""
    if bytes(_ZEROS) not in encoded:  # notes beside the picture may well have them
        return None
    damaged = any(bytes(_ZEROS) in picture for picture in _pictures(encoded, 12))
    return "it has a stretch of zeros in place of the picture" if damaged else None


def _pictures(encoded: bytes, position: int) -> Iterator[bytes]:
    while position + 8 <= len(encoded):
        kind, size = encoded[position : position + 4], int.from_bytes(encoded[position + 4 : position + 8], "little")
        content = encoded[position + 8 : position + 8 + size]
        if kind in (b"VP8 ", b"VP8L"):
            yield content
        elif kind == b"ANMF":
            yield from _pictures(content, _FRAME)
        position += 8 + size + size % 2
