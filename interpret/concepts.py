"""Which unit is a wheel detector: how well each unit's strong cells cover each labelled part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError, UserError
from convlens.core.progress import Progress
from convlens.interpret.patches import TopPatches
from convlens.interpret.receptive_field import ReceptiveField
from convlens.interpret.unit_pass import Batch, UnitLayer, unit_pass
from convlens.models import feature_maps

DETECTOR = 0.04  # the overlap from which on Bau et al. call a unit a detector
# Activations are counted in bins of 1/32 of an octave, between 2^-20 and 2^20; a float's upper bits are its bin.
STEP_BITS, LOWEST, OCTAVES = 5, -20, 40
SHIFT = 23 - STEP_BITS
FIRST = (127 + LOWEST) << STEP_BITS
BINS = OCTAVES << STEP_BITS


@dataclass(frozen=True)
class ConceptScores:
    """How well the strong cells of each unit of a layer cover each labelled part of the images."""

    layer: str
    field: ReceptiveField
    images: int  # how many were looked at
    share: float  # of a unit's activations, the top of which count as strong
    names: tuple[str, ...]  # of the parts
    iou: np.ndarray  # (units, parts): pixels in both over pixels in either
    threshold: np.ndarray  # (units,) float32: at or above it a place counts as strong
    active: np.ndarray  # (units,) share of pixels, after enlarging, that are strong
    area: np.ndarray  # (parts,) share of pixels that each part takes

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        return {name: getattr(self, name) for name in ("iou", "threshold", "active", "area")}

    @property
    def concept(self) -> np.ndarray:
        """(units,) the part that each unit covers best, as an index into `names`."""
        return self.iou.argmax(axis=1)

    @property
    def score(self) -> np.ndarray:
        """(units,) the overlap with that part."""
        return self.iou.max(axis=1)

    def ranked(self, part: str | None = None) -> np.ndarray:
        """Units, best first: by their best part, or as detectors of one `part`; UserError for one that has no name."""
        if part is not None and part not in self.names:
            raise UserError(f"part {part!r}; the labelled parts are {', '.join(self.names)}")
        scores = self.score if part is None else self.iou[:, self.names.index(part)]
        return np.argsort(-scores, kind="stable")


@dataclass(frozen=True)
class Detectors:
    """Units of a layer at work on the images that excite each most: a list entry a unit, of n images."""

    units: tuple[int, ...]
    images: list[np.ndarray]  # (n, height, width, channels)
    strong: list[np.ndarray]  # (n, height, width) booleans: where the unit is strong
    masks: list[np.ndarray]  # (n, height, width) booleans: where the part is that the unit covers best


def concept_scores(
    model: keras.Model,
    batches: Any,
    names: Sequence[str],
    layers: Sequence[str] | None = None,
    *,
    share: float = 0.005,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> dict[str, ConceptScores]:
    """The overlap of each unit of each layer with each labelled part, by layer; all units in one pass.

    `batches` (with masks) and `layers` are as for `unit_pass`, by which other questions are answered in the same pass.
    Value i of a mask is the part `names[i]`; pixels with any other value count nowhere. After Bau et al., "Network
    Dissection", https://arxiv.org/abs/1704.05796: a unit's threshold is what the top `share` of its activations reach,
    over all places of all images; its maps are enlarged to the mask by linear interpolation between the centres of the
    units' receptive fields; the score is the intersection with the part over the union, counted over the whole split.

    Only activations above zero count. The threshold is taken from a histogram, and rounded down to 1/32 of an octave,
    so that somewhat more than `share` may pass; for that threshold the scores are exact.
    """
    collector = ConceptsCollector(names, share)
    return unit_pass(model, batches, layers, collectors=[collector], batch_size=batch_size, progress=progress)[0]


class ConceptsCollector:
    """Gives `{layer: ConceptScores}`; keeps a histogram for each unit and part, 10 kilobytes each."""

    def __init__(self, names: Sequence[str], share: float = 0.005):
        if not names or not 0 < share < 1:
            raise UserError(f"{len(names)} parts and share={share}; expected a name for each part, and 0 < share < 1")
        self._names, self._share = tuple(names), share

    def start(self, layers: Mapping[str, UnitLayer]) -> None:
        self._overlaps = {name: _Overlap(layer, len(self._names)) for name, layer in layers.items()}
        self._area = np.zeros(len(self._names), np.int64)

    def add(self, batch: Batch) -> None:
        if batch.masks is None:
            raise ModelError("concept scores need masks; give batches of (images, labels, parts)")
        nowhere = len(self._names)
        parts = np.where((batch.masks >= 0) & (batch.masks < nowhere), batch.masks, nowhere).astype(np.int32)
        self._area += np.bincount(parts.ravel(), minlength=nowhere + 1)[:nowhere]
        for name, maps in batch.maps.items():
            self._overlaps[name].add(maps, parts)

    def result(self) -> dict[str, ConceptScores]:
        return {name: overlap.result(self._names, self._share, self._area) for name, overlap in self._overlaps.items()}


class _Overlap:
    def __init__(self, layer: UnitLayer, parts: int):
        self._layer = layer
        self._images = self._cells = 0
        self._histogram = np.zeros((layer.units, BINS), np.int64)  # of the maps as they are
        self._pixels = np.zeros((parts, layer.units, BINS), np.int64)  # of the enlarged maps, where each part is

    def add(self, maps: np.ndarray, parts: np.ndarray) -> None:
        self._images += len(maps)
        self._cells += maps[..., 0].size
        _tally(maps.reshape(-1, maps.shape[-1]), None, self._histogram)
        for of_image, part in zip(maps, parts, strict=True):
            labelled = part.ravel() < len(self._pixels)
            enlarged = enlarge(of_image, self._layer.field, part.shape).reshape(-1, maps.shape[-1])
            _tally(enlarged[labelled], part.ravel()[labelled], self._pixels)

    def result(self, names: tuple[str, ...], share: float, area: np.ndarray) -> ConceptScores:
        reached = np.cumsum(self._histogram[:, ::-1], axis=1)[:, ::-1]  # (units, bins): places in this bin or above
        enough = reached >= share * self._cells
        # The highest bin that enough places reach; a unit that is rarely above zero is strong wherever it is.
        chosen = np.where(enough.any(axis=1), BINS - 1 - enough[:, ::-1].argmax(axis=1), 0)
        above = np.cumsum(self._pixels[..., ::-1], axis=2)[..., ::-1]  # (parts, units, bins)
        both = above[:, np.arange(len(chosen)), chosen].T  # (units, parts)
        strong = both.sum(axis=1, keepdims=True)
        either = strong + area - both
        return ConceptScores(
            layer=self._layer.name,
            field=self._layer.field,
            images=self._images,
            share=share,
            names=names,
            iou=both / np.maximum(either, 1),
            threshold=bin_edges()[chosen],
            active=strong[:, 0] / max(area.sum(), 1),
            area=area / max(area.sum(), 1),
        )


def bin_edges() -> np.ndarray:
    """The lower edge of each bin, (BINS,) float32; the first is the smallest number above zero."""
    edges = ((np.arange(BINS, dtype=np.int32) + FIRST) << SHIFT).view(np.float32)
    edges[0] = np.finfo(np.float32).tiny
    return edges


def _tally(values: np.ndarray, parts: np.ndarray | None, counts: np.ndarray) -> None:
    """Counts `values` (cells, units) above zero into `counts` (units, BINS), or (parts, units, BINS) by the part of
    each cell.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    bins = np.clip((bits >> SHIFT) - FIRST, 0, BINS - 1)
    bins += np.arange(values.shape[1], dtype=np.int32) * BINS
    if parts is not None:
        bins += (parts * (values.shape[1] * BINS))[:, None]
    np.add.at(counts.reshape(-1), bins[values >= np.finfo(np.float32).tiny], 1)


