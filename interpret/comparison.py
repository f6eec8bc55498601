"""What differs between two models: how alike their layers are, which units match, who recognises what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError, UserError
from convlens.core.progress import Progress
from convlens.interpret.assignment import best_assignment
from convlens.models.inspection.batches import image_count, labelled_batches
from convlens.models.inspection.graph import Tap
from convlens.models.inspection.images import check_images
from convlens.models.inspection.inspection import Inspection

LEAST_IMAGES = 4  # of a batch: the unbiased estimate divides by n (n - 3)


@dataclass(frozen=True)
class UnitMatch:
    """Which unit of the second model's layer does what each unit of the first's does."""

    layers: tuple[str, str]  # of the first model, of the second
    correlation: np.ndarray  # (units of the first, units of the second) of maps; NaN for a unit that never changes
    matches: np.ndarray  # (units of the first,) the partner, each used once; -1: none is left
    by_cell: bool  # whether maps were compared cell by cell, or by their means over an image

    @property
    def strengths(self) -> np.ndarray:
        """(units of the first,) the correlation with the partner; NaN where there is none, or one never changes."""
        partners = np.maximum(self.matches, 0)[:, None]
        correlation = np.take_along_axis(self.correlation, partners, axis=1)[:, 0]
        return np.where(self.matches >= 0, correlation, np.nan)


@dataclass(frozen=True)
class MatchedKernels:
    """The kernels of a layer of two models, those of the second in the order of the first."""

    match: UnitMatch
    first: np.ndarray  # (height, width, inputs, units)
    second: np.ndarray  # of the same shape; NaN where a unit, or an input, has no partner

    @property
    def difference(self) -> np.ndarray:
        """The second less the first."""
        return self.second - self.first

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `kernel`, `other`, their `difference`, and the partners of units with their `strengths`."""
        arrays = {"kernel": self.first, "other": self.second, "difference": self.difference}
        return {**arrays, "matches": self.match.matches, "strengths": self.match.strengths}


@dataclass(frozen=True)
class Agreement:
    """What two models say of the same labelled images, and where both are right."""

    confusion: np.ndarray  # (2, classes, classes) counts: model, true class, predicted class
    both: np.ndarray  # (2, 2) counts: the first is wrong or right, the second is wrong or right

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        return {"confusion": self.confusion, "both": self.both}

    @property
    def accuracy(self) -> np.ndarray:
        """(2,)"""
        return np.trace(self.confusion, axis1=1, axis2=2) / self.confusion[0].sum()

    @property
    def class_accuracy(self) -> np.ndarray:
        """(2, classes) share of each true class that is right; NaN for a class without images."""
        right, total = np.diagonal(self.confusion, axis1=1, axis2=2), self.confusion.sum(axis=2)
        return np.divide(right, total, out=np.full(right.shape, np.nan), where=total > 0)


