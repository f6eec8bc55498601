"""Every colour decision: what a value looks like, what an empty cell looks like, how text is set.

Signed values run from blue over a neutral near-white to red, symmetric about zero. The anchors are ColorBrewer's
RdBu (Harrower & Brewer 2003), which stays legible with the common colour-vision deficiencies. Non-negative values
use the upper half of the same map: it is sequential from zero, and one activation has one colour in every figure.
The tables are plain NumPy, so that arrays can be coloured where Matplotlib is not loaded.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

_ANCHORS = (
    "#053061 #2166ac #4393c3 #92c5de #d1e5f0 #f7f7f7 #fddbc7 #f4a582 #d6604d #b2182b #67001f"  # RdBu, blue first
).split()

BACKGROUND = (255, 255, 255)
GUTTER = (203, 208, 215)
OUTLINE = (150, 157, 168)
DEAD = (230, 130, 0)
NOT_FINITE = (240, 228, 66)
OVER, UNDER = (118, 42, 131), (27, 120, 55)  # beyond either end of the scale: ColorBrewer's PRGn, neither red nor blue
HATCH = ((244, 245, 247), (216, 220, 226))

TEXT = "#1d2530"
QUIET_TEXT = "#5b6673"
DEAD_TEXT = "#a85800"
POSITIVE = "#b2182b"
NEGATIVE = "#2166ac"
LINE = "#1d2530"
GRID = "#d8dce2"

TITLE_SIZE, HEADING_SIZE, BODY_SIZE, LABEL_SIZE = 12, 9, 8, 7  # points


def _interpolate(anchors: list[str], count: int) -> np.ndarray:
    colours = np.array([[int(anchor[start : start + 2], 16) for start in (1, 3, 5)] for anchor in anchors], float)
    positions = np.linspace(0, len(anchors) - 1, count)
    channels = [np.interp(positions, range(len(anchors)), colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


DIVERGING = _interpolate(_ANCHORS, 511)  # (511, 3); row 255 is zero
SEQUENTIAL = DIVERGING[255:]  # (256, 3); row 0 is zero
AGREEMENT = DIVERGING[255::-1]  # (256, 3), white to blue: where a prediction is right


def largest(values: np.ndarray) -> float:
    """The largest finite magnitude: the limit of a norm about zero; 1 where there is nothing but zeros."""
    magnitudes = np.abs(np.asarray(values, np.float64))
    limit = magnitudes.max(initial=0.0, where=np.isfinite(magnitudes))
    return float(limit) or 1.0


def largest_inside(maps: np.ndarray, inside: np.ndarray | None = None) -> float:
    """The `largest` of maps (..., height, width, units) over the cells that are `inside`, booleans (height, width).

    Where there is nothing but zeros inside, or `inside` is None, that of all cells.
    """
    maps = np.asarray(maps)
    if inside is None or not np.any(within := maps[..., inside, :]):
        return largest(maps)
    return largest(within)


def limits(values: np.ndarray, scale: str, limit: float | None = None, inside: np.ndarray | None = None) -> np.ndarray:
    """The norm's limit for each unit, shape (units,), of values whose last axis is the unit.

    `scale` says who shares a norm: each "unit" has its own, a "layer" has one, "global" takes the `limit` that the
    caller found over every layer. Of maps (..., height, width, units), the cells `inside` alone set it.
    """
    values = np.asarray(values)
    if scale == "unit":
        return np.array([largest_inside(values[..., [unit]], inside) for unit in range(values.shape[-1])])
    if scale == "layer":
        return np.full(values.shape[-1], largest_inside(values, inside))
    if scale == "global" and limit is not None:
        return np.full(values.shape[-1], float(limit))
    raise ValueError(f"scale={scale!r} with limit={limit}; expected 'unit', 'layer', or 'global' with its limit")


def colour_weights(weights: np.ndarray, limit: float) -> np.ndarray:
    """Colours of kernel weights, shape (..., 3) uint8, on the norm from -limit to limit."""
    return _diverging(weights, limit, lambda share: share)


def colour_activations(activations: np.ndarray, limit: float) -> np.ndarray:
    """Colours of activations, shape (..., 3) uint8, by their square root, on the norm from -limit to limit.

    Units of one layer differ tenfold and more; on a linear norm all but the strongest would look blank. The root
    keeps the order, the sign and the zero. What is beyond the limit has a colour of its own on either side.
    """
    colours = _diverging(activations, limit, np.sqrt)
    beyond = clipped(activations, limit)
    colours[beyond] = np.where(np.asarray(activations)[beyond][..., None] > 0, OVER, UNDER)
    return colours


def clipped(values: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """Which values are beyond the norm from -limit to limit, by more than rounding."""
    values = np.asarray(values, np.float64)
    return np.isfinite(values) & (np.abs(values) > np.asarray(limit) * (1 + 1e-6))


def _diverging(values: np.ndarray, limit: float, shape: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    values = np.where(finite, values, 0.0)
    shares = np.sign(values) * shape(np.minimum(np.abs(values) / limit, 1))
    colours = DIVERGING[np.rint(shares * 255).astype(np.intp) + 255]
    colours[~finite] = NOT_FINITE
    return colours


def colour_rgb_kernel(kernel: np.ndarray, limit: float) -> np.ndarray:
    """An RGB kernel, shape (height, width, 3), as the colours 0.5 + w / (2 limit): zero is mid-grey."""
    kernel = np.asarray(kernel, np.float64)
    finite = np.isfinite(kernel).all(axis=-1)
    shares = np.clip(0.5 + np.where(finite[..., None], kernel, 0.0) / (2 * limit), 0, 1)
    colours = np.rint(shares * 255).astype(np.uint8)
    colours[~finite] = NOT_FINITE
    return colours


def colour_image(image: np.ndarray) -> np.ndarray:
    """An image with values in [0, 255], shape (height, width, 1 or 3), as RGB uint8."""
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(f"image of shape {image.shape}; expected (height, width), or with 1 or 3 channels")
    if image.dtype != np.uint8:
        image = np.rint(np.clip(np.nan_to_num(image), 0, 255)).astype(np.uint8)
    return np.broadcast_to(image, (*image.shape[:2], 3))


def hatch(height: int, width: int) -> np.ndarray:
    """The look of a cell that holds nothing: diagonal stripes, shape (height, width, 3)."""
    rows, columns = np.ogrid[:height, :width]
    return np.array(HATCH, np.uint8)[((rows + columns) // 3 % 4 == 0).astype(np.intp)]


def text_on(background: np.ndarray) -> str:
    """Black or white, whichever is legible on a colour of shape (3,) uint8."""
    return "#ffffff" if np.dot(background, (0.299, 0.587, 0.114)) < 140 else "#000000"


@cache
def fonts() -> list[str]:
    """The font families to set text in: Matplotlib's own, then what this machine has for other scripts."""
    from matplotlib.font_manager import fontManager

    wanted = (
        "Noto Sans CJK JP",
        "Noto Sans CJK SC",
        "Arial Unicode MS",
        "Hiragino Sans",
        "Microsoft YaHei",
        "Noto Sans",
    )
    installed = set(fontManager.get_font_names())
    return ["DejaVu Sans", *(name for name in wanted if name in installed)]


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Let a class name in a script that no installed font has be drawn as boxes, without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def colour_map(table: np.ndarray) -> "ListedColormap":
    """A table of this module as a Matplotlib colormap."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(table / 255.0)
