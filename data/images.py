"""What a look at an image finds, before it is used."""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from convlens.core.deep_png import is_deep
from convlens.core.images import (
    MAX_PIXELS as MAX_PIXELS,
    STEPS as STEPS,
    SUFFIXES as SUFFIXES,
    as_array,
    decode_image as decode_image,
    fit,
    fit_image as fit_image,
    in_eight_bits,
    in_pixels as in_pixels,
    is_turned,
    load_image,
    open_header,
    open_image,
    read_image as read_image,
    read_stored as read_stored,
    refuse_other_size as refuse_other_size,
    stored_image as stored_image,
    upright_deep_values,
)
from convlens.core.large_images import memory_to_decode
from convlens.core.png import has_end


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
    with memory_to_decode(image.width * image.height):
        image = load_image(image, file, name)
        deep = is_deep(file)
        extremes = _deep_extremes(image, file, name) if deep else None
        image = in_eight_bits(image, file, name) if deep else image
        encoded = _content(file)
        plain = not deep and _is_plain(image, encoded)
        pixels = as_array(fit(image, None, None, None))
        height, width, channels = pixels.shape
        del image  # before another thread takes its room
        return Inspection(
            height,
            width,
            channels,
            animated,
            content_of(encoded),
            hashlib.blake2b(pixels.data, digest_size=16, key=repr(pixels.shape).encode()).hexdigest(),
            plain,
            *(extremes or (255, int(pixels.min()), int(pixels.max()))),
        )


def _deep_extremes(upright: Image.Image, file: BinaryIO, name: str) -> tuple[int, int, int]:
    """The largest value that sixteen bits can have, the smallest and the largest that there is where anything is
    seen."""
    values, top = upright_deep_values(upright, file, name), 65535
    colours = values[..., : 1 if values.shape[-1] < 3 else 3]
    if colours.shape == values.shape:
        return top, int(colours.min()), int(colours.max())
    seen = values[..., -1:] > 0
    if not seen.any():
        return top, 0, top
    return top, int(colours.min(initial=top, where=seen)), int(colours.max(initial=0, where=seen))


def _is_plain(upright: Image.Image, encoded: bytes) -> bool:
    """Whether this is a whole JPEG or PNG of eight bits, which stands upright in its file, and is opaque."""
    if upright.format not in ("JPEG", "PNG") or upright.mode not in ("RGB", "L") or upright.has_transparency_data:
        return False
    return not is_turned(upright) and (upright.format == "JPEG" or has_end(encoded))


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()