@dataclass(frozen=True)
class Comparison:
    """What differs between two models, on the same images."""

    layers: tuple[tuple[str, ...], tuple[str, ...]]
    images: int
    similarity: np.ndarray  # (layers of the first, layers of the second) linear CKA
    units: dict[tuple[str, str], UnitMatch]
    agreement: Agreement | None  # None without labels

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the similarity of layers."""
        return {"similarity": self.similarity}


def compare(
    first: keras.Model,
    second: keras.Model,
    batches: Any,
    layers: Sequence[str] | None = None,
    second_layers: Sequence[str] | None = None,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Comparison:
    """How alike two models are on the same images, after one pass of each.

    `batches` are as for `unit_pass`, both models take the same images; labels are needed for `agreement` alone.
    `layers` of the first and `second_layers` (None: every convolution) are compared pairwise by linear CKA of all their
    values; units are matched within `pairs` (None: layers of the same name). What is kept grows with layers and units
    only.

    CKA: Kornblith et al., "Similarity of Neural Network Representations Revisited", https://arxiv.org/abs/1905.00414;
    as a ratio of sums of unbiased estimates over batches: Nguyen, Raghu and Kornblith,
    https://arxiv.org/abs/2010.15327. It is 1 for layers that are the same up to a rotation and a scale, about 0 for
    unrelated ones, and, being an estimate, may fall a little below 0. Matched units: Li et al., "Convergent Learning",
    https://arxiv.org/abs/1511.07543; the sum of correlations is the largest that any pairing has.

    `progress` counts images. Raises ModelError for layers that do not exist, images that do not suit both models, and
    fewer than 4 images.
    """
    inspections = Inspection(first), Inspection(second)
    sides: tuple[_Side, _Side] | None = None
    agreement: _Agreement | None = None
    seen, total = 0, image_count(batches)
    for images, labels, _ in _full_batches(labelled_batches(batches, batch_size, inspections[0].image_shape)):
        if sides is None:
            check_images(images, inspections[1].image_shape)
            size = images.shape[1:]
            sides = _Side(inspections[0], layers, size), _Side(inspections[1], second_layers, size)
            similarity = _Similarity(sides[0].layers, sides[1].layers)
            units = {pair: _Moments() for pair in _pairs(sides, pairs)}
        (maps, logits), (second_maps, second_logits) = (side(images) for side in sides)
        similarity.add(maps, second_maps)
        for (layer, partner), moments in units.items():
            moments.add(maps[layer], second_maps[partner])
        if labels is not None and logits is not None and second_logits is not None:
            agreement = agreement or _Agreement(logits.shape[1], second_logits.shape[1])
            agreement.add(labels, logits.argmax(axis=1), second_logits.argmax(axis=1))
        seen += len(images)
        if progress:
            progress(seen, total)
    if sides is None:
        raise ModelError(f"comparing needs at least {LEAST_IMAGES} images")
    return Comparison(
        layers=(sides[0].layers, sides[1].layers),
        images=seen,
        similarity=similarity.result(),
        units={pair: moments.result(pair) for pair, moments in units.items()},
        agreement=None if agreement is None else agreement.result(),
    )


def matched_kernels(
    first: np.ndarray, second: np.ndarray, match: UnitMatch, inputs: np.ndarray | None = None
) -> MatchedKernels:
    """The kernels of two models (height, width, inputs, units), those of the second in the order of the first.

    `inputs` (inputs,) are the partners of the units of the layer before, whose maps the kernels read (None: the same
    index). Raises UserError for kernels of different sizes.
    """
    return MatchedKernels(match, first, arranged_kernels(first, second, match.matches, inputs))


def arranged_kernels(
    first: np.ndarray, second: np.ndarray, matches: np.ndarray | None = None, inputs: np.ndarray | None = None
) -> np.ndarray:
    """The second model's kernels in the order of the first's, float32; NaN where there is no partner.

    Both are (height, width, inputs, units). `matches` (units,) are the partners of the units (None: the same index),
    `inputs` (inputs,) those of the units of the layer before. Raises UserError for kernels of different sizes.
    """
    if first.shape[:3] != second.shape[:3]:
        raise UserError(f"kernels of shape {first.shape} and {second.shape}; they differ in more than their units")
    units = np.arange(first.shape[3]) if matches is None else np.asarray(matches)
    inputs = np.arange(first.shape[2]) if inputs is None else np.asarray(inputs)
    if units.max(initial=-1) >= second.shape[3] or inputs.max(initial=-1) >= second.shape[2]:
        raise UserError(f"matches of units or inputs that a kernel of shape {second.shape} does not have")
    arranged = second[:, :, inputs][..., units].astype(np.float32)
    arranged[:, :, inputs < 0] = np.nan
    arranged[..., units < 0] = np.nan
    return arranged


class _Side:
    """One of the two models: its maps by layer, and its logits."""

    def __init__(self, inspection: Inspection, layers: Sequence[str] | None, image_shape: tuple[int, int, int]):
        graph = inspection.graph(image_shape[:2], image_shape[2])
        if layers is None:
            layers = [node.name for node in graph.convolutions()]
        self.layers = tuple(dict.fromkeys(layers))
        self._taps: dict[str | None, Tap] = {layer: graph.unit_tap(graph.node(layer)) for layer in self.layers}
        if [len(shape) for shape in graph.nodes[-1].output_shapes] == [2]:
            self._taps[None] = Tap(graph.nodes[-1].name)  # the model's logits
        self._inspection = inspection

    def __call__(self, images: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        arrays = self._inspection.maps(images, self._taps)
        logits = arrays.pop(None, None)
        maps = {
            layer: array.reshape(len(images), *(array.shape[1:3] if array.ndim == 4 else (1, 1)), array.shape[-1])
            for layer, array in arrays.items()
            if layer is not None
        }
        return maps, logits


class _Similarity:
    """Sums of unbiased estimates of the Hilbert-Schmidt independence criterion (HSIC), batch by batch."""

    def __init__(self, layers: Sequence[str], second_layers: Sequence[str]):
        self._cross = np.zeros((len(layers), len(second_layers)))
        self._first, self._second = np.zeros(len(layers)), np.zeros(len(second_layers))

    def add(self, maps: Mapping[str, np.ndarray], second_maps: Mapping[str, np.ndarray]) -> None:
        grams, second_grams = ([_gram(values) for values in side.values()] for side in (maps, second_maps))
        for row, gram in enumerate(grams):
            self._first[row] += _hsic(gram, gram)
            self._cross[row] += [_hsic(gram, second) for second in second_grams]
        self._second += [_hsic(gram, gram) for gram in second_grams]

    def result(self) -> np.ndarray:
        scale = np.sqrt(np.outer(np.maximum(self._first, 0), np.maximum(self._second, 0)))
        # A layer that gives the same for every image resembles nothing.
        return np.divide(self._cross, scale, out=np.full(self._cross.shape, np.nan), where=scale > 0)


def _gram(maps: np.ndarray) -> np.ndarray:
    """Products of images (n, n), with the mean image taken off, which changes no HSIC but saves digits."""
    flat = maps.reshape(len(maps), -1).astype(np.float32)
    flat = flat - flat.mean(axis=0)
    gram = (flat @ flat.T).astype(np.float64)
    np.fill_diagonal(gram, 0)
    return gram


def _hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Song et al., "Feature Selection via Dependence Maximization", JMLR 2012, of products with a zero diagonal."""
    n = len(first)
    sums, second_sums = first.sum(axis=0), second.sum(axis=0)
    mixed = sums.sum() * second_sums.sum() / ((n - 1) * (n - 2)) - 2 * sums @ second_sums / (n - 2)
    return float(((first * second).sum() + mixed) / (n * (n - 3)))


