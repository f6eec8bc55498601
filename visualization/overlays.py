"""A part of an image shown, the rest held back: crops, dimmed images, outlines."""

import numpy as np

from convlens.visualization import palette
from convlens.visualization.tiles import enlarge

DIMNESS = 0.72  # how far what is held back fades to the background
LINE = 2  # pixels

Box = tuple[int, int, int, int]  # top, left, bottom, right, in pixels of the image; may reach outside it


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(height, width) in pixels of a tile of an image of `size` (height, width) whose longer side is near `side`.

    Small images keep whole pixels.
    """
    height, width = size
    longest = max(height, width)
    if longest <= side:
        cell = max(1, side // longest)
        return height * cell, width * cell
    return max(1, round(height * side / longest)), max(1, round(width * side / longest))


def scaled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image with values in [0, 255] as RGB (height, width, 3): a large one is averaged, a small one repeated."""
    from PIL import Image

    colours = palette.colour_image(image)
    if colours.shape[0] > height or colours.shape[1] > width:
        return np.asarray(Image.fromarray(colours).resize((width, height), Image.Resampling.BOX))
    return enlarge(colours, height, width)


def crop_tile(image: np.ndarray, box: Box, side: int) -> np.ndarray:
    """What a box holds of an image, near `side` pixels wide; what lies outside the image is hatched."""
    top, left, bottom, right = box
    height, width = fitted((bottom - top, right - left), side)
    tile = palette.hatch(height, width)
    inside = max(top, 0), max(left, 0), min(bottom, image.shape[0]), min(right, image.shape[1])
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return tile
    rows = [round((at - top) * height / (bottom - top)) for at in inside[::2]]
    columns = [round((at - left) * width / (right - left)) for at in inside[1::2]]
    part = scaled(image[inside[0] : inside[2], inside[1] : inside[3]], rows[1] - rows[0], columns[1] - columns[0])
    tile[rows[0] : rows[1], columns[0] : columns[1]] = part
    return tile


def dimmed(colours: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Colours (height, width, 3) that fade to the background where `shown` (height, width) is false."""
    faded = colours * (1 - DIMNESS) + np.array(palette.BACKGROUND) * DIMNESS
    return np.where(shown[..., None], colours, np.rint(faded)).astype(np.uint8)


def boxed_tile(image: np.ndarray, box: Box, side: int, ink: tuple[int, int, int]) -> np.ndarray:
    """A whole image near `side` pixels, dimmed outside a box, which is outlined."""
    height, width = fitted(image.shape[:2], side)
    rows = np.rint(np.clip(np.array(box[::2]) * height / image.shape[0], 0, height)).astype(int)
    columns = np.rint(np.clip(np.array(box[1::2]) * width / image.shape[1], 0, width)).astype(int)
    inside = np.zeros((height, width), bool)
    inside[rows[0] : rows[1], columns[0] : columns[1]] = True
    tile = dimmed(scaled(image, height, width), inside)
    around = _grown(inside, LINE) & ~inside
    tile[around] = ink
    return tile


def masked_tile(
    image: np.ndarray, shown: np.ndarray, outlined: np.ndarray, side: int, ink: tuple[int, int, int]
) -> np.ndarray:
    """A whole image near `side` pixels, dimmed where `shown` is false; the region `outlined` gets an outline.

    Both are booleans (height, width), of the image's size or another one.
    """
    height, width = fitted(image.shape[:2], side)
    tile = dimmed(scaled(image, height, width), enlarge(shown, height, width))
    region = enlarge(outlined, height, width)
    tile[region & ~_shrunk(region, LINE)] = ink
    return tile


def rgb(colour: str) -> tuple[int, int, int]:
    """A colour of the palette that is written as #rrggbb, as numbers."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def _grown(region: np.ndarray, pixels: int) -> np.ndarray:
    """A region and all that is up to so many pixels away, along rows and columns."""
    padded = np.pad(region, pixels)
    for axis in (0, 1):
        padded = np.any([np.roll(padded, shift, axis) for shift in range(-pixels, pixels + 1)], axis=0)
    return padded[pixels:-pixels, pixels:-pixels]


def _shrunk(region: np.ndarray, pixels: int) -> np.ndarray:
    """What of a region is more than so many pixels away from its border; the image's edge is one."""
    return ~_grown(~np.pad(region, pixels), pixels)[pixels:-pixels, pixels:-pixels]
