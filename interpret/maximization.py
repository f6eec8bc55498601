"""What would excite a unit most: an image made for it by gradient ascent, starting from seeded noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError
from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, prepared
from convlens.interpret.relus import revived
from convlens.interpret.spectral_image import SpectralImage
from convlens.models.inspection.batches import image_count, labelled_batches
from convlens.models.tensors import with_gradient

MOMENTUM, SCALING = 0.9, 0.999  # of Adam, https://arxiv.org/abs/1412.6980


@dataclass(frozen=True)
class Maximization:
    """Images made for units, and how strongly each excites its own."""

    layer: str | None  # None: the units are classes
    units: np.ndarray  # (units,)
    cell: tuple[int, int] | None  # in the maps of the layer; None: their mean was climbed
    value_range: tuple[float, float]
    images: np.ndarray  # (units, height, width, channels) float32, in the value range
    activations: np.ndarray  # (units,) float32, as `unit_activations` finds them
    history: np.ndarray  # (steps, units) float32: the activation of the shifted image at each step

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        return {"units": self.units, "images": self.images, "activations": self.activations}


@dataclass(frozen=True)
class StrongestImages:
    """Of many images, the one that excites each of some units most, and how strongly."""

    images: np.ndarray  # (units, height, width, channels)
    activations: np.ndarray  # (units,) float32, as `unit_activations` finds them

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `best` and `best_activations`."""
        return {"best": self.images, "best_activations": self.activations}