class _Moments:
    """Sums from which the correlations between the units of two layers are computed."""

    def __init__(self):
        self._count = 0
        self._centres: list[np.ndarray] = []

    def add(self, maps: np.ndarray, second_maps: np.ndarray) -> None:
        self._by_cell = maps.shape[1:3] == second_maps.shape[1:3]
        if not self._by_cell:
            maps, second_maps = (values.mean(axis=(1, 2), keepdims=True) for values in (maps, second_maps))
        sides = [values.reshape(-1, values.shape[-1]).astype(np.float32) for values in (maps, second_maps)]
        if not self._centres:
            # Products of what is far from zero and varies little would cancel to noise.
            self._centres = [values.mean(axis=0) for values in sides]
            self._sums = [np.zeros(values.shape[1]) for values in sides]
            self._squares = [np.zeros(values.shape[1]) for values in sides]
            self._products = np.zeros([values.shape[1] for values in sides])
        first, second = (values - centre for values, centre in zip(sides, self._centres, strict=True))
        self._count += len(first)
        self._products += first.T @ second
        for sums, squares, values in zip(self._sums, self._squares, (first, second), strict=True):
            sums += values.sum(axis=0, dtype=np.float64)
            squares += np.einsum("nu,nu->u", values, values, dtype=np.float64)

    def result(self, layers: tuple[str, str]) -> UnitMatch:
        means = [sums / self._count for sums in self._sums]
        covariance = self._products / self._count - np.outer(*means)
        deviations = []
        for mean, squares, centre in zip(means, self._squares, self._centres, strict=True):
            variance = squares / self._count - mean**2
            # A unit that never changes has a variance of rounding errors.
            variance[variance <= 1e-12 * (centre.astype(np.float64) ** 2 + 1e-30)] = np.nan
            deviations.append(np.sqrt(variance))
        correlation = np.clip(covariance / np.outer(*deviations), -1, 1)
        # A unit that never changes is left to what the others leave over.
        return UnitMatch(layers, correlation, best_assignment(np.nan_to_num(correlation, nan=-1.0)), self._by_cell)


class _Agreement:
    def __init__(self, classes: int, second_classes: int):
        if classes != second_classes:
            raise ModelError(f"the models tell {classes} and {second_classes} classes apart; they cannot be compared")
        self._confusion, self._both = np.zeros((2, classes, classes), np.int64), np.zeros((2, 2), np.int64)

    def add(self, labels: np.ndarray, *predictions: np.ndarray) -> None:
        for confusion, predicted in zip(self._confusion, predictions, strict=True):
            np.add.at(confusion, (labels, predicted), 1)
        np.add.at(self._both, tuple((predicted == labels).astype(int) for predicted in predictions), 1)

    def result(self) -> Agreement:
        return Agreement(self._confusion, self._both)


def _pairs(sides: Sequence[_Side], pairs: Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    if pairs is None:
        return [(name, name) for name in sides[0].layers if name in sides[1].layers]
    for pair in pairs:
        if pair[0] not in sides[0].layers or pair[1] not in sides[1].layers:
            raise ModelError(f"the pair {tuple(pair)} names a layer that is not compared")
    return [(layer, partner) for layer, partner in pairs]


def _full_batches(batches: Any) -> Any:
    """The same batches, but one that is too small for an estimate is joined to the batch before it."""
    held = None
    for batch in batches:
        if held is None:
            held = batch
        elif min(len(batch[0]), len(held[0])) < LEAST_IMAGES:
            held = tuple(None if a is None else np.concatenate([a, b]) for a, b in zip(held, batch, strict=True))
        else:
            yield held
            held = batch
    if held is not None and len(held[0]) >= LEAST_IMAGES:
        yield held
