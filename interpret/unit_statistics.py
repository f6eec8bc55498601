"""Which units are alive, what each cares for, and which of them do the same."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from convlens.core.errors import UserError
from convlens.core.progress import Progress
from convlens.interpret.unit_pass import Batch, UnitLayer, unit_pass

TWIN = 0.95  # correlation of maps from which on two units count as duplicates
COLUMNS = [
    ("layer", "U200"),
    ("unit", "i4"),
    ("active", "f8"),
    ("active_images", "f8"),
    ("mean", "f8"),
    ("maximum", "f8"),
    ("class_entropy", "f8"),
    ("selectivity", "f8"),
    ("preferred_class", "i4"),
    ("dead", "?"),
    ("twin", "i4"),
    ("twin_correlation", "f8"),
    ("twin_cosine", "f8"),
    ("preference_p", "f8"),
]


@dataclass(frozen=True)
class UnitStatistics:
    """How the units of a layer behave over a split, after their activation."""

    layer: str
    images: int  # how many were looked at
    active: np.ndarray  # (units,) share of places, over all images, where the unit is above zero
    active_images: np.ndarray  # (units,) share of images in which it is above zero anywhere
    mean: np.ndarray  # (units,) over all places
    maximum: np.ndarray  # (units,)
    class_mean: np.ndarray | None  # (classes, units) mean of what is above zero; NaN for a class without images
    correlation: np.ndarray  # (units, units) of the maps, place by place; NaN for a unit that is always the same
    cosine: np.ndarray | None  # (units, units) between kernels; None where units have none of their own
    class_images: np.ndarray | None = None  # (classes,) how many were looked at
    class_variance: np.ndarray | None = None  # (classes, units) of the images' means about their class_mean

    @property
    def dead(self) -> np.ndarray:
        """(units,) which are never above zero on these images."""
        return self.active == 0

    @cached_property
    def preferred_class(self) -> np.ndarray:
        """(units,) the class with the largest mean; -1 for a dead unit and where there are no labels."""
        if self.class_mean is None:
            return np.full(len(self.active), -1)
        return np.where(self.dead, -1, np.argmax(np.nan_to_num(self.class_mean, nan=-1.0), axis=0))

    @cached_property
    def selectivity(self) -> np.ndarray:
        """(units,) (best - others) / (best + others) of the class means; 0: all classes alike, 1: one class only.

        `others` is the mean over the other classes. Morcos et al., "On the importance of single directions for
        generalization", https://arxiv.org/abs/1803.06959. NaN for dead units and where there are not two classes.
        """
        means = self._present_classes()
        if len(means) < 2:
            return np.full(len(self.active), np.nan)
        best = means.max(axis=0)
        others = (means.sum(axis=0) - best) / (len(means) - 1)
        return _ratio(best - others, best + others)

    @cached_property
    def preference_p(self) -> np.ndarray:
        """(units,) how often chance alone sets some class as far apart as the preferred one, at most.

        One-sided, by Welch's test of the class's images against all others (Welch, "The generalization of Student's
        problem when several different population variances are involved", Biometrika 1947), times the number of
        classes that the preferred one was chosen from (Bonferroni). 1 for dead units, and where there is nothing to
        compare: without labels, and for a class of which fewer than two images were seen.
        """
        chances = np.ones(len(self.active))
        if self.class_images is None or self.class_mean is None or self.class_variance is None:
            return chances
        if (self.class_images > 0).sum() < 2:
            return chances
        counts, means = self.class_images.astype(float), np.nan_to_num(self.class_mean)
        squares = counts[:, None] * np.nan_to_num(self.class_variance)  # sums about each class's mean
        for unit in np.flatnonzero(self.preferred_class >= 0):
            best = self.preferred_class[unit]
            rest = np.flatnonzero((counts > 0) & (np.arange(len(counts)) != best))
            many, others = counts[best], counts[rest].sum()
            if many < 2 or others < 2:
                continue
            mean = (counts[rest] * means[rest, unit]).sum() / others
            spread = squares[rest, unit].sum() + (counts[rest] * (means[rest, unit] - mean) ** 2).sum()
            errors = squares[best, unit] / (many - 1) / many, spread / (others - 1) / others
            chance = _welch(means[best, unit] - mean, errors, (many - 1, others - 1))
            chances[unit] = min(1.0, chance * (counts > 0).sum())
        return chances

    @cached_property
    def class_entropy(self) -> np.ndarray:
        """(units,) in bits, how a unit's activity is spread over the classes: 0 is one class, log2(classes) all alike.

        NaN for dead units and where there are not two classes.
        """
        means = self._present_classes()
        if len(means) < 2:
            return np.full(len(self.active), np.nan)
        shares = _ratio(means, means.sum(axis=0))
        return -np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=0) + 0.0

    @cached_property
    def twin(self) -> np.ndarray:
        """(units,) the other unit whose maps are most correlated with this one's; -1 where there is none."""
        others = np.where(np.eye(len(self.active), dtype=bool) | np.isnan(self.correlation), -np.inf, self.correlation)
        return np.where(np.isinf(others.max(axis=1)), -1, others.argmax(axis=1))

    def duplicates(self, correlation: float = TWIN) -> list[tuple[int, int, float]]:
        """Pairs of units with maps at least so correlated, and their correlation, the most alike first."""
        first, second = np.nonzero(np.triu(np.nan_to_num(self.correlation, nan=-1.0) >= correlation, k=1))
        pairs = [(int(a), int(b), float(self.correlation[a, b])) for a, b in zip(first, second, strict=True)]
        return sorted(pairs, key=lambda pair: -pair[2])

    def table(self) -> np.ndarray:
        """The statistics as a structured array of COLUMNS, a row a unit."""
        rows = np.zeros(len(self.active), COLUMNS)
        rows["layer"], rows["unit"] = self.layer, np.arange(len(rows))
        for name in (*(name for name, *_ in COLUMNS[2:11]), "preference_p"):
            rows[name] = getattr(self, name)
        has_twin = self.twin >= 0
        pair = np.arange(len(rows)), np.maximum(self.twin, 0)
        rows["twin_correlation"] = np.where(has_twin, self.correlation[pair], np.nan)
        rows["twin_cosine"] = np.nan if self.cosine is None else np.where(has_twin, self.cosine[pair], np.nan)
        return rows

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the table, the correlation and, where they are known, the class means and the cosine."""
        known = {"class_mean": self.class_mean, "cosine": self.cosine}
        arrays = {"table": self.table(), "correlation": self.correlation}
        return arrays | {name: array for name, array in known.items() if array is not None}

    def _present_classes(self) -> np.ndarray:
        means = np.empty((0, len(self.active))) if self.class_mean is None else self.class_mean
        return means[~np.isnan(means).any(axis=1)]


def unit_statistics(
    model: keras.Model,
    batches: Any,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> dict[str, UnitStatistics]:
    """How each unit of each layer behaves over the images of a split, by layer.

    `batches`, with labels for what concerns classes, and `layers` are as for `unit_pass`, by which other questions are
    answered in the same pass.
    """
    return unit_pass(
        model, batches, layers, collectors=[StatisticsCollector()], batch_size=batch_size, progress=progress
    )[0]


class StatisticsCollector:
    """Gives `{layer: UnitStatistics}`; keeps sums of units, of classes by units and of units by units."""

    def start(self, layers: Mapping[str, UnitLayer]) -> None:
        self._tallies = {name: _Tally(layer) for name, layer in layers.items()}

    def add(self, batch: Batch) -> None:
        for name, maps in batch.maps.items():
            self._tallies[name].add(maps, batch.labels)

    def result(self) -> dict[str, UnitStatistics]:
        return {name: tally.result() for name, tally in self._tallies.items()}


class _Tally:
    def __init__(self, layer: UnitLayer):
        self._layer = layer
        self._images = self._places = 0
        self._active, self._active_images, self._sum = np.zeros((3, layer.units))
        self._maximum = np.full(layer.units, -np.inf)
        self._moments = np.zeros((layer.units, layer.units))
        self._centre = np.zeros(layer.units, np.float32)
        self._class_sums, self._class_squares = np.zeros((2, 0, layer.units))
        self._class_images = np.zeros(0, np.int64)

    def add(self, maps: np.ndarray, labels: np.ndarray | None) -> None:
        values = maps.reshape(len(maps), -1, maps.shape[-1])
        positive = (values > 0).sum(axis=1)
        means = values.mean(axis=1, dtype=np.float64)
        if not self._images:
            # Products of what is far from zero and varies little would cancel to noise.
            self._centre = means.mean(axis=0).astype(np.float32)
        self._images += len(maps)
        self._places += values.shape[0] * values.shape[1]
        self._active += positive.sum(axis=0)
        self._active_images += (positive > 0).sum(axis=0)
        self._sum += means.sum(axis=0) * values.shape[1]
        self._maximum = np.maximum(self._maximum, values.max(axis=(0, 1)))
        centred = (values - self._centre).reshape(-1, maps.shape[-1])
        self._moments += centred.T @ centred
        if labels is not None:
            above = means if values.min() >= 0 else np.maximum(values, 0).mean(axis=1, dtype=np.float64)
            self._add_classes(above, labels)

    def _add_classes(self, means: np.ndarray, labels: np.ndarray) -> None:
        new = int(labels.max()) + 1 - len(self._class_images)
        if new > 0:
            self._class_sums = np.pad(self._class_sums, ((0, new), (0, 0)))
            self._class_squares = np.pad(self._class_squares, ((0, new), (0, 0)))
            self._class_images = np.pad(self._class_images, (0, new))
        np.add.at(self._class_sums, labels, means)
        np.add.at(self._class_squares, labels, means**2)
        np.add.at(self._class_images, labels, 1)

    def result(self) -> UnitStatistics:
        mean = self._sum / self._places
        off = mean - self._centre
        covariance = self._moments / self._places - np.outer(off, off)
        variance = np.diagonal(covariance).copy()
        # A unit that never changes has a variance of rounding errors.
        variance[(self._active == 0) | (variance <= 1e-12 * (mean**2 + 1e-30))] = np.nan
        deviation = np.sqrt(variance)
        kernel = self._layer.kernel
        images, class_mean, class_variance = None, None, None
        if len(self._class_images):
            images = self._class_images
            class_mean = _ratio(self._class_sums, images[:, None])
            within = _ratio(self._class_squares, images[:, None]) - class_mean**2
            class_variance = np.where(within > 1e-12 * class_mean**2, within, 0)
        return UnitStatistics(
            layer=self._layer.name,
            images=self._images,
            active=self._active / self._places,
            active_images=self._active_images / self._images,
            mean=mean,
            maximum=self._maximum,
            class_mean=class_mean,
            correlation=np.clip(covariance / np.outer(deviation, deviation), -1, 1),
            cosine=None if kernel is None else kernel_cosines(kernel),
            class_images=images,
            class_variance=class_variance,
        )


def _welch(difference: float, errors: tuple[float, float], freedom: tuple[float, float]) -> float:
    """How likely a difference of two means is at least so large by chance, given their squared standard errors."""
    error = sum(errors)
    if difference <= 0:
        return 1.0
    if error == 0:  # each side is all alike: then as likely as this side being drawn from both together
        return 1.0 / math.comb(int(sum(freedom)) + 2, int(freedom[0]) + 1)
    joint = error**2 / sum(each**2 / free for each, free in zip(errors, freedom, strict=True))
    return _student_tail(difference / math.sqrt(error), joint)


def _student_tail(t: float, freedom: float) -> float:
    """The probability that Student's t exceeds `t` >= 0: the integral of its density after t = sqrt(freedom) tan(x)."""
    start = math.atan(t / math.sqrt(freedom))
    end = min(math.pi / 2, start + 40 / math.sqrt(freedom))
    nodes, weights = _GAUSS
    x = start + (nodes + 1) / 2 * (end - start)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return float(scale * (weights * np.cos(x) ** (freedom - 1)).sum() * (end - start) / 2)


_GAUSS = np.polynomial.legendre.leggauss(200)


def kernel_cosines(kernel: np.ndarray) -> np.ndarray:
    """The cosines (units, units) between the flattened kernels of a layer (height, width, inputs, units).

    A kernel of zeros has the cosine 0 to every other one.
    """
    flat = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
    norms = np.linalg.norm(flat, axis=0)
    unit = flat / np.where(norms > 0, norms, 1)
    return np.clip(unit.T @ unit, -1, 1)


def unit_table(statistics: Mapping[str, UnitStatistics], sort: str | None = None) -> np.ndarray:
    """The statistics of every unit of every layer as a structured array of COLUMNS, a row a unit.

    In the order of layers and units, or largest first by the column `sort`. Raises UserError for a column that does
    not exist.
    """
    table = np.concatenate([of_layer.table() for of_layer in statistics.values()])
    if sort is None:
        return table
    columns = [name for name, _ in COLUMNS]
    if sort not in columns:
        raise UserError(f"sort={sort!r}; the table has the columns {', '.join(columns)}")
    if sort == "layer":
        return table[np.argsort(table["layer"], kind="stable")]
    return table[np.argsort(-np.nan_to_num(table[sort].astype(np.float64), nan=-np.inf), kind="stable")]


def table_csv(table: np.ndarray) -> str:
    """A structured array as CSV text with a header; what is not known is left empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.dtype.names or ())
    for row in table:
        writer.writerow(["" if value != value else value for value in row.tolist()])
    return out.getvalue()


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, NaN where below is zero."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below != 0)
