"""Why this class: explanations made of gradients of its logit with respect to the image's pixels."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from convlens.interpret.gradient import with_gradient
from convlens.interpret.network import Network, Progress, Targets, guided, of_class, prepared, relus


def input_gradient(
    model: keras.Model | Network, images: Any, target: Targets = None, *, batch_size: int = 32
) -> np.ndarray:
    """The gradient of the target's logit with respect to each pixel, shape (n, height, width, channels), signed.

    `images` are (n, height, width, channels) as the model takes them; `target` is a class, a class for each image, or
    None for the class that the model finds most likely.
    """
    network = prepared(model)
    images = network.images(images)
    return _gradients(network, images, network.targets(images, target, batch_size), batch_size)


def saliency(model: keras.Model | Network, images: Any, target: Targets = None, *, batch_size: int = 32) -> np.ndarray:
    """How much the target's logit changes with each pixel, shape (n, height, width), from zero.

    The largest magnitude over the channels of `input_gradient`: Simonyan, Vedaldi and Zisserman, "Deep Inside
    Convolutional Networks", https://arxiv.org/abs/1312.6034.
    """
    return _strongest(input_gradient(model, images, target, batch_size=batch_size))


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
    """The saliency of the mean gradient over noisy copies of each image, shape (n, height, width), from zero.

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

    return _strongest(_mean_gradients(network, noisy, len(images), samples, targets, batch_size, progress))


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

    The gradient's mean along the straight way from `baseline` (a value, or images) to the image, times the difference
    between them. What equals the baseline gets nothing: a black baseline never blames black pixels. Sundararajan, Taly
    and Yan, "Axiomatic Attribution for Deep Networks", https://arxiv.org/abs/1703.01365.

    The shares are to add up to the difference between the logits of image and baseline (`completeness_gap`). Images
    for which `steps` midpoints miss it by more than `tolerance` of it are done again with twice as many, up to
    `most_steps`.
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
    """How far integrated gradients miss what they are to add up to, as a share of it: shape (n,), 0 is perfect.

    `attributions` (n, height, width, channels) are to add up to the target's logit of the image less that of the
    baseline; more `steps` make the gap smaller. Where the two logits are nearly the same the share means little.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    rows = np.arange(len(images))
    baselines = np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    there, here = (network.logits(ends, batch_size)[rows, targets].astype(np.float64) for ends in (images, baselines))
    added = np.asarray(attributions, np.float64).reshape(len(images), -1).sum(axis=1)
    return (np.abs(added - (there - here)) / np.maximum(np.abs(there - here), 1e-12)).astype(np.float32)


def guided_backpropagation(
    model: keras.Model | Network, images: Any, target: Targets = None, *, batch_size: int = 32
) -> np.ndarray:
    """The gradient that is left when only its positive part passes back through each ReLU, signed.

    Shape (n, height, width, channels). Springenberg et al., "Striving for Simplicity", https://arxiv.org/abs/1412.6806.
    It looks sharp, and hardly depends on the class or on the upper layers: see `randomisation_check`.

    ReLU and ReLU6 count, as a layer, as a layer's activation, or as a function in a Functional model. Raises ValueError
    for a model that has none.
    """
    network = prepared(model)
    images = network.images(images)
    if not relus(network.graph(images.shape[1:3]).nodes):
        raise ValueError(f"model '{network.model.name}' has no ReLU, through which guided backpropagation is defined")
    return _gradients(network, images, network.targets(images, target, batch_size), batch_size, guided)


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

    return differences * _mean_gradients(network, on_the_way, len(images), steps, targets, batch_size, progress)


def _gradients(
    network: Network, images: np.ndarray, targets: np.ndarray, batch_size: int, through_relus: Callable | None = None
) -> np.ndarray:
    return network.run(
        ("gradient", through_relus), _gradient_of(network, through_relus), [images, targets], batch_size
    )[0]


def _mean_gradients(
    network: Network,
    variant: Callable[[int, int], np.ndarray],
    images: int,
    variants: int,
    targets: np.ndarray,
    batch_size: int,
    progress: Progress | None,
) -> np.ndarray:
    """The mean gradient over `variant(image, 0)`, `variant(image, 1)`, ... of each image, (images, height, ...)."""

    def arrays(rows):
        return [np.stack([variant(*divmod(row, variants)) for row in rows]), targets[rows // variants]]

    passes = network.stream(
        ("gradient", None), _gradient_of(network, None), images * variants, arrays, batch_size, progress
    )
    total = np.zeros((images, *variant(0, 0).shape), np.float32)
    for rows, (gradients,) in passes:
        for row, gradient in zip(rows, gradients, strict=True):
            total[row // variants] += gradient / variants
    return total


def _gradient_of(network: Network, through_relus: Callable | None) -> Callable:
    def gradient(values, images, targets):
        def score(images):
            logits, _ = network.forward(images, values, through_relus=through_relus)
            return ops.sum(of_class(logits, targets)), None  # images do not meet, so one sum serves them all

        return [with_gradient(score, images)[0]]

    return gradient


def _strongest(gradients: np.ndarray) -> np.ndarray:
    return np.abs(gradients).max(axis=-1)
