"""Feature extraction by one kernel: Filter, Detect, Condense, in NumPy.

The three steps are those of a convolutional block, computed as Keras computes them, so that a kernel can be tried on
a photograph without a network and without loading one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convlens.core.errors import UserError

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's mode "L"


@dataclass(frozen=True)
class Extraction:
    """An image on its way through one block; every array is (height, width) float32."""

    input: np.ndarray  # what the kernel acted on: luminance in [0, 1]
    filter: np.ndarray  # the convolution
    detect: np.ndarray  # its positive part
    condense: np.ndarray  # its pooling
    kernel: np.ndarray
    padding: str
    cover: "Cover"  # where the maps lie on the image

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the kernel and the four steps."""
        return {name: getattr(self, name) for name in ("kernel", "input", "filter", "detect", "condense")}


def luminance(image: np.ndarray) -> np.ndarray:
    """An image with values in [0, 255], shape (height, width) or with 1 or 3 channels, as grey in [0, 1] float32."""
    image = np.asarray(image, np.float32) / 255
    if image.ndim == 3 and image.shape[-1] == 3:
        return image @ np.array(LUMINANCE, np.float32)
    if image.ndim == 3 and image.shape[-1] == 1:
        return image[..., 0]
    if image.ndim == 2:
        return image
    raise UserError(f"image of shape {image.shape}; expected (height, width), or with 1 or 3 channels")


def extract(
    image: np.ndarray,
    kernel: np.ndarray,
    *,
    stride: int = 1,
    padding: str = "valid",
    pooling: str = "max",
    pool_size: int = 2,
    pool_stride: int | None = None,
) -> Extraction:
    """Filters an image with a kernel of shape (height, width), sets negative values to zero, and pools the result.

    The kernel acts on the image's luminance in [0, 1], by cross-correlation. `padding` applies to both the convolution
    and the pooling: with "valid" the kernel stays inside the image; with "same" the image is padded with zeros, as if
    it had a black frame, and an edge kernel responds to that frame. `pooling` is "max" or "average", over squares of
    `pool_size` pixels every `pool_stride` pixels (by default its size). Equals `keras.ops.conv`, `relu` and `max_pool`
    or `average_pool`.

    Raises UserError if nothing is left of the image with "valid" padding.
    """
    grey, kernel = luminance(image), np.asarray(kernel, np.float32)
    filtered = _convolve(grey, kernel, stride, padding)
    detected = np.maximum(filtered, 0)
    condensed = _pool(detected, pooling, pool_size, pool_stride or pool_size, padding)
    covered = cover(
        grey.shape, kernel.shape, stride=stride, padding=padding, pool_size=pool_size, pool_stride=pool_stride
    )
    return Extraction(grey, filtered, detected, condensed, kernel, padding, covered)


@dataclass(frozen=True)
class Cover:
    """The positions of the maps of an extraction on the image.

    `boxes` holds for "filter", "detect" and "condense" the part of the image, (top, left, bottom, right) in pixels,
    that its cells stand for; `inside` which cells of filter, booleans (height, width), see nothing outside the image.
    """

    boxes: dict[str, tuple[float, float, float, float]]
    inside: np.ndarray


def cover(
    image_size: tuple[int, int],
    kernel_size: tuple[int, int],
    *,
    stride: int = 1,
    padding: str = "valid",
    pool_size: int = 2,
    pool_stride: int | None = None,
) -> Cover:
    """Where what `extract` makes, with the same settings, of an image of (height, width) lies on the image.

    A cell stands for as many pixels as there are between its middle and its neighbour's, around its middle.
    """
    spans: dict[str, list[tuple[float, float]]] = {"filter": [], "condense": []}
    inside = []
    for length, reach in zip(image_size, kernel_size, strict=True):
        cells, before = _cells(length, reach, stride, padding)
        first = stride * np.arange(cells) - before
        inside.append((first >= 0) & (first + reach <= length))
        pooled, pool_before = _cells(cells, pool_size, pool_stride or pool_size, padding)
        middle = (reach - 1) / 2 - before
        spans["filter"].append(_span(middle, stride, cells))
        middle += stride * ((pool_size - 1) / 2 - pool_before)
        spans["condense"].append(_span(middle, stride * (pool_stride or pool_size), pooled))
    boxes = {stage: (rows[0], columns[0], rows[1], columns[1]) for stage, (rows, columns) in spans.items()}
    return Cover(boxes | {"detect": boxes["filter"]}, np.logical_and.outer(*inside))


def _cells(length: int, reach: int, stride: int, padding: str) -> tuple[int, int]:
    """The number of windows along a side, and how many pixels before its start the first one begins."""
    if padding == "valid":
        return (length - reach) // stride + 1, 0
    cells = -(-length // stride)
    return cells, max((cells - 1) * stride + reach - length, 0) // 2


def _span(middle: float, step: int, cells: int) -> tuple[float, float]:
    """Where cells start and end, in pixels, whose centres are `step` pixels apart, the first at `middle`."""
    start = middle + 0.5 - step / 2
    return start, start + step * cells


def _convolve(grey: np.ndarray, kernel: np.ndarray, stride: int, padding: str) -> np.ndarray:
    padded = _padded(grey, kernel.shape, stride, padding, 0.0)
    _check_fits("kernel", kernel.shape, padded.shape)
    rows, columns = ((size - window) // stride + 1 for size, window in zip(padded.shape, kernel.shape, strict=True))
    result = np.zeros((rows, columns), np.float32)
    for (row, column), weight in np.ndenumerate(kernel):  # one addition of a whole image a weight: no window is copied
        if weight:
            shifted = padded[row : row + (rows - 1) * stride + 1, column : column + (columns - 1) * stride + 1]
            result += weight * shifted[::stride, ::stride]
    return result


def _pool(maps: np.ndarray, pooling: str, size: int, stride: int, padding: str) -> np.ndarray:
    if pooling not in ("max", "average"):
        raise UserError(f"pooling={pooling!r}; expected 'max' or 'average'")
    # NaN marks the padding: it takes part neither in the maximum nor in the mean.
    padded = _padded(maps, (size, size), stride, padding, np.nan)
    _check_fits("pool", (size, size), padded.shape)
    windows = sliding_window_view(padded, (size, size))[::stride, ::stride]
    return (np.nanmax if pooling == "max" else np.nanmean)(windows, axis=(-2, -1)).astype(np.float32)


def _padded(array: np.ndarray, window: tuple[int, int], stride: int, padding: str, value: float) -> np.ndarray:
    if padding == "valid":
        return array
    if padding != "same":
        raise UserError(f"padding={padding!r}; expected 'same' or 'valid'")
    margins = []
    for size, reach in zip(array.shape, window, strict=True):
        missing = max((-(-size // stride) - 1) * stride + reach - size, 0)
        margins.append((missing // 2, missing - missing // 2))  # an odd pixel goes below and to the right
    return np.pad(array, margins, constant_values=value)


def _check_fits(name: str, window: tuple[int, int], image: tuple[int, int]) -> None:
    if window[0] > image[0] or window[1] > image[1]:
        sizes = f"{name} of {window[0]}x{window[1]} does not fit into {image[0]}x{image[1]} pixels"
        raise UserError(f"{sizes}; use padding=same or a larger image")
