"""PNG files of sixteen bits a channel, of which Pillow keeps eight where there is more than one channel."""

from typing import BinaryIO

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
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
        return np.ascontiguousarray(_unpacked(file, "RGBA")).view(">u2").astype(np.uint16)
    mode = "RGB" if kind == _RGB else "RGBA"
    # Read as the other order of bytes, what Pillow keeps of a value is its lower half.
    high, low = (_unpacked(file, f"{mode};16{order}").astype(np.uint16) for order in "BL")
    return high << 8 | low


def _unpacked(file: BinaryIO, layout: str) -> np.ndarray:
    file.seek(0)
    image = Image.open(file, formats=("PNG",))
    image.tile = [tile._replace(args=layout) for tile in image.tile]
    return np.asarray(image)


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(26)
    file.seek(0)
    return start
