"""What a look at an image finds, before it is used."""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from convlens.core.deep_png import is_deep
from convlens.core.images import (
    BROKEN,
    MAX_PIXELS as MAX_PIXELS,
    STEPS as STEPS,
    SUFFIXES as SUFFIXES,
    as_array,
    decode_image as decode_image,
    fit,
    fit_image as fit_image,
    in_pixels as in_pixels,
    load_image,
    open_header,
    open_image,
    read_image as read_image,
    read_stored as read_stored,
    refuse_other_size as refuse_other_size,
    stored_image as stored_image,
    stored_values,
)
from convlens.core.large_images import room_to_decode


class Inspection(NamedTuple):
    """What the check of an image file found; plain values, so that it can be saved.

    Attributes:
        height, width: of the image after EXIF rotation.
        channels: 1 for a grey image, else 3.
        animated: there are further frames, which are not used.
        content: a hash of the encoded bytes.
        pixels: a hash of the decoded image, the same for a photo that was saved again without loss.
        plain: nothing but decoding makes the image as it is used, so that any decoder that is exact gives its pixels.
        top: the largest value that there can be in the file, 255 or 65535.
        lowest, highest: of the values that are stored in the file.
    """

    height: int
    width: int
    channels: int
    animated: bool
    content: str
    pixels: str
    plain: bool
    top: int
    lowest: int
    highest: int


def inspect_image(path: str | Path) -> Inspection:
    """Decode an image file once, refusing whatever `read_image` would refuse."""
    with open_image(Path(path)) as file:
        return _inspect(file, str(path))


def content_of(encoded: bytes) -> str:
    """The digest of an encoded image's bytes, as an inspection has it."""
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def inspect_encoded(encoded: bytes, name: str) -> Inspection:
    """As `inspect_image`, for an encoded image in memory that errors call by `name`."""
    return _inspect(io.BytesIO(encoded), name)


def differing_sizes(where: object, sizes: Sequence[tuple[int, int]]) -> str:
    """What to tell a user whose images differ in size and who gave no data.image_size."""
    heights, widths = np.array(sizes).T
    common = ", ".join(f"{height} x {width}" for (height, width), _ in Counter(sizes).most_common(3))
    return (
        f"The images in {where} differ in size ({common}, ...; height x width, median {int(np.median(heights))} x "
        f"{int(np.median(widths))}); give the size to use, such as data.image_size={_suggested(sizes)}."
    )


def _suggested(sizes: Sequence[tuple[int, int]]) -> int:
    """The largest usual input size that most images reach, so that few are blown up."""
    side = np.median([min(size) for size in sizes])
    return max([usual for usual in (32, 64, 96, 128, 160, 192, 224) if usual <= side], default=32)


def _inspect(file: BinaryIO, name: str) -> Inspection:
    image = open_header(file, name)
    # A JPEG with further pictures in it (MPO), as many phones write it, is no animation.
    animated = image.format != "MPO" and getattr(image, "is_animated", False)
    with room_to_decode(image.width * image.height):
        found = _look(image, animated, file, name)
        del image  # before another thread takes its room
    return found


def _look(image: Image.Image, animated: bool, file: BinaryIO, name: str) -> Inspection:
    upright = load_image(image, file, name)
    pixels = as_array(fit(upright, None, None, None))
    top, lowest, highest = _extremes(upright, pixels, file, name)
    file.seek(0)
    return Inspection(
        *pixels.shape,
        animated,
        content_of(file.read()),
        hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16, key=repr(pixels.shape).encode()).hexdigest(),
        _is_plain(image),
        top,
        lowest,
        highest,
    )


def _extremes(upright: Image.Image, pixels: np.ndarray, file: BinaryIO, name: str) -> tuple[int, int, int]:
    """The largest value that there can be, the smallest and the largest that there is, where anything is seen."""
    if not is_deep(file):
        return 255, int(pixels.min()), int(pixels.max())
    values, alpha, top = stored_values(upright, file, name)
    shown = values if alpha is None else values[alpha[..., 0] > 0]
    return (top, int(shown.min()), int(shown.max())) if shown.size else (top, 0, top)


def _is_plain(image: Image.Image) -> bool:
    """Whether this opened image is a JPEG or PNG of eight bits, upright and opaque."""
    if image.format not in ("JPEG", "PNG") or image.mode not in ("RGB", "L") or image.has_transparency_data:
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    except BROKEN:
        return False
