"""One image file becomes one array of pixels, whatever its format, mode, orientation or shape."""

import io
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from convlens.core.deep_png import deep_values, is_deep, rounded
from convlens.core.errors import UserError
from convlens.core.jpeg import jpeg_damage
from convlens.core.large_images import memory_to_decode
from convlens.core.png import png_damage
from convlens.core.webp import webp_damage

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
MAX_PIXELS = 100_000_000
STEPS = 257  # of 16 bits in one of eight: 65535 is 257 times 255

Range = tuple[float, float]

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = (*_SIXTEEN_BIT, "1", "L", "LA", "La")
_BAND = 4_000_000  # pixels of a large image that are converted at a time
_TURNED = "orientation before it was turned upright"  # where an image in memory notes it
BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, Image.DecompressionBombError)

# Larger images are refused below, so Pillow's own advice about them would only be noise.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(
    path: str | Path,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    resize: str | None = "crop",
    value_range: Range | None = None,
) -> np.ndarray:
    """An image file as an array of shape (height, width, channels), in [0, 255].

    The EXIF orientation is applied. Sixteen bits are scaled to eight, CMYK and palettes become RGB, and transparent
    parts are laid on white. Of an animation, the first frame is used.

    Args:
        image_size: (height, width) to fit the image to; None: its own.
        channels: 1 or 3; None: 1 for a grey image, else 3.
        resize: 'crop', 'pad' or 'stretch', as in `fit_image`; None: refuse an image of another size.
        value_range: the stored values that become 0 and 255, with what lies between in steps of 1/257; None: those
            that the number of bits allows.

    Returns:
        uint8; float32 where there is a `value_range`.

    Raises:
        UserError: the file is missing, damaged, too large or no image.
    """
    return in_pixels(read_stored(path, image_size, channels, resize, value_range))


def read_stored(
    path: str | Path,
    image_size: tuple[int, int] | None,
    channels: int | None,
    resize: str | None,
    value_range: Range | None = None,
) -> np.ndarray:
    """As `read_image`, in the form in which images are kept: uint8, or uint16 in steps of 1/257 (see `in_pixels`)."""
    with open_image(Path(path)) as file:
        return _read(file, str(path), image_size, channels, resize, value_range)


def stored_image(path: str | Path) -> bytes:
    """An image file's bytes, still encoded. Raises `UserError` where it is missing or cannot be read."""
    with open_image(Path(path)) as file:
        try:
            return file.read()
        except OSError as error:
            raise UserError(f"Image {path} cannot be read: {error.strerror or error}.") from None


def decode_image(
    encoded: bytes,
    name: str,
    image_size: tuple[int, int] | None,
    channels: int | None,
    resize: str | None,
    value_range: Range | None = None,
) -> np.ndarray:
    """As `read_stored`, for an encoded image in memory that errors call by `name`."""
    return _read(io.BytesIO(encoded), name, image_size, channels, resize, value_range)


def in_pixels(stored: np.ndarray) -> np.ndarray:
    """Images as models take them, in [0, 255]: uint8 as they are, uint16 as float32."""
    return stored if stored.dtype != np.uint16 else stored.astype(np.float32) / STEPS


def fit_image(image: np.ndarray, image_size: tuple[int, int] | None, channels: int | None, resize: str) -> np.ndarray:
    """An image of shape (height, width[, channels]), uint8 or float32, at another size and number of channels.

    If the aspect ratio differs, 'crop' fills the new size and cuts off the rest, 'pad' shows the whole image between
    black bars, and 'stretch' changes the proportions. Pixels are averaged when an image shrinks.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype != np.uint8:
        return _fit_values(image.astype(np.float32), image_size, channels, resize)
    return as_array(
        fit(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), channels, image_size, resize)
    )


def refuse_other_size(name: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raises `UserError` where an image has another (height, width) than all the others and none was configured."""
    if size != tuple(expected):
        raise UserError(
            f"{name} is {size[0]} x {size[1]} (height x width), other images {expected[0]} x {expected[1]}; give the "
            f"size to use for all, such as data.image_size={expected[0]},{expected[1]}."
        )


