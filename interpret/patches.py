"""What each unit responds to: the places in the images of a split that excite it most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import UserError
from convlens.core.progress import Progress
from convlens.interpret.receptive_field import ReceptiveField
from convlens.interpret.unit_pass import Batch, UnitLayer, unit_pass


@dataclass(frozen=True)
class TopPatches:
    """The images that excite each unit of a layer most, each once, and where; the most exciting first.

    `images[rows[unit, rank]]` is the image, `boxes[unit, rank]` the part of it that the unit sees there.
    """

    layer: str
    field: ReceptiveField
    values: np.ndarray  # (units, count) float32: the largest activation in the image
    index: np.ndarray  # (units, count) which image of those that were looked at, in their order
    cells: np.ndarray  # (units, count, 2) row and column in the unit's map
    boxes: np.ndarray  # (units, count, 4) top, left, bottom, right in pixels, reaching into the padding
    rows: np.ndarray  # (units, count) into `images`, `labels` and `masks`
    images: np.ndarray  # (shown, height, width, channels), each image once, by its index
    labels: np.ndarray | None  # (shown,)
    masks: np.ndarray | None  # (shown, height, width), if there were any

    @property
    def dead(self) -> np.ndarray:
        """(units,) which are nowhere above zero."""
        return self.values[:, 0] <= 0

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        shown = {"images": self.images, "rows": self.rows, "boxes": self.boxes}
        return shown | {"values": self.values, "places": self.cells, "index": self.index}

    def patch(self, unit: int, rank: int) -> np.ndarray:
        """What the unit sees of the image, (height, width, channels), without what lies outside the image."""
        top, left, bottom, right = np.maximum(self.boxes[unit, rank], 0)
        return self.images[self.rows[unit, rank], top:bottom, left:right]


def top_patches(
    model: keras.Model,
    batches: Any,
    layers: Sequence[str] | None = None,
    *,
    count: int = 9,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> dict[str, TopPatches]:
    """The `count` images of a split that excite each unit most, and where, by layer; all units in one pass.

    `batches` and `layers` are as for `unit_pass`, by which other questions are answered in the same pass. An image
    counts by its strongest place, and only once, so that a unit is not explained by one image. Of equals the earlier
    image wins. Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks",
    https://arxiv.org/abs/1311.2901; Girshick et al., https://arxiv.org/abs/1311.2524, section 3.1.
    """
    collector = PatchesCollector(count)
    return unit_pass(model, batches, layers, collectors=[collector], batch_size=batch_size, progress=progress)[0]


class PatchesCollector:
    """Gives `{layer: TopPatches}`; keeps the images that are among any unit's best so far, each once."""

    def __init__(self, count: int = 9):
        if count < 1:
            raise UserError(f"count={count}; expected at least one image a unit")
        self._count = count

    def start(self, layers: Mapping[str, UnitLayer]) -> None:
        self._bests = {name: _Best(layer, self._count) for name, layer in layers.items()}
        self._kept: dict[int, tuple[np.ndarray, Any, Any]] = {}

    def add(self, batch: Batch) -> None:
        for name, maps in batch.maps.items():
            self._bests[name].add(maps, batch.start)
        wanted = set(np.unique(np.concatenate([best.index.ravel() for best in self._bests.values()])).tolist())
        self._kept = {index: kept for index, kept in self._kept.items() if index in wanted}
        for row in range(len(batch.images)):
            if batch.start + row in wanted:
                # A copy: a view would hold the whole batch.
                label, mask = (None if of is None else of[row].copy() for of in (batch.labels, batch.masks))
                self._kept[batch.start + row] = batch.images[row].copy(), label, mask

    def result(self) -> dict[str, TopPatches]:
        return {name: self._patches(best) for name, best in self._bests.items()}

    def _patches(self, best: "_Best") -> TopPatches:
        shown, rows = np.unique(best.index, return_inverse=True)
        images, labels, masks = zip(*(self._kept[index] for index in shown.tolist()), strict=True)
        field = best.layer.field
        boxes = [field.box(row, column) for row, column in best.cells.reshape(-1, 2).tolist()]
        return TopPatches(
            layer=best.layer.name,
            field=field,
            values=best.values,
            index=best.index,
            cells=best.cells,
            boxes=np.array(boxes, int).reshape(*best.index.shape, 4),
            rows=rows.reshape(best.index.shape),
            images=np.stack(images),
            labels=None if labels[0] is None else np.array(labels),
            masks=None if masks[0] is None else np.stack(masks),
        )


class _Best:
    """The best images of each unit of a layer so far."""

    def __init__(self, layer: UnitLayer, count: int):
        self.layer, self._count = layer, count
        self.values = np.empty((layer.units, 0), np.float32)
        self.index = np.empty((layer.units, 0), int)
        self.cells = np.empty((layer.units, 0, 2), int)

    def add(self, maps: np.ndarray, start: int) -> None:
        flat = maps.reshape(len(maps), -1, maps.shape[-1])
        best = flat.argmax(axis=1)  # (n, units)
        values = np.take_along_axis(flat, best[:, None], axis=1)[:, 0].T
        cells = np.stack(np.divmod(best.T, maps.shape[2]), axis=-1)
        index = np.broadcast_to(start + np.arange(len(maps)), values.shape)
        values = np.concatenate([self.values, values], axis=1)
        # Earlier images stand first, and a stable sort leaves them before their equals; NaN is sorted last.
        order = np.argsort(-values, axis=1, kind="stable")[:, : self._count]
        self.values = np.take_along_axis(values, order, axis=1)
        self.index = np.take_along_axis(np.concatenate([self.index, index], axis=1), order, axis=1)
        self.cells = np.take_along_axis(np.concatenate([self.cells, cells], axis=1), order[..., None], axis=1)
