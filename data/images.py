"""One image file becomes one uint8 array, whatever its format, mode, orientation or shape."""

import hashlib
import io
import stat
import struct
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from convlens.core.errors import UserError
from convlens.core.large_images import room_to_decode

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
MAX_PIXELS = 100_000_000

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = (*_SIXTEEN_BIT, "1", "L", "LA", "La")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, Image.DecompressionBombError)

# Larger images are refused below, so Pillow's own advice about them would only be noise.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(
    path: str | Path,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    resize: str | None = "crop",
) -> np.ndarray:
    """An image file as a uint8 array of shape (height, width, channels).

    The EXIF orientation is applied. Sixteen bits are scaled to eight, CMYK and palettes become RGB, and what is
    transparent is laid on white. Of an animation, the first frame counts.

    Args:
        image_size: (height, width) to fit the image to; None: its own.
        channels: 1 or 3; None: 1 for a grey image, else 3.
        resize: 'crop', 'pad' or 'stretch', as in `fit_image`; None: refuse an image of another size.

    Raises:
        UserError: the file is missing, damaged, too large or no image.
    """
    with _opened(Path(path)) as file:
        return _read(file, str(path), image_size, channels, resize)


def stored_image(path: str | Path) -> bytes:
    """An image file's bytes, still encoded. Raises `UserError` where it is missing or cannot be read."""
    with _opened(Path(path)) as file:
        try:
            return file.read()
        except OSError as error:
            raise UserError(f"Image {path} cannot be read: {error.strerror or error}.") from None


def decode_image(
    encoded: bytes, name: str, image_size: tuple[int, int] | None, channels: int | None, resize: str | None
) -> np.ndarray:
    """As `read_image`, for an encoded image in memory that errors call by `name`."""
    return _read(io.BytesIO(encoded), name, image_size, channels, resize)


def fit_image(image: np.ndarray, image_size: tuple[int, int] | None, channels: int | None, resize: str) -> np.ndarray:
    """A uint8 image of shape (height, width[, channels]) at another size and number of channels.

    Where the shape differs, 'crop' fills the new size and cuts off what stands out, 'pad' shows the whole image
    between black bars, and 'stretch' ignores the aspect ratio. Pixels are averaged when an image shrinks.
    """
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    return _as_array(_fit(Image.fromarray(image), channels, image_size, resize))


class Inspection(NamedTuple):
    """What a look at all of an image has found; plain values, so that it can be remembered.

    Attributes:
        height, width: of the upright image.
        channels: 1 for a grey image, else 3.
        animated: there are further frames, which are not used.
        content: a digest of the encoded bytes.
        pixels: a digest of the image as it is used, the same for a photo that was saved anew without loss.
        plain: nothing but decoding makes the image as it is used, so that any decoder that is exact gives its pixels.
    """

    height: int
    width: int
    channels: int
    animated: bool
    content: str
    pixels: str
    plain: bool


def inspect_image(path: str | Path) -> Inspection:
    """Decode an image file once, refusing whatever `read_image` would refuse."""
    with _opened(Path(path)) as file:
        return _inspect(file, str(path))


def content_of(encoded: bytes) -> str:
    """The digest of an encoded image's bytes, as an inspection has it."""
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def inspect_encoded(encoded: bytes, name: str) -> Inspection:
    """As `inspect_image`, for an encoded image in memory that errors call by `name`."""
    return _inspect(io.BytesIO(encoded), name)


