"""Is an explanation faithful? How the class's probability changes as the pixels that it names are removed, or shown
alone.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import UserError
from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, of_class, prepared


@dataclass(frozen=True)
class Curves:
    """The target's probability while pixels go or come, those first that a map calls most important."""

    shares: np.ndarray  # (steps + 1,) float32: of the pixels gone or come, from 0 to 1
    deletion: np.ndarray  # (n, steps + 1) float32
    insertion: np.ndarray  # (n, steps + 1) float32

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        return {"shares": self.shares, "deletion": self.deletion, "insertion": self.insertion}

    @property
    def deletion_area(self) -> np.ndarray:
        """Area under each deletion curve, shape (n,): the smaller, the better the map."""
        return _area(self.deletion)

    @property
    def insertion_area(self) -> np.ndarray:
        """Area under each insertion curve, shape (n,): the larger, the better the map."""
        return _area(self.insertion)


def deletion_insertion(
    model: keras.Model | Network,
    images: Any,
    maps: np.ndarray,
    target: Targets = None,
    *,
    steps: int = 32,
    seed: int = 0,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Curves:
    """Score maps (n, height, width) by what happens to the target's probability when they are believed.

    Deletion puts the image's mean colour in place of the most important pixels first; insertion starts from the blurred
    image and brings the sharp pixels back. Ties, frequent in maps with many zeros, are broken at random by `seed`.
    Compare with maps of random numbers: that is what knowing nothing scores. Petsiuk, Das and Saenko, "RISE",
    https://arxiv.org/abs/1806.07421. Raises UserError for maps that are not of the images' size.
    """
    network = prepared(model)
    images = network.images(images)
    maps = np.asarray(maps)
    if maps.shape != images.shape[:3]:
        raise UserError(f"maps of shape {maps.shape}; expected {images.shape[:3]}, one value a pixel")
    targets = network.targets(images, target, batch_size)
    count, pixels = len(images), maps[0].size
    ranks = np.stack(
        [_ranks_from_the_top(values, np.random.default_rng((seed, row))) for row, values in enumerate(maps)]
    )
    gone = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    blurred = np.stack([_blurred(image) for image in images])
    shares = np.linspace(0, 1, steps + 1)

    def probability(values, images, targets):
        return [of_class(keras.ops.softmax(network.forward(images, values)[0]), targets)]

    def changed(rows):
        image, (insertion, step) = rows // (2 * steps + 2), divmod(rows % (2 * steps + 2), steps + 1)
        chosen = (ranks[image] < np.rint(shares[step] * pixels)[:, None, None])[..., None]
        deleted = np.where(chosen, gone[image], images[image])
        inserted = np.where(chosen, images[image], blurred[image])
        return [np.where(insertion[:, None, None, None] == 1, inserted, deleted), targets[image]]

    curves = np.empty((count, 2, steps + 1), np.float32)
    for rows, (values,) in network.stream("probability", probability, curves.size, changed, batch_size, progress):
        curves.flat[rows] = values
    return Curves(shares.astype(np.float32), curves[:, 0], curves[:, 1])


def _area(curves: np.ndarray) -> np.ndarray:
    """The area under curves over [0, 1], by the trapezoid rule."""
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2


def _ranks_from_the_top(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The rank of each pixel, from 0 for the largest value; ties are broken at random."""
    order = np.lexsort((generator.random(values.size), -values.ravel()))
    ranks = np.empty(values.size, int)
    ranks[order] = np.arange(values.size)
    return ranks.reshape(values.shape)


def _blurred(image: np.ndarray) -> np.ndarray:
    """An image (height, width, channels) under a Gaussian that leaves no shape: a tenth of its shorter side."""
    deviation = max(1.0, min(image.shape[:2]) / 10)
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        margins = [(reach, reach) if side == axis else (0, 0) for side in range(3)]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(image, margins, mode="edge"), 2 * reach + 1, axis=axis
        )
        image = windows @ weights
    return image.astype(np.float32)
