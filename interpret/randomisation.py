"""Does a method of attribution explain the model? Its maps must change when the weights are shuffled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError
from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, Targets, prepared

Method = Callable[[Network, np.ndarray, np.ndarray], np.ndarray]  # network, images, targets -> maps (n, height, width)


@dataclass(frozen=True)
class Randomisation:
    """Maps of a method while a model's weights are destroyed from the top down."""

    layers: tuple[str, ...]  # in the order in which their weights were shuffled; each row keeps those before it
    similarity: np.ndarray  # (layers, n) float32: Spearman's rank correlation with the trained model's map
    original: np.ndarray  # (n, height, width) float32
    maps: np.ndarray  # (layers, n, height, width) float32

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `similarity` (layers, n), and `maps` (1 + layers, n, height, width), the original's first."""
        return {"similarity": self.similarity, "maps": np.concatenate([self.original[None], self.maps])}


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
    """How much the maps of a method change when the weights are shuffled, layer by layer from the logits down.

    A method whose maps stay alike (similarity near 1) does not show what the model learned. Weights are shuffled in a
    copy of the model, and the targets are those of the trained model. `method(network, images, targets)` is any
    function of this package, such as `grad_cam`, or one of your own. Magnitudes are compared; if maps have channels,
    the largest one is used. `layers` are those to shuffle; None takes all with a kernel. Adebayo et al., "Sanity Checks
    for Saliency Maps", https://arxiv.org/abs/1810.03292; a shuffle keeps the scale of the weights, which drawing new
    ones may not.

    Raises ModelError if the model cannot be copied, or if a layer does not exist or has no kernel.
    """
    network = prepared(model)
    images = network.images(images)
    targets = network.targets(images, target, batch_size)
    size = images.shape[1:3]
    names = _layers_with_kernels(network, size)[::-1] if layers is None else list(layers)
    for name in names:
        if not _has_kernel(network.layer(name, size).layer):
            raise ModelError(f"layer '{name}' has no kernel, so there is nothing to shuffle")
    copy = Network(_copied(network.model))
    original = _flat(method(copy, images, targets))
    generator = np.random.default_rng(seed)
    maps = []
    for done, name in enumerate(names, 1):
        layer = copy.layer(name, size).layer
        layer.trainable = True  # it may be frozen
        for variable in layer.trainable_variables:
            values = keras.ops.convert_to_numpy(variable.value)
            variable.assign(generator.permutation(values.ravel()).reshape(values.shape))
        maps.append(_flat(method(copy, images, targets)))
        if progress:
            progress(done, len(names))
    similarity = [[_rank_correlation(*pair) for pair in zip(original, shuffled, strict=True)] for shuffled in maps]
    return Randomisation(tuple(names), np.array(similarity, np.float32), original, np.stack(maps))


def _layers_with_kernels(network: Network, size: tuple[int, int]) -> list[str]:
    """The first call of each layer that has a kernel of its own, in the order of execution."""
    first_calls: dict[int, str] = {}
    for node in network.graph(size).nodes:
        if _has_kernel(node.layer):
            first_calls.setdefault(id(node.layer), node.name)
    return list(first_calls.values())


def _has_kernel(layer: keras.Operation) -> bool:
    return hasattr(layer, "kernel") or hasattr(layer, "depthwise_kernel")


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


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's, with ties at their mean rank; 0 where a map is the same everywhere, for it tells nothing."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(first.ravel()), _ranks(second.ravel()))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[positions]
