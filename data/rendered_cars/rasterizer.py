"""Triangles to pixels: a z-buffer in whole-array NumPy, without a loop over triangles or rows.

Corners are rounded to 1/16 of a sample and edges are then followed in integers, with the top-left rule: triangles
that share an edge leave no hole and no overlap between them, and every machine finds the same samples.
"""

from dataclasses import dataclass

import numpy as np

_SUBSAMPLE = 16
_FARTHEST = 1 << 20  # a corner further out than this, in 1/16 samples, lies next to the camera's plane
_DEPTH_STEPS = float(1 << 36)
_NOTHING = np.int64((1 << 62) - 1)
_FACE_BITS = 16


@dataclass(frozen=True)
class Projected:
    """Triangles on the picture plane.

    x, y: (triangles, 3), in samples, y downwards. nearness: (triangles, 3), one over the depth in metres.
    faces: (triangles,), the number under which each is drawn.
    """

    x: np.ndarray
    y: np.ndarray
    nearness: np.ndarray
    faces: np.ndarray


def _expand(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts [2, 3]: owners [0, 0, 1, 1, 1] and steps [0, 1, 0, 1, 2]."""
    owners = np.repeat(np.arange(counts.size), counts)
    starts = np.cumsum(counts) - counts
    return owners, np.arange(owners.size) - starts[owners]


def gradient(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The plane through three values a triangle: (offset, slope in x, slope in y), each shaped as values[:, 0]."""
    x1, x2 = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
    y1, y2 = y[:, 1] - y[:, 0], y[:, 2] - y[:, 0]
    v1, v2 = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    area = x1 * y2 - x2 * y1
    slope_x = (v1 * y2 - v2 * y1) / area
    slope_y = (v2 * x1 - v1 * x2) / area
    return values[:, 0] - slope_x * x[:, 0] - slope_y * y[:, 0], slope_x, slope_y


def _extent(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest of each row of (n, 3) values; far quicker than min(1) and max(1) on rows so short."""
    a, b, c = values[:, 0], values[:, 1], values[:, 2]
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def fragments(triangles: Projected, size: int, cull: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Every sample under every triangle.

    Returns its place (row * size + column) and its key: nearest first, then the lowest face. With `cull`, only
    triangles whose corners run counter-clockwise as seen by the camera are drawn.
    """
    x = np.floor(triangles.x * _SUBSAMPLE + 0.5).astype(np.int64)
    y = np.floor(triangles.y * _SUBSAMPLE + 0.5).astype(np.int64)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    half = _SUBSAMPLE // 2
    (x_low, x_high), (y_low, y_high) = _extent(x), _extent(y)
    first = np.maximum(-((half - y_low) // _SUBSAMPLE), 0)
    last = np.minimum((y_high - half) // _SUBSAMPLE, size - 1)
    seen = (area < 0) if cull else (area != 0)
    seen &= (first <= last) & (x_high >= 0) & (x_low < size * _SUBSAMPLE)
    seen &= (x_low > -_FARTHEST) & (x_high < _FARTHEST) & (y_low > -_FARTHEST) & (y_high < _FARTHEST)
    seen = np.flatnonzero(seen)
    x, y, area, first = x[seen], y[seen], area[seen], first[seen]
    clockwise = area > 0
    x[clockwise], y[clockwise] = x[clockwise][:, ::-1], y[clockwise][:, ::-1]

    owner, step = _expand(last[seen] - first + 1)
    row = first[owner] + step
    left, right = _span(x, y, owner, row, size)
    full = np.flatnonzero(left <= right)
    owner, row, left, right = owner[full], row[full], left[full], right[full]

    nearness = triangles.nearness[seen]
    nearness[clockwise] = nearness[clockwise][:, ::-1]
    corner_x, corner_y = (x - half) * (1.0 / _SUBSAMPLE), (y - half) * (1.0 / _SUBSAMPLE)
    offset, slope_x, slope_y = gradient(corner_x, corner_y, nearness)
    run, step = _expand(right - left + 1)
    column = left[run] + step
    near = (offset[owner] + slope_y[owner] * row)[run] + slope_x[owner][run] * column
    key = (np.int64(1 << 44) - (near * _DEPTH_STEPS).astype(np.int64) << _FACE_BITS) | triangles.faces[seen][owner][run]
    return (row * size)[run] + column, key


def _span(x: np.ndarray, y: np.ndarray, owner: np.ndarray, row: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last column of each row of each triangle, (rows,) each; empty where the first exceeds the last."""
    half = _SUBSAMPLE // 2
    left = np.zeros(owner.size, np.int64)
    right = np.full(owner.size, size - 1, np.int64)
    for here, there in ((0, 1), (1, 2), (2, 0)):
        edge_x, edge_y = x[:, here] - x[:, there], y[:, here] - y[:, there]
        # Inside is where edge_x * (v - y) - edge_y * (u - x) > 0, or = 0 on a top or left edge.
        closed = (edge_y < 0) | ((edge_y == 0) & (edge_x > 0))
        constant = edge_y * (x[:, here] - half) - edge_x * (y[:, here] - half) - np.where(closed, 0, 1)
        value = constant[owner] + (edge_x * _SUBSAMPLE)[owner] * row
        slope = (edge_y * _SUBSAMPLE)[owner]
        bound = value // np.where(slope == 0, 1, np.abs(slope))
        right = np.where(slope > 0, np.minimum(right, bound), right)
        left = np.where(slope < 0, np.maximum(left, -bound), left)
        right = np.where((slope == 0) & (value < 0), -1, right)
    return left, right


def face_of(key: np.ndarray) -> np.ndarray:
    """The face of each fragment."""
    return key & ((1 << _FACE_BITS) - 1)


def empty(size: int) -> np.ndarray:
    """A z-buffer of size * size samples that holds nothing yet."""
    return np.full(size * size, _NOTHING)


def draw(buffer: np.ndarray, samples: np.ndarray, key: np.ndarray) -> None:
    """Keep the nearest fragment of every sample, in place."""
    np.minimum.at(buffer, samples, key)


def visible(buffer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples that some triangle covers, and the face that each of them shows."""
    samples = np.flatnonzero(buffer != _NOTHING)
    return samples, face_of(buffer[samples])
