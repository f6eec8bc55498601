"""Why this class: how its logit changes with each value of the image."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, prepared


def input_gradient(
    model: keras.Model | Network, images: Any, target: Targets = None, *, batch_size: int = 32
) -> np.ndarray:
    """The gradient of the target's logit with respect to each pixel, shape (n, height, width, channels), signed.

    `images` are (n, height, width, channels) as the model takes them; `target` is a class, a class for each image, or
    None for the class that the model finds most likely.
    """
    network = prepared(model)
    images = network.images(images)
    return network.gradients(images, network.targets(images, target, batch_size), batch_size)


def mean_gradients(
    network: Network,
    variant: Callable[[int, int], np.ndarray],
    variants: int,
    targets: np.ndarray,
    batch_size: int,
    progress: Progress | None,
) -> np.ndarray:
    """The mean gradient over `variant(image, 0)`, `variant(image, 1)`, ... of each image, (n, height, width, channels).

    `targets` (n,) are the images' classes.
    """

    def arrays(rows):
        return [np.stack([variant(*divmod(row, variants)) for row in rows]), targets[rows // variants]]

    function = network.gradient_of_target()
    batches = network.stream(("gradient", None), function, len(targets) * variants, arrays, batch_size, progress)
    total = np.zeros((len(targets), *variant(0, 0).shape), np.float32)
    for rows, (gradients,) in batches:
        for row, gradient in zip(rows, gradients, strict=True):
            total[row // variants] += gradient / variants
    return total
