"""Why this class: what happens to its logit when a part of the image is covered."""

from typing import Any

import keras
import numpy as np

from convlens.core.errors import UserError
from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, of_class, prepared


def occlusion(
    model: keras.Model | Network,
    images: Any,
    target: Targets = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    fill: float | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """How much the target's logit falls when a square around each pixel is covered: signed, shape (n, height, width).

    The mean fall over all squares of `size` pixels, every `stride` pixels, that cover the pixel; the last ones of a row
    or column end at the edge. A negative value means that the class becomes likelier when the pixel is covered. By
    default a square is an eighth of the shorter side, but at least four pixels, and moves by half its size. `fill` is
    the value to cover with, by default each image's own mean colour. Zeiler and Fergus, "Visualizing and Understanding
    Convolutional Networks", https://arxiv.org/abs/1311.2901. Raises UserError if the square does not fit in the image.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    height, width = images.shape[1:3]
    size = min(height, width, max(4, min(height, width) // 8)) if size is None else size
    stride = max(1, size // 2) if stride is None else stride
    if not 1 <= stride <= size <= min(height, width):
        raise UserError(f"squares of {size} pixels every {stride} pixels on images of {height}x{width} pixels")
    corners = [(top, left) for top in _starts(height, size, stride) for left in _starts(width, size, stride)]
    fills = images.mean(axis=(1, 2), keepdims=True) if fill is None else np.full_like(images[:, :1, :1], fill)

    def score(values, images, targets):
        return [of_class(network.forward(images, values)[0], targets)]

    uncovered_logits = network.run("score", score, [images, targets], batch_size)[0]

    def covered(rows):
        chosen = images[rows // len(corners)]  # a copy
        for image, row in zip(chosen, rows, strict=True):
            image[_square(corners[row % len(corners)], size)] = fills[row // len(corners)]
        return [chosen, targets[rows // len(corners)]]

    falls, covers = np.zeros(images.shape[:3]), np.zeros((height, width))
    for corner in corners:
        covers[_square(corner, size)] += 1
    for rows, (after,) in network.stream("score", score, len(images) * len(corners), covered, batch_size, progress):
        for row, logit in zip(rows, after, strict=True):
            image = row // len(corners)
            falls[image][_square(corners[row % len(corners)], size)] += uncovered_logits[image] - logit
    return (falls / covers).astype(np.float32)


def _starts(length: int, size: int, stride: int) -> list[int]:
    starts = list(range(0, length - size + 1, stride))
    return starts if starts[-1] == length - size else [*starts, length - size]


def _square(corner: tuple[int, int], size: int) -> tuple[slice, slice]:
    top, left = corner
    return slice(top, top + size), slice(left, left + size)
