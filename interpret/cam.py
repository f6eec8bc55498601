"""Why this class: class activation maps, which weigh the maps of one layer by what they mean for a class."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, of_class, prepared


def grad_cam(
    model: keras.Model | Network,
    images: Any,
    target: Targets = None,
    *,
    layer: str | None = None,
    upsample: bool = True,
    batch_size: int = 32,
) -> np.ndarray:
    """Where the maps of a layer speak for the target: values >= 0 of shape (n, height, width), as large as the images.

    Each map of the layer is weighted by the mean gradient of the target's logit with respect to it; the positive part
    of the sum is kept. Selvaraju et al., "Grad-CAM", https://arxiv.org/abs/1610.02391.

    `images` are (n, height, width, channels) as the model takes them; `target` is a class, a class for each image, or
    None for the class that the model finds most likely. `layer` is named as in `feature_maps`, a nested one by its path
    ("backbone/conv1"); None takes the last maps before the last pooling. The result is enlarged to the size of the
    image bilinearly; without `upsample` it has the size of the layer's maps, which is the real resolution.
    """

    def weigh(maps, gradients):
        return ops.mean(gradients, axis=(1, 2), keepdims=True)

    return _weighed_maps("grad_cam", weigh, model, images, target, layer, upsample, batch_size)


def grad_cam_plus_plus(
    model: keras.Model | Network,
    images: Any,
    target: Targets = None,
    *,
    layer: str | None = None,
    upsample: bool = True,
    batch_size: int = 32,
) -> np.ndarray:
    """Grad-CAM in which several small regions count as much as one large one; arguments and shapes as in `grad_cam`.

    The weight of a map is the sum of its positive gradients, each position weighted by its alpha: Chattopadhay et al.,
    "Grad-CAM++", https://arxiv.org/abs/1710.11063, equation 19, here divided by the squared gradient. The score is the
    exponential of the logit, as there; its factor, the same everywhere in an image, is left out, for it may overflow.
    """

    def weigh(maps, gradients):
        below = 2 + ops.sum(maps, axis=(1, 2), keepdims=True) * gradients
        alphas = ops.where(below != 0, 1 / ops.where(below != 0, below, 1.0), 0.0)
        return ops.sum(alphas * ops.relu(gradients), axis=(1, 2), keepdims=True)

    return _weighed_maps("grad_cam_plus_plus", weigh, model, images, target, layer, upsample, batch_size)


def score_cam(
    model: keras.Model | Network,
    images: Any,
    target: Targets = None,
    *,
    layer: str | None = None,
    upsample: bool = True,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """Class activation maps without gradients; arguments and shapes as in `grad_cam`.

    Each map, enlarged and stretched to [0, 1], is laid over the image as a mask; its weight is the softmax, over the
    maps, of the target's logit of the masked image. Wang et al., "Score-CAM", https://arxiv.org/abs/1910.01279; the
    logit of an empty image, subtracted there, cancels in the softmax. A constant map masks everything. The method takes
    a forward pass for every map of the layer.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    size = images.shape[1:3]
    node = network.maps_node(layer, size)

    def maps_of(values, images):
        return [network.forward(images, values, at=node)[1]]

    def masked_score(values, images, maps, targets):
        masks = ops.image.resize(maps[..., None], size, interpolation="bilinear", data_format="channels_last")
        low = ops.min(masks, axis=(1, 2, 3), keepdims=True)
        reach = ops.max(masks, axis=(1, 2, 3), keepdims=True) - low
        masks = ops.where(reach > 0, (masks - low) / ops.where(reach > 0, reach, 1.0), 0.0)
        return [of_class(network.forward(images * masks, values)[0], targets)]

    maps = network.run(("maps", node.name, size), maps_of, [images], batch_size)[0]
    units = maps.shape[-1]
    scores = np.empty((len(images), units), np.float32)

    def masked(rows):
        image, unit = rows // units, rows % units
        return [images[image], maps[image, :, :, unit], targets[image]]

    name = ("masked score", size)
    for rows, (score,) in network.stream(name, masked_score, scores.size, masked, batch_size, progress):
        scores.flat[rows] = score
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    cams = np.maximum(np.einsum("nhwu,nu->nhw", maps, weights), 0)
    return enlarged(cams, size) if upsample else cams


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (n, h, w) brought to `size` (height, width) bilinearly, float32."""
    resized = ops.image.resize(maps[..., None], size, interpolation="bilinear", data_format="channels_last")
    return np.asarray(ops.convert_to_numpy(resized), np.float32)[..., 0]


def _weighed_maps(
    name: str,
    weigh: Callable,
    model: keras.Model | Network,
    images: Any,
    target: Targets,
    layer: str | None,
    upsample: bool,
    batch_size: int,
) -> np.ndarray:
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    size = images.shape[1:3]
    node = network.maps_node(layer, size)

    def weighed(values, images, targets):
        gradients, maps = network.gradient_at(node, images, values, targets)
        return [ops.relu(ops.sum(weigh(maps, gradients) * maps, axis=-1))]

    cams = network.run((name, node.name, size), weighed, [images, targets], batch_size)[0]
    return enlarged(cams, size) if upsample else cams
