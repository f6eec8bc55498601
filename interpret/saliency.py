"""Why this class: the pixels that its logit is most sensitive to."""

from typing import Any

import keras
import numpy as np

from convlens.interpret.classifier import Network, Targets
from convlens.interpret.input_gradient import input_gradient


def saliency(model: keras.Model | Network, images: Any, target: Targets = None, *, batch_size: int = 32) -> np.ndarray:
    """How much the target's logit changes with each pixel: values >= 0 of shape (n, height, width).

    The largest magnitude over the channels of `input_gradient`: Simonyan, Vedaldi and Zisserman, "Deep Inside
    Convolutional Networks", https://arxiv.org/abs/1312.6034.
    """
    return strongest_channel(input_gradient(model, images, target, batch_size=batch_size))


def strongest_channel(gradients: np.ndarray) -> np.ndarray:
    """The largest magnitude over the last axis."""
    return np.abs(gradients).max(axis=-1)
