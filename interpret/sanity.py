"""Does an explanation explain? Checks that a method of attribution passes or fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError, unknown
from convlens.interpret.network import Network, Progress, Targets, of_class, prepared
from convlens.models.inspection.graph import Node

Method = Callable[[Network, np.ndarray, np.ndarray], np.ndarray]  # network, images, targets -> maps (n, height, width)


@dataclass(frozen=True)
class Randomisation:
    """Maps of a method while a model's weights are destroyed from the top down."""

    layers: tuple[str, ...]  # in the order in which their weights were shuffled; each row keeps those before it
    similarity: np.ndarray  # (layers, n) float32: Spearman's rank correlation with the trained model's map
    original: np.ndarray  # (n, height, width) float32
    maps: np.ndarray  # (layers, n, height, width) float32


def randomisation_check(
    model: keras.Model | Network,
    images: Any,
    method: Method,
    target: Targets = None,
    *,
    layers: Sequence[str] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Randomisation:
    """How far a method's maps change when the weights are shuffled, layer by layer from the logits down.

    A method whose maps stay alike (similarity near 1) does not show what the model learned. All happens to a copy of
    the model, and each target is that of the trained model. `method(network, images, targets)` is any function of this
    room, such as `grad_cam`, or one's own; of maps with channels the largest magnitude is taken, and magnitudes are
    compared. `layers` are those to shuffle; None takes all with a kernel. Adebayo et al., "Sanity Checks for Saliency
    Maps", https://arxiv.org/abs/1810.03292; a shuffle keeps the scale of the weights, which drawing them anew may not.

    Raises ModelError for a model that cannot be copied, and for a layer that does not exist or has no kernel.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    nodes = _layers_with_kernels(network, images.shape[1:3])
    names = list(nodes)[::-1] if layers is None else list(layers)
    for name in names:
        if name not in nodes:
            raise ModelError(unknown("layer with a kernel", name, nodes))
    copy = Network(_copied(network.model))
    twins = _layers_with_kernels(copy, images.shape[1:3])
    original = _flat(method(copy, images, targets))
    generator = np.random.default_rng(seed)
    maps = []
    for done, name in enumerate(names, 1):
        twins[name].layer.trainable = True  # it may be frozen
        for variable in twins[name].layer.trainable_variables:
            values = keras.ops.convert_to_numpy(variable.value)
            variable.assign(generator.permutation(values.ravel()).reshape(values.shape))
        maps.append(_flat(method(copy, images, targets)))
        if progress:
            progress(done, len(names))
    similarity = [[_rank_correlation(one, other) for one, other in zip(original, row, strict=True)] for row in maps]
    return Randomisation(tuple(names), np.array(similarity, np.float32), original, np.stack(maps))


@dataclass(frozen=True)
class Curves:
    """The target's probability while pixels go or come, those first that a map calls most important."""

    shares: np.ndarray  # (steps + 1,) float32: of the pixels gone or come, from 0 to 1
    deletion: np.ndarray  # (n, steps + 1) float32
    insertion: np.ndarray  # (n, steps + 1) float32

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
    https://arxiv.org/abs/1806.07421. Raises ValueError for maps that are not of the images' size.
    """
    network = prepared(model)
    images = network.images(images)
    maps = np.asarray(maps)
    if maps.shape != images.shape[:3]:
        raise ValueError(f"maps of shape {maps.shape}; expected {images.shape[:3]}, one value a pixel")
    targets = network.targets(images, target, batch_size)
    count, pixels = len(images), maps[0].size
    ranks = np.stack([_ranks_from_the_top(one, np.random.default_rng((seed, row))) for row, one in enumerate(maps)])
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

    found = np.empty((count, 2, steps + 1), np.float32)
    for rows, (part,) in network.stream("probability", probability, found.size, changed, batch_size, progress):
        found.flat[rows] = part
    return Curves(shares.astype(np.float32), found[:, 0], found[:, 1])


def _area(curves: np.ndarray) -> np.ndarray:
    """By the trapezoid rule, over [0, 1]."""
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2


def _layers_with_kernels(network: Network, size: tuple[int, int]) -> dict[str, Node]:
    """By name, in the order of execution, the first call of each layer that has a kernel of its own."""
    found = {}
    for node in network.graph(size).nodes:
        if hasattr(node.layer, "kernel") or hasattr(node.layer, "depthwise_kernel"):
            found.setdefault(id(node.layer), node)
    return {node.name: node for node in found.values()}


def _copied(model: keras.Model) -> keras.Model:
    try:
        copy = keras.models.clone_model(model)
        if not copy.built:
            copy.build(model.get_build_config()["input_shape"])
        copy.set_weights(model.get_weights())
    except (ValueError, NotImplementedError, TypeError) as error:
        raise ModelError(
            f"model '{model.name}' cannot be copied, so its weights cannot be shuffled: {error}"
        ) from error
    return copy


def _flat(maps: np.ndarray) -> np.ndarray:
    """Magnitudes (n, height, width) of maps with or without channels."""
    magnitudes = np.abs(np.asarray(maps, np.float32))
    return magnitudes.max(axis=-1) if magnitudes.ndim == 4 else magnitudes


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, with ties at their mean rank; 0 where a map is the same everywhere, for it tells nothing."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(one.ravel()), _ranks(other.ravel()))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def _ranks_from_the_top(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each place's number, from 0, when places are taken from the largest value down; ties in random order."""
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