def _read(
    file: BinaryIO,
    name: str,
    image_size: tuple[int, int] | None,
    channels: int | None,
    resize: str | None,
    value_range: Range | None,
) -> np.ndarray:
    image = open_header(file, name)
    with memory_to_decode(image.width * image.height):
        image = load_image(image, file, name)
        if image_size and resize is None:
            refuse_other_size(name, (image.height, image.width), image_size)
        if value_range is None:
            return as_array(fit(in_eight_bits(image, file, name), channels, image_size, resize))
        scaled = _scaled(stored_values(image, file, name), value_range)
        return np.rint(_fit_values(scaled, image_size, channels, resize) * STEPS).astype(np.uint16)


class StoredValues(NamedTuple):
    """What an image file holds, upright, before it is scaled to pixels.

    Attributes:
        values: float32 (height, width, channels), 1 or 3 of them.
        alpha: how opaque each pixel is, float32 (height, width, 1) in [0, 1]; None: all of them are.
        top: the largest value that there can be, 255 or 65535.
    """

    values: np.ndarray
    alpha: np.ndarray | None
    top: int


def stored_values(image: Image.Image, file: BinaryIO, name: str) -> StoredValues:
    """The values of an image that was loaded and turned upright. Raises `UserError` where the file is damaged."""
    if is_deep(file):
        values, top = upright_deep_values(image, file, name), 65535
    else:
        grey, transparent = image.mode in _GREY, image.has_transparency_data
        mode = ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
        values, top = as_array(image if image.mode == mode else image.convert(mode)), 255
    colours = 1 if values.shape[-1] < 3 else 3
    alpha = values[..., colours:].astype(np.float32) / top if values.shape[-1] > colours else None
    return StoredValues(values[..., :colours].astype(np.float32), alpha, top)


def upright_deep_values(image: Image.Image, file: BinaryIO, name: str) -> np.ndarray:
    """uint16 (height, width, channels) of a PNG of sixteen bits, whose `image` was loaded and turned upright.

    Raises `UserError` where the file is damaged.
    """
    try:
        return _turned(deep_values(file), image)
    except BROKEN as error:
        raise UserError(f"{name} {_complaint(file, error)}; replace it or remove it.") from None


def in_eight_bits(image: Image.Image, file: BinaryIO, name: str) -> Image.Image:
    """An image that was loaded and turned upright, of whose sixteen bits a channel Pillow may have cut eight off;
    here they are rounded, as those of grey images are. Raises `UserError` where the file is damaged."""
    if image.mode in _SIXTEEN_BIT or not is_deep(file):
        return image
    eight = rounded(upright_deep_values(image, file, name))
    eight.info = image.info
    return eight


def _turned(values: np.ndarray, upright: Image.Image) -> np.ndarray:
    """Values from the file, rotated as its EXIF data says; `upright` is already rotated and has no EXIF rotation."""
    orientation = upright.info.get(_TURNED, 1)
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    vertically, horizontally = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return values[:: -1 if vertically else 1, :: -1 if horizontally else 1]


def _scaled(stored: StoredValues, value_range: Range) -> np.ndarray:
    """float32 (height, width, channels) in [0, 255]; what is transparent lies on white."""
    low, high = value_range
    pixels = np.clip((stored.values - np.float32(low)) * np.float32(255 / (high - low)), 0, 255)
    return pixels if stored.alpha is None else pixels * stored.alpha + 255 * (1 - stored.alpha)


def _fit_values(
    pixels: np.ndarray, image_size: tuple[int, int] | None, channels: int | None, resize: str | None
) -> np.ndarray:
    """As `fit`, for float32 (height, width, channels)."""
    if channels == 1 and pixels.shape[-1] == 3:
        pixels = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)  # as Pillow has it
    if channels == 3 and pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, axis=-1)
    if image_size is None or pixels.shape[:2] == tuple(image_size):
        return pixels
    planes = [Image.fromarray(np.ascontiguousarray(pixels[..., plane])) for plane in range(pixels.shape[-1])]
    fitted = np.stack([np.asarray(_resized(plane, image_size, resize)) for plane in planes], axis=-1)
    return np.clip(fitted, 0, 255)


