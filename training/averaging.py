"""Averaged weights together with batch norm: the averages that it keeps are made those of the averaged weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

MEASURED_ON = 500  # images; each gives a value for every pixel of a map


class StatisticsOfAverage(keras.callbacks.Callback):
    """Measures, before each validation, the means and variances that batch norm meets under the averaged weights.

    Keras swaps in the averaged weights and leaves batch norm with running averages of what the last weights gave. Must
    come after `SwapEMAWeights`. Training is not changed by it: a step normalizes by its own batch.

    Args:
        images: training images (n, height, width, channels), uint8, in an order that mixes classes.
        batch_size: how many are normalized together.
    """

    def __init__(self, images: np.ndarray, batch_size: int):
        super().__init__()
        self.images, self.batch_size = images, batch_size

    def on_test_begin(self, logs=None):
        measure_statistics(self.model, self.images, self.batch_size)


def measure_statistics(model: keras.Model, images: np.ndarray, batch_size: int) -> None:
    """Gives every batch norm that learns the mean and the variance of its inputs over `images`, without dropout.

    Each layer sees what the layers before it give when they normalize by the batch, as in training.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    if not norms:
        return
    batches = np.array_split(images, max(1, len(images) // batch_size))
    means, variances = [], []
    with _of_the_batch_alone(model, norms):
        for batch in batches:
            model(batch, training=True)
            means.append([keras.ops.convert_to_numpy(layer.moving_mean) for layer in norms])
            variances.append([keras.ops.convert_to_numpy(layer.moving_variance) for layer in norms])
    shares = np.array([len(batch) for batch in batches]) / len(images)
    for layer, mean, variance in zip(norms, zip(*means, strict=True), zip(*variances, strict=True), strict=True):
        whole = np.average(mean, axis=0, weights=shares)
        between = np.average((np.array(mean) - whole) ** 2, axis=0, weights=shares)
        layer.moving_mean.assign(whole)
        layer.moving_variance.assign(np.average(variance, axis=0, weights=shares) + between)


@contextmanager
def _of_the_batch_alone(model: keras.Model, norms: list[keras.layers.Layer]) -> Iterator[None]:
    """While the block runs, a call in training keeps the batch's own statistics and drops nothing."""
    settings = [(layer, "momentum", 0.0) for layer in norms]
    settings += [(layer, "rate", 0.0) for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    previous = [getattr(layer, name) for layer, name, _ in settings]
    try:
        for layer, name, value in settings:
            setattr(layer, name, value)
        yield
    finally:
        for (layer, name, _), value in zip(settings, previous, strict=True):
            setattr(layer, name, value)
