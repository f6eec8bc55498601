"""A convolution that never learns and makes learning easier: what it finds in the training images varies independently.

Page 2019, "How to Train Your ResNet 8: Bag of Tricks"; also the first layer of https://arxiv.org/abs/2404.00498.
"""

import numpy as np

NAME = "whiten"
SIZE = 2  # pixels of a side of a kernel
_LEAST = 5e-4  # added to a component's variance, as a share of a pixel's: the faintest components are mostly noise


def filters(channels: int) -> int:
    """How many kernels: every component of a patch, and each again with the opposite sign."""
    return 2 * SIZE * SIZE * channels


def whitening(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel (SIZE, SIZE, channels, filters) and the bias (filters,) that whiten the patches of these images.

    The principal components of a patch of the images scaled to [-1, 1], largest first, each of mean 0 and variance 1;
    then the same with the opposite sign, so that ReLU loses nothing. Images are uint8 (n, height, width, channels).
    """
    channels = images.shape[-1]
    depth = SIZE * SIZE * channels
    total, products, patches = np.zeros(depth), np.zeros((depth, depth)), 0
    for image in images:
        windows = np.lib.stride_tricks.sliding_window_view(image / 127.5 - 1, (SIZE, SIZE), axis=(0, 1))
        rows = windows.transpose(0, 1, 3, 4, 2).reshape(-1, depth)
        total, products, patches = total + rows.sum(0), products + rows.T @ rows, patches + len(rows)
    mean = total / patches
    covariance = products / patches - np.outer(mean, mean)
    variances, components = np.linalg.eigh(covariance)
    least = _LEAST * max(np.trace(covariance) / depth, 1e-12)
    scaled = (components / np.sqrt(np.maximum(variances, 0) + least))[:, ::-1]
    kernel = np.concatenate([scaled, -scaled], axis=1)
    return kernel.reshape(SIZE, SIZE, channels, -1).astype("float32"), (-mean @ kernel).astype("float32")