def enlarge(maps: np.ndarray, field: ReceptiveField, size: tuple[int, int]) -> np.ndarray:
    """One image's maps (rows, columns, units) brought to `size` (height, width) by linear interpolation.

    A unit's value stands at the centre of what it sees; outside the outermost centres the map goes on unchanged.
    """
    for axis, (centres, pixels, length) in enumerate(zip(field.centres(), field.image_size, size, strict=True)):
        points = (np.arange(length) + 0.5) * pixels / length - 0.5
        cells = np.interp(points, centres, np.arange(len(centres)))
        before = cells.astype(int)
        after = np.minimum(before + 1, len(centres) - 1)
        share = np.expand_dims((cells - before).astype(np.float32), (1, 2) if axis == 0 else (0, 2))
        low = maps.take(before, axis=axis)
        maps = low + share * (maps.take(after, axis=axis) - low) if share.any() else low
    return maps


def strong_cells(maps: np.ndarray, scores: ConceptScores, size: tuple[int, int]) -> np.ndarray:
    """Where each unit is strong in some images: booleans (n, height, width, units) of `size`, for pictures.

    `maps` are (n, rows, columns, units) of the scores' layer, as `models.feature_maps` gives them at detect.
    """
    return np.stack([enlarge(of_image, scores.field, size) >= scores.threshold for of_image in maps])


def detectors(
    model: keras.Model, scores: ConceptScores, patches: TopPatches, units: Sequence[int], *, count: int = 5
) -> Detectors:
    """Where `units` are strong in the `count` images that excite each most, and where the part is that each detects.

    `scores` and `patches` are of the same layer and images, the latter with masks.
    """
    units = tuple(int(unit) for unit in units)
    if not units:
        return Detectors((), [], [], [])
    if patches.masks is None:
        raise ModelError(
            "where a part is shown needs masks; collect the patches from batches of (images, labels, parts)"
        )
    rows = [patches.rows[unit, :count] for unit in units]
    stages = feature_maps(model, patches.images[np.concatenate(rows)], [scores.layer])[scores.layer]
    strong = strong_cells(stages.get("detect", stages["filter"]), scores, patches.images.shape[1:3])
    by_unit = np.split(strong, len(units))  # each unit has as many images
    return Detectors(
        units,
        [patches.images[of_unit] for of_unit in rows],
        [cells[..., unit] for unit, cells in zip(units, by_unit, strict=True)],
        [patches.masks[of_unit] == scores.concept[unit] for unit, of_unit in zip(units, rows, strict=True)],
    )
