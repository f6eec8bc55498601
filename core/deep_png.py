"""PNG files of sixteen bits a channel, of which Pillow keeps eight where there is more than one channel."""

from typing import BinaryIO

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AT_A_TIME = 4_000_000  # values of a large image that are converted
_GREY, _RGB, _GREY_ALPHA = 0, 2, 4  # colour types; the other one that can have sixteen bits is RGBA


def is_deep(file: BinaryIO) -> bool:
    """Whether this is a PNG of sixteen bits a channel; the file is at its start afterwards."""
    start = _start(file)
    return start.startswith(_SIGNATURE) and start[24:25] == b"\x10"


def deep_values(file: BinaryIO) -> np.ndarray:
    """The values of such a PNG as they are stored: uint16 (height, width, channels), the last of 2 or 4 being alpha.

    Raises what Pillow raises where the file is damaged.
    """
    kind = _start(file)[25]
    if kind == _GREY:
        return np.asarray(Image.open(file, formats=("PNG",))).astype(np.uint16)[..., None]
    if kind == _GREY_ALPHA:
        # Two channels of two bytes are laid out as four of one byte.
        return np.ascontiguousarray(np.asarray(_unpacked(file, "RGBA"))).view(">u2").astype(np.uint16)
    mode = "RGB" if kind == _RGB else "RGBA"
    # Read as the other order of bytes, what Pillow keeps of a value is its lower half.
    values = np.asarray(_unpacked(file, f"{mode};16B")).astype(np.uint16)
    values <<= 8
    values |= np.asarray(_unpacked(file, f"{mode};16L"))
    return values


def rounded(values: np.ndarray) -> Image.Image:
    """Values of sixteen bits, (height, width, channels), as an image of eight bits a channel."""
    pixels: np.ndarray = np.empty(values.shape, np.uint8)
    rows = max(1, _AT_A_TIME // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        pixels[top : top + rows] = (values[top : top + rows].astype(np.int32) + 128) // 257
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _unpacked(file: BinaryIO, layout: str) -> Image.Image:
    file.seek(0)
    image = Image.open(file, formats=("PNG",))
    image.tile = [tile._replace(args=layout) for tile in image.tile]
    return image


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(26)
    file.seek(0)
    return start