def activation_maximization(
    model: keras.Model | Network,
    units: Sequence[int],
    *,
    layer: str | None = None,
    cell: tuple[int, int] | None = None,
    image_size: tuple[int, int] | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    steps: int = 256,
    learning_rate: float = 0.05,
    jitter: float = 0.06,
    seed: int = 0,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Maximization:
    """An image for each of `units` that excites it as much as gradient ascent can.

    Without `layer` the units are classes, and their logits are climbed. With one they are its channels: the mean of a
    channel's map, or a neuron, the map's value at one `cell` (row, column). What the layer's ReLU receives is climbed,
    where there is one, because a unit that is off has no gradient behind it; while every ReLU before it is off, a tenth
    of the gradient passes.

    The image has the model's own size, grey or RGB; `image_size` (height, width) is for models that take any. It is
    parameterised by its spectrum (see interpret/spectral_image.py) and stays in `value_range`, which is to be what the
    model takes. In each step it is shifted at random, wrapping around, by up to `jitter` of its sides. The same seed
    gives the same image, whatever units it is made with. Olah, Mordvintsev and Schubert, "Feature Visualization",
    https://distill.pub/2017/feature-visualization; first done by Erhan et al., "Visualizing Higher-Layer Features of
    a Deep Network" (2009).

    Raises ModelError for a unit, a cell or a layer that does not exist.
    """
    network = prepared(model)
    size = _image_size(network, image_size)
    goal = _Goal(network, layer, cell, size)
    goal.check(units)
    spectral_image = SpectralImage(size, network.graph().image_shape[2], value_range)
    shifts = np.random.default_rng(seed).uniform(-jitter, jitter, (steps, 2)) * size
    climb = _Climb(network, goal, spectral_image, np.rint(shifts).astype(np.float32), learning_rate)
    batches, history = [], []
    for start in range(0, len(units), batch_size):
        chosen = np.asarray(units[start : start + batch_size], np.int32)
        advance = None if progress is None else partial(_advance, progress, start, len(chosen), len(units), steps)
        painted, activations = climb(spectral_image.start(seed, chosen), chosen, advance)
        batches.append(painted)
        history.append(activations)
    images = np.concatenate(batches).astype(np.float32, copy=False)
    activations = goal.activations(images, batch_size)[np.arange(len(units)), np.asarray(units)]
    return Maximization(layer, np.array(units), cell, value_range, images, activations, np.concatenate(history, axis=1))


def unit_activations(
    model: keras.Model | Network,
    images: Any,
    *,
    layer: str | None = None,
    cell: tuple[int, int] | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """What `activation_maximization` climbs, of every unit, for given images: shape (n, units), float32."""
    network = prepared(model)
    images = network.images(images)
    return _Goal(network, layer, cell, images.shape[1:3]).activations(images, batch_size)


def strongest_images(
    model: keras.Model | Network,
    batches: Any,
    units: Sequence[int],
    *,
    layer: str | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> StrongestImages:
    """Of the images of a split, the one that excites each of `units` most, by what `unit_activations` gives.

    `batches` are as for `unit_pass`; of equals the earlier image wins. Without `layer` the units are classes.
    `progress` counts images. Raises ModelError where there are no images.
    """
    network = prepared(model)
    best, activations = None, np.full(len(units), -np.inf, np.float32)
    seen, total = 0, image_count(batches)
    for images, _, _ in labelled_batches(batches, batch_size, network.image_shape):
        of_batch = unit_activations(network, images, layer=layer, batch_size=batch_size)[:, units]
        best = np.zeros((len(units), *images.shape[1:]), images.dtype) if best is None else best
        better = of_batch.max(axis=0) > activations
        best[better] = images[of_batch.argmax(axis=0)[better]]
        activations = np.maximum(activations, of_batch.max(axis=0))
        seen += len(images)
        if progress:
            progress(seen, total)
    if best is None:
        raise ModelError("there are no images")
    return StrongestImages(best, activations)


class _Goal:
    """The activations that an image is optimized for, one for each unit."""

    def __init__(self, network: Network, layer: str | None, cell: tuple[int, int] | None, size: tuple[int, int]):
        self._network, self._layer, self._cell = network, layer, cell
        self._node, self.units = None, network.classes
        if layer is None:
            if cell is not None:
                raise ModelError(f"cell {cell} is one of the maps of a layer; name the layer")
            return
        graph = network.graph(size)
        node = graph.node(layer)
        # Where normalization stands between a convolution and its ReLU, that is what the ReLU receives.
        self._node = graph.node(graph.stages(node)["filter"].call) if node.is_convolution else node
        shape = self._node.output_shapes[0]
        self.units = shape[-1]
        if cell is not None and not (len(shape) == 4 and 0 <= cell[0] < shape[1] and 0 <= cell[1] < shape[2]):
            raise ModelError(f"cell {cell} does not exist; the output of layer '{layer}' has the shape {shape[1:]}")

    @property
    def key(self) -> tuple:
        return self._layer, self._cell

    def check(self, units: Sequence[int]) -> None:
        """Raises ModelError for a unit that does not exist, and for none at all."""
        if not len(units):
            raise ModelError("no units to make images for")
        for unit in units:
            if not 0 <= unit < self.units:
                owner = "the model has the classes" if self._layer is None else f"layer '{self._layer}' has the units"
                raise ModelError(f"unit {unit} does not exist; {owner} 0 to {self.units - 1}")

    def of(self, images: Any, values: list[Any], through_relus: Callable | None = None) -> Any:
        """The activations, shape (batch, units); traced by the backend."""
        changes = self._network.changes(images.shape[1:3], through_relus=through_relus, unrectified=self._node)
        logits, maps = self._network.forward(images, values, changes, at=self._node)
        if maps is None:
            return logits
        if self._cell is not None:
            return maps[:, self._cell[0], self._cell[1]]
        return ops.mean(maps, axis=tuple(range(1, len(maps.shape) - 1))) if len(maps.shape) > 2 else maps

    def activations(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        def activations(values, images):
            return [self.of(images, values)]

        name = ("activations", self.key, images.shape[1:3])
        return self._network.run(name, activations, [images], batch_size)[0]


@dataclass(frozen=True)
class _Climb:
    """Gradient ascent by Adam, a step for each of `shifts` (steps, 2)."""

    network: Network
    goal: _Goal
    spectral_image: SpectralImage
    shifts: np.ndarray
    learning_rate: float

    def __call__(
        self, spectra: np.ndarray, units: np.ndarray, advance: Callable[[int], None] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images (units, height, width, channels), and history (steps, units)."""
        mean, square = np.zeros_like(spectra), np.zeros_like(spectra)
        history = []
        for step, shift in enumerate(self.shifts, 1):
            slope, activations = self._slopes(spectra, shift, units)
            history.append(activations)
            mean = MOMENTUM * mean + (1 - MOMENTUM) * slope
            square = SCALING * square + (1 - SCALING) * slope**2
            steepness = np.sqrt(square / (1 - SCALING**step)) + 1e-8
            spectra = spectra + np.float32(self.learning_rate / (1 - MOMENTUM**step)) * mean / steepness
            if advance:
                advance(step)
        still = np.zeros(2, np.float32)
        return self.network.call(("paint", self.spectral_image), self._paint, spectra, still)[0], np.stack(history)

    def _slopes(self, spectra: np.ndarray, shift: np.ndarray, units: np.ndarray) -> list[np.ndarray]:
        """The gradient for each spectrum, and the activation that it has reached."""
        slope, activations = self._slopes_through(None, spectra, shift, units)
        stuck = np.logical_not(slope.any(axis=tuple(range(1, slope.ndim))))
        if stuck.any():  # every ReLU on the way is off: there is no gradient, but there may be a way
            slope = np.where(
                stuck[:, None, None, None, None], self._slopes_through(revived, spectra, shift, units)[0], slope
            )
        return [slope, activations]

    def _slopes_through(self, relus: Callable | None, *arrays: np.ndarray) -> list[np.ndarray]:
        def slopes(values, spectra, shift, units):
            def score(spectra):
                activations = self.goal.of(self.spectral_image.paint(spectra, shift), values, relus)
                activations = ops.sum(
                    activations * ops.one_hot(units, self.goal.units, dtype=activations.dtype), axis=-1
                )
                return ops.sum(activations), activations  # images do not meet, so one sum serves them all

            return with_gradient(score, spectra)

        return self.network.call(("slopes", relus, self.goal.key, self.spectral_image), slopes, *arrays)

    def _paint(self, _values, spectra, shift):
        return [self.spectral_image.paint(spectra, shift)]


def _image_size(network: Network, image_size: tuple[int, int] | None) -> tuple[int, int]:
    own = network.image_shape[:2]
    height, width = own if image_size is None else image_size
    size = (height, width)
    if height is None or width is None or any(side not in (None, given) for side, given in zip(own, size, strict=True)):
        raise ModelError(f"images of {size} pixels; the model takes {own} (None: any), so give image_size accordingly")
    return height, width


def _advance(progress: Progress, start: int, units: int, of: int, steps: int, step: int) -> None:
    progress(start * steps + step * units, of * steps)
