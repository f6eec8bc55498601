"""Why this class: each pixel's share of its logit, and whether the shares add up."""

from typing import Any

import keras
import numpy as np

from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, prepared
from convlens.interpret.input_gradient import mean_gradients


def integrated_gradients(
    model: keras.Model | Network,
    images: Any,
    target: Targets = None,
    *,
    baseline: float | np.ndarray = 0.0,
    steps: int = 64,
    most_steps: int = 1024,
    tolerance: float = 0.01,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """Each pixel value's share of the target's logit, shape (n, height, width, channels), signed.

    The mean gradient along the straight line from `baseline` (a value, or images) to the image, multiplied by the
    difference between them. Pixels equal to the baseline get nothing: with a black baseline, black pixels are never
    blamed. Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", https://arxiv.org/abs/1703.01365.

    The shares should add up to the difference between the logits of image and baseline (`completeness_gap`). If the sum
    misses it by more than the share `tolerance` with `steps` midpoints, the image is computed again with twice as many,
    up to `most_steps`.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    baselines = np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    shares = np.empty_like(images)
    rows = np.arange(len(images))
    while len(rows):
        path = images[rows], baselines[rows], targets[rows]
        shares[rows] = _path_gradients(network, *path, steps, batch_size, progress)
        steps *= 2
        if steps > most_steps:
            break
        gaps = completeness_gap(network, images[rows], shares[rows], targets[rows], baseline=baselines[rows])
        rows = rows[gaps > tolerance]
    return shares


def completeness_gap(
    model: keras.Model | Network,
    images: Any,
    attributions: np.ndarray,
    target: Targets = None,
    *,
    baseline: float | np.ndarray = 0.0,
    batch_size: int = 32,
) -> np.ndarray:
    """The relative error of the sum of integrated gradients: shape (n,), 0 is perfect.

    `attributions` (n, height, width, channels) should add up to the target's logit of the image minus that of the
    baseline; more `steps` make the gap smaller. If the two logits are nearly the same, the gap means little.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    rows = np.arange(len(images))
    baselines = np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    there, here = (network.logits(ends, batch_size)[rows, targets].astype(np.float64) for ends in (images, baselines))
    added = np.asarray(attributions, np.float64).reshape(len(images), -1).sum(axis=1)
    return (np.abs(added - (there - here)) / np.maximum(np.abs(there - here), 1e-12)).astype(np.float32)


def _path_gradients(
    network: Network,
    images: np.ndarray,
    baselines: np.ndarray,
    targets: np.ndarray,
    steps: int,
    batch_size: int,
    progress: Progress | None,
) -> np.ndarray:
    differences = images - baselines

    def on_the_way(index, step):
        return images[index] - np.float32(1 - (step + 0.5) / steps) * differences[index]

    return differences * mean_gradients(network, on_the_way, steps, targets, batch_size, progress)
