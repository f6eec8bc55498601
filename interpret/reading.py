"""What a unit of a deep layer reads: the maps of the layer before, and how much each adds to the unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlens.core.errors import ModelError

SHOWN = 3


@dataclass(frozen=True)
class Reading:
    """The maps that contribute most to a unit, the strongest first."""

    channels: np.ndarray  # (k,) indices of the maps
    maps: np.ndarray  # (n, height, width, k) of n images
    kernels: np.ndarray  # (rows, columns, k) what the unit lays over each
    limits: np.ndarray  # (k,) each map's largest magnitude, inside
    shares: np.ndarray  # (k,) of all that the maps add, by mean magnitude; those of all maps are 1 together
    total: int  # how many maps the unit reads
    layer: str | None = None  # the convolution whose units they are, where it is known

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the maps that are `read`, their `read_channels` and their `read_shares`."""
        return {"read": self.maps, "read_channels": self.channels, "read_shares": self.shares}


def added_by_each(
    maps: np.ndarray,
    kernel: np.ndarray,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str = "same",
    dilation: tuple[int, int] = (1, 1),
) -> np.ndarray:
    """What each map adds to a unit's filter stage: (n, rows, columns, channels). Its sum over channels is the filter
    stage without bias.

    `maps` are (n, height, width, channels) as the layer reads them, `kernel` (rows, columns, channels) of the unit. The
    bias, and a normalization that follows, are not included. Raises ModelError if maps and kernel have different
    numbers of channels.
    """
    maps, kernel = np.asarray(maps, np.float32), np.asarray(kernel, np.float32)
    if maps.shape[-1] != kernel.shape[-1]:
        raise ModelError(f"{maps.shape[-1]} maps for a kernel of {kernel.shape[-1]} channels")
    margins, sizes = [], []
    for length, cells, stride, step in zip(maps.shape[1:3], kernel.shape[:2], strides, dilation, strict=True):
        reach = (cells - 1) * step + 1
        missing = max((-(-length // stride) - 1) * stride + reach - length, 0) if padding == "same" else 0
        margins.append((missing // 2, missing - missing // 2))
        sizes.append((length + missing - reach) // stride + 1)
    padded = np.pad(maps, [(0, 0), *margins, (0, 0)])
    result = np.zeros((len(maps), *sizes, maps.shape[-1]), np.float32)
    for row, column in np.ndindex(*kernel.shape[:2]):
        top, left = row * dilation[0], column * dilation[1]
        rows = slice(top, top + (sizes[0] - 1) * strides[0] + 1, strides[0])
        columns = slice(left, left + (sizes[1] - 1) * strides[1] + 1, strides[1])
        result += padded[:, rows, columns] * kernel[row, column]
    return result


def strongest_read(
    maps: np.ndarray,
    kernel: np.ndarray,
    *,
    count: int = SHOWN,
    layer: str | None = None,
    channels: Sequence[int] | np.ndarray | None = None,
    inside: np.ndarray | None = None,
    **convolution: Any,
) -> Reading:
    """The `count` maps that add most to a unit, by the mean magnitude of their contribution over all positions and
    images.

    `maps`, `kernel` and `convolution` are those of `added_by_each`; `channels` are the maps' indices in the layer
    before, by default from 0 on; `inside` are the cells of the maps, booleans (height, width), that set their limits.
    """
    added = np.abs(added_by_each(maps, kernel, **convolution)).mean(axis=(0, 1, 2), dtype=np.float64)
    total = np.nansum(added)
    shares = np.nan_to_num(added / total) if total > 0 else np.zeros(len(added))
    order = np.argsort(-shares, kind="stable")[:count]
    names = np.arange(len(added)) if channels is None else np.asarray(channels)
    read = maps[..., order]
    within = read if inside is None else read[:, inside]
    limits = np.nanmax(np.abs(within), axis=tuple(range(within.ndim - 1)), initial=0.0)
    limits = np.where(limits > 0, limits, np.maximum(np.abs(np.nan_to_num(read)).max(axis=(0, 1, 2)), 1e-12))
    return Reading(names[order], read, kernel[..., order], limits, shares[order], len(added), layer)
