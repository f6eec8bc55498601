"""Whether a JPEG holds the whole picture: libjpeg notices much of what is wrong with one, and Pillow keeps it back."""

import re
from collections.abc import Iterator

import simplejpeg

_END = b"\xff\xd9"
_ZEROS = 16  # bytes in a row that no photograph has where zero bits mean other than "the rest of the block is zero"
_AHEAD = 8  # bytes that libjpeg takes before it needs them, and does not count
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression")
_STANDALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length


def jpeg_damage(encoded: bytes, mode: str) -> str | None:
    """What is wrong with the picture of a JPEG that Pillow could decode; None where nothing can be seen.

    libjpeg fills in what it cannot decode, and warns. Most damage makes its codes end too early or too late; a single
    flipped bit often does not, and then nobody can tell.

    Args:
        encoded: the file's bytes.
        mode: as Pillow has it.
    """
    warning = _warning(encoded, mode)
    if warning and not warning.startswith(_DAMAGE):
        # Only the first warning is passed on, and this one is about a note beside the picture.
        warning = _warning(_bare(encoded), mode)
    padded = _is_padding(encoded, warning)
    if warning.startswith(_DAMAGE) and not padded:
        return warning.removeprefix("Corrupt JPEG data: ")
    return "it has a stretch of zeros in place of the picture" if _has_zeros(encoded, padded) else None


def _warning(encoded: bytes, mode: str) -> str:
    """The first warning of libjpeg, which decodes all codes, but only the brightness of each block."""
    colours = "CMYK" if mode == "CMYK" else "GRAY"
    try:
        simplejpeg.decode_jpeg(encoded, colours, min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        return str(error)
    return ""


def _is_padding(encoded: bytes, warning: str) -> bool:
    """Whether what stands between the picture and the end is one byte again and again, as some cameras write it.

    Where a part of the picture was overwritten with such bytes, some of them were taken for codes, and there are more
    of them than libjpeg counts.
    """
    extra = re.search(r"(\d+) extraneous bytes before marker 0xd9", warning)
    end = encoded.rfind(_END)
    if not extra or end < 1:
        return False
    repeated = end - len(encoded[:end].rstrip(encoded[end - 1 : end]))
    return int(extra[1]) <= repeated <= int(extra[1]) + _AHEAD


def _has_zeros(encoded: bytes, padded: bool) -> bool:
    """Whether a part of the codes was overwritten with zeros, which libjpeg takes for codes of faint patterns.

    `padded`: those before the end are not codes.
    """
    first = encoded.find(bytes(_ZEROS))
    if first < 0:
        return False
    start, table, is_plain = 0, None, False
    for marker, begin, end in _segments(encoded):
        if marker == 0xC4:
            table = _of_brightness(encoded[begin:end]) or table
        is_plain |= marker in (0xC0, 0xC1)  # of progressive JPEGs, zeros may stand for many empty blocks
        if marker == 0xDA:
            start = end
            break
    if not (start and is_plain and table and table[16]):
        return False
    end = encoded.find(_END, start)
    codes = encoded[start : end if end > 0 else len(encoded)]
    return bytes(_ZEROS) in (codes.rstrip(b"\0") if padded else codes)


def _of_brightness(tables: bytes) -> bytes | None:
    """The table of codes of brightness in a segment of tables: how many of each length, then the symbols in order."""
    while len(tables) > 17:
        count = sum(tables[1:17])
        if tables[0] == 0x10:
            return tables[1 : 17 + count]
        tables = tables[17 + count :]
    return None


def _bare(encoded: bytes) -> bytes:
    """The picture alone, without notes beside it, and with the one choice that a plain JPEG has for its scan."""
    kept, is_plain = [b"\xff\xd8"], False
    for marker, begin, end in _segments(encoded):
        content = encoded[begin:end]
        is_plain |= marker in (0xC0, 0xC1)
        if marker == 0xDA and is_plain:
            content = content[:-3] + b"\0\x3f\0"
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(b"\xff" + bytes([marker]) + (len(content) + 2).to_bytes(2, "big") + content)
        if marker == 0xDA:
            kept.append(encoded[end:])
    return b"".join(kept)


def _segments(encoded: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker of each segment up to the first scan's, and where its content begins and ends."""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF or marker in _STANDALONE:  # filling, or nothing that has a content
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(encoded[position + 2 : position + 4], "big")
        if length < 2:
            return
        yield marker, position + 4, position + 2 + length
        if marker == 0xDA:
            return
        position += 2 + length