def open_image(path: Path) -> BinaryIO:
    """An image file, opened. Raises `UserError` where it is missing or no regular file."""
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


def open_header(file: BinaryIO, name: str) -> Image.Image:
    """An image of which only the header was read. Raises `UserError` where it is no image, or too large."""
    try:
        image = Image.open(file, formats=_FORMATS)
    except BROKEN as error:
        raise UserError(f"{name} {_complaint(file, error)}; replace it or remove it.") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS // 1_000_000} million that are read; "
            "make it smaller or remove it."
        )
    return image


def load_image(image: Image.Image, file: BinaryIO, name: str) -> Image.Image:
    """An opened image with all of its pixels, upright. Raises `UserError` where it is damaged."""
    damage: Exception | str | None
    try:
        image.load()
        damage = _damage(image, file)
        if not damage:
            return _upright(image)
    except BROKEN as error:
        damage = error
    raise UserError(f"{name} {_complaint(file, damage)}; replace it or remove it.")


def _damage(image: Image.Image, file: BinaryIO) -> str | None:
    if image.format not in ("JPEG", "MPO", "WEBP", "PNG"):
        return None  # any bytes are a picture
    file.seek(0)
    encoded = file.read()
    if image.format == "PNG":
        return png_damage(encoded)
    return webp_damage(encoded) if image.format == "WEBP" else jpeg_damage(encoded, image.mode)


def _complaint(file: BinaryIO, error: Exception | str) -> str:
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
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        # Without need to turn it, Pillow would copy it.
        upright = ImageOps.exif_transpose(image) if orientation in range(2, 9) else image
    except BROKEN:
        return image  # an unreadable note about the camera says nothing about the pixels
    upright.info[_TURNED] = orientation
    return upright


def is_turned(upright: Image.Image) -> bool:
    """Whether an image that `load_image` gave may stand otherwise in its file."""
    return upright.info.get(_TURNED) != 1


def fit(
    image: Image.Image, channels: int | None, image_size: tuple[int, int] | None, resize: str | None
) -> Image.Image:
    """An image of eight bits a channel and nothing transparent, of so many channels and that size."""
    image = _eight_bit(image)
    mode = {None: "L" if image.mode in _GREY else "RGB", 1: "L", 3: "RGB"}[channels]
    if image.mode != mode:
        image = image.convert(mode)
    if image_size is None or image.size == (image_size[1], image_size[0]):
        return image
    return _resized(image, image_size, resize)


def _resized(image: Image.Image, image_size: tuple[int, int], resize: str | None) -> Image.Image:
    height, width = image_size
    smooth = Image.Resampling.BILINEAR
    if resize == "stretch":
        return image.resize((width, height), smooth)
    if resize == "crop":
        return image.resize((width, height), smooth, box=_largest_box(image.size, width / height))
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    padded = Image.new(image.mode, (width, height))
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
        return _band_by_band(image, "L", _rounded_grey)
    if image.has_transparency_data:
        return _band_by_band(image, "L" if image.mode in _GREY else "RGB", _on_white)
    return image


def _rounded_grey(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey as eight."""
    return rounded(np.clip(np.asarray(image).astype(np.int32), 0, 65535)[..., None])


def _on_white(image: Image.Image) -> Image.Image:
    transparent = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, transparent).convert("L" if image.mode in _GREY else "RGB")


def _band_by_band(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """An image, converted pixel by pixel to a mode, without further copies of all of a large one in memory."""
    converted = Image.new(mode, image.size)
    for top, band in _bands(image):
        converted.paste(convert(band), (0, top))
    return converted


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in pieces, each of its whole width, with the row at which it begins."""
    rows = max(1, _BAND // max(1, image.width))
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def as_array(image: Image.Image) -> np.ndarray:
    """(height, width, channels), uint8."""
    shape = image.height, image.width, len(image.getbands())
    if image.height * image.width <= _BAND:
        return np.asarray(image).reshape(shape)
    array = np.empty(shape, np.uint8)
    for top, band in _bands(image):
        array[top : top + band.height] = np.asarray(band).reshape(band.height, *shape[1:])
    return array
