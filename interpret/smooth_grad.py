"""Why this class: saliency without the noise that a single gradient has."""

from typing import Any

import keras
import numpy as np

from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, prepared
from convlens.interpret.input_gradient import mean_gradients
from convlens.interpret.saliency import strongest_channel


def smooth_grad(
    model: keras.Model | Network,
    images: Any,
    target: Targets = None,
    *,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """The saliency of the mean gradient over noisy copies of each image: values >= 0 of shape (n, height, width).

    `noise` is the standard deviation as a share of the image's own range of values. The same seed gives the same noise,
    whatever the batch size and the backend. Smilkov et al., "SmoothGrad", https://arxiv.org/abs/1706.03825.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    spreads = noise * np.ptp(images, axis=(1, 2, 3), keepdims=True)

    def noisy(index, sample):
        generator = np.random.default_rng((seed, index, sample))
        return images[index] + spreads[index] * generator.standard_normal(images.shape[1:], np.float32)

    return strongest_channel(mean_gradients(network, noisy, samples, targets, batch_size, progress))