def refuse_other_size(name: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raises `UserError` where an image has another (height, width) than all the others and none was configured."""
    if size != tuple(expected):
        raise UserError(
            f"{name} is {size[0]} x {size[1]} (height x width), other images {expected[0]} x {expected[1]}; say at "
            f"which size to use them all, such as data.image_size={expected[0]},{expected[1]}."
        )


def differing_sizes(where: object, sizes: Sequence[tuple[int, int]]) -> str:
    """What to tell a user whose images differ in size and who gave no data.image_size."""
    heights, widths = np.array(sizes).T
    common = ", ".join(f"{height} x {width}" for (height, width), _ in Counter(sizes).most_common(3))
    return (
        f"The images in {where} differ in size ({common}, ...; height x width, median {int(np.median(heights))} x "
        f"{int(np.median(widths))}); say at which size to use them, such as data.image_size={_suggested(sizes)}."
    )


def _suggested(sizes: Sequence[tuple[int, int]]) -> int:
    """The largest usual input size that most images reach, so that few are blown up."""
    side = np.median([min(size) for size in sizes])
    return max([usual for usual in (32, 64, 96, 128, 160, 192, 224) if usual <= side], default=32)


def _inspect(file, name: str) -> Inspection:
    image = _header(file, name)
    # A JPEG with further pictures in it (MPO), as many phones write it, is no animation.
    animated = image.format != "MPO" and getattr(image, "is_animated", False)
    with room_to_decode(image.width * image.height):
        pixels = _as_array(_fit(_loaded(image, file, name), None, None, None))
        file.seek(0)
        found = Inspection(*pixels.shape, animated, content_of(file.read()), _digest(pixels), _is_plain(image))
        del pixels, image  # before another thread takes their room
    return found


def _digest(pixels: np.ndarray) -> str:
    key = repr(pixels.shape).encode()
    return hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16, key=key).hexdigest()


def _is_plain(image: Image.Image) -> bool:
    """Whether this opened image is a JPEG or PNG of eight bits, upright and opaque."""
    if image.format not in ("JPEG", "PNG") or image.mode not in ("RGB", "L") or image.has_transparency_data:
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    except _BROKEN:
        return False


def _read(file, name: str, image_size: tuple[int, int] | None, channels: int | None, resize: str | None) -> np.ndarray:
    header = _header(file, name)
    with room_to_decode(header.width * header.height):
        image = _loaded(header, file, name)
        if image_size and resize is None:
            refuse_other_size(name, (image.height, image.width), image_size)
        return _as_array(_fit(image, channels, image_size, resize))


def _opened(path: Path):
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UserError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}; give an image.")
        return path.open("rb")
    except FileNotFoundError:
        missing = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise UserError(f"Image {path} {missing}.") from None
    except OSError as error:
        raise UserError(f"Image {path} cannot be opened: {error.strerror or error}.") from None


def _header(file, name: str) -> Image.Image:
    try:
        image = Image.open(file, formats=_FORMATS)
    except _BROKEN as error:
        raise UserError(f"{name} {_complaint(file, error)}; replace it or remove it.") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS // 1_000_000} million that are read; "
            "make it smaller or remove it."
        )
    return image


def _loaded(image: Image.Image, file, name: str) -> Image.Image:
    try:
        image.load()
        return _upright(image)
    except _BROKEN as error:
        raise UserError(f"{name} {_complaint(file, error)}; replace it or remove it.") from None


def _complaint(file, error: Exception) -> str:
    file.seek(0)
    start = file.read(64).lstrip()
    if not start:
        return "is empty"
    if start.startswith(b"<"):
        return "is a web page or other markup, not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than the {MAX_PIXELS // 1_000_000} million pixels that are read"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is not a JPEG, PNG, WebP, GIF or BMP image"
    return f"is a damaged image ({error})"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image  # an unreadable note about the camera says nothing about the pixels


def _fit(
    image: Image.Image, channels: int | None, image_size: tuple[int, int] | None, resize: str | None
) -> Image.Image:
    image = _eight_bit(image)
    mode = {None: "L" if image.mode in _GREY else "RGB", 1: "L", 3: "RGB"}[channels]
    if image.mode != mode:
        image = image.convert(mode)
    if image_size is None or image.size == (image_size[1], image_size[0]):
        return image
    height, width = image_size
    smooth = Image.Resampling.BILINEAR
    if resize == "stretch":
        return image.resize((width, height), smooth)
    if resize == "crop":
        return image.resize((width, height), smooth, box=_largest_box(image.size, width / height))
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    padded = Image.new(mode, (width, height))
    padded.paste(image.resize(inner, smooth), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return padded


def _largest_box(size: tuple[int, int], aspect: float) -> tuple[float, float, float, float]:
    """The largest centred box with this aspect ratio (width / height), as left, top, right, bottom."""
    width, height = min(size[0], size[1] * aspect), min(size[1], size[0] / aspect)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image with eight bits a channel and nothing transparent; Pillow's convert() would cut 16 bits off at 255."""
    if image.mode in _SIXTEEN_BIT:
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        grey = image.mode in _GREY
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image).convert("L" if grey else "RGB")
    return image


def _as_array(image: Image.Image) -> np.ndarray:
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array
