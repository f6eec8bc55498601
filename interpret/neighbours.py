"""Images as vectors in the feature space of a layer, and the nearest ones to each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError
from convlens.core.progress import Progress
from convlens.interpret.unit_pass import Batch, UnitLayer, unit_pass
from convlens.models.inspection.batches import image_count, labelled_batches
from convlens.models.inspection.graph import UNCHANGED
from convlens.models.inspection.inspection import Inspection


@dataclass(frozen=True)
class Neighbours:
    """The images of a split that are nearest to each of q images in a layer, the nearest first.

    `images[rows[query, rank]]` is the image.
    """

    layer: str
    queries: np.ndarray  # (q, height, width, channels) the images whose neighbours these are
    searched: int  # how many images of the split were looked at
    distances: np.ndarray  # (q, count) float32: 1 less the cosine, from 0 to 2
    index: np.ndarray  # (q, count) which image of those that were looked at, in their order
    rows: np.ndarray  # (q, count) into `images` and `labels`
    images: np.ndarray  # (shown, height, width, channels), each image once, by its index
    labels: np.ndarray | None  # (shown,)

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `neighbours` (q, count, height, width, channels) beside the queries."""
        neighbours = self.images[self.rows]
        return {"queries": self.queries, "neighbours": neighbours, "distances": self.distances, "index": self.index}


@dataclass(frozen=True)
class Embedding:
    """Images as vectors of a layer's features."""

    layer: str
    vectors: np.ndarray  # (n, units) float32
    images: np.ndarray  # (n, height, width, channels)
    labels: np.ndarray | None  # (n,)


def nearest_neighbours(
    model: keras.Model,
    queries: np.ndarray,
    batches: Any,
    layer: str,
    *,
    count: int = 8,
    skip: Sequence[int] | None = None,
    by_cell: bool = False,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Neighbours:
    """The `count` images of a split that are nearest to each of `queries` (q, height, width, channels), in one pass.

    Distance is 1 less the cosine between features: of a layer with maps their means over the image or, with
    `by_cell`, all their values, so that images must match cell by cell. `batches` are as for `unit_pass`;
    nothing is kept but the best so far. `skip` (q,) are the queries' own indices in the split, -1 for none, which are
    left out. Of equals the earlier image wins. An image without any features is at distance 1 from every other.

    Raises ModelError for a layer that does not exist.
    """
    of_queries = _Vectors(by_cell)
    unit_pass(model, queries, [layer], collectors=[of_queries], batch_size=batch_size)
    nearest = _Nearest(queries, np.concatenate(of_queries.vectors), count, skip, by_cell)
    return unit_pass(model, batches, [layer], collectors=[nearest], batch_size=batch_size, progress=progress)[0]


def embedding(
    model: keras.Model,
    batches: Any,
    layer: str,
    *,
    most: int = 2000,
    by_cell: bool = False,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Embedding:
    """The features of the first `most` images of a split in a layer, a vector each, for a projector or a table.

    Of a layer with maps: their means over the image or, with `by_cell`, all their values. `progress` counts images,
    and so do those of `nearest_neighbours` and `unit_pass`.
    """
    points = _Vectors(by_cell)
    count = image_count(batches)
    total = None if count is None else min(count, most)
    first = _first(labelled_batches(batches, batch_size, Inspection(model).image_shape), most)
    advance = None if progress is None else (lambda done, _=None, /: progress(done, total))
    unit_pass(model, first, [layer], collectors=[points], batch_size=batch_size, progress=advance)
    known = [labels for labels in points.labels if labels is not None]
    labels = np.concatenate(known) if known else None
    return Embedding(layer, np.concatenate(points.vectors), np.concatenate(points.images), labels)


def features_layer(model: keras.Model) -> str:
    """The layer whose features the logits are made of: the last with a vector before the last dense layer.

    Where no such layer is, the last convolution. Raises ModelError where there is none either.
    """
    graph = Inspection(model).graph()
    dense = [at for at, node in enumerate(graph.nodes) if isinstance(node.layer, keras.layers.Dense)]
    before_logits = graph.nodes[: dense[-1]] if dense else []
    vectors = [
        node
        for node in before_logits
        if [len(shape) for shape in node.output_shapes] == [2] and not isinstance(node.layer, UNCHANGED)
    ]
    candidates = vectors or graph.convolutions()
    if not candidates:
        raise ModelError(f"model '{model.name}' has no layer of features before its logits")
    return candidates[-1].name


def _first(batches: Iterable, most: int) -> Iterator:
    """Batches of no more than `most` images; what comes after them is not read."""
    left = most
    for batch in batches:
        yield tuple(None if array is None else array[:left] for array in batch)
        left -= len(batch[0])
        if left <= 0:
            return


def _features(maps: np.ndarray, by_cell: bool) -> np.ndarray:
    """Maps (n, rows, columns, units) as vectors (n, ...)."""
    return maps.reshape(len(maps), -1) if by_cell else maps.mean(axis=(1, 2))


class _Vectors:
    """Keeps the vector of every image, and the image."""

    def __init__(self, by_cell: bool):
        self._by_cell = by_cell

    def start(self, layers: Mapping[str, UnitLayer]) -> None:
        self.vectors: list[np.ndarray] = []
        self.images: list[np.ndarray] = []
        self.labels: list[np.ndarray | None] = []

    def add(self, batch: Batch) -> None:
        (maps,) = batch.maps.values()
        self.vectors.append(_features(maps, self._by_cell))
        self.images.append(batch.images)
        self.labels.append(batch.labels)

    def result(self) -> None:
        return None


class _Nearest:
    """Keeps the images that are among any query's nearest so far, each once."""

    def __init__(self, queries: np.ndarray, vectors: np.ndarray, count: int, skip: Sequence[int] | None, by_cell: bool):
        self._images, self._searched = np.asarray(queries), 0
        self._queries, self._count, self._by_cell = _directions(vectors), count, by_cell
        self._skip = np.full(len(queries), -1) if skip is None else np.asarray(skip, int)
        if self._skip.shape != (len(queries),):
            raise ModelError(f"skip={skip} for {len(queries)} images; expected an index for each")

    def start(self, layers: Mapping[str, UnitLayer]) -> None:
        (self._layer,) = layers
        self._distances = np.empty((len(self._queries), 0), np.float32)
        self._index = np.empty((len(self._queries), 0), int)
        self._kept: dict[int, tuple[np.ndarray, Any]] = {}

    def add(self, batch: Batch) -> None:
        (maps,) = batch.maps.values()
        self._searched += len(batch.images)
        distances = 1 - self._queries @ _directions(_features(maps, self._by_cell)).T
        index = np.broadcast_to(batch.start + np.arange(len(batch.images)), distances.shape)
        distances = np.where(index == self._skip[:, None], np.inf, distances)
        distances = np.concatenate([self._distances, distances], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, : self._count]
        self._distances = np.take_along_axis(distances, order, axis=1)
        self._index = np.take_along_axis(np.concatenate([self._index, index], axis=1), order, axis=1)
        wanted = set(np.unique(self._index).tolist())
        self._kept = {at: kept for at, kept in self._kept.items() if at in wanted}
        for row in range(len(batch.images)):
            if batch.start + row in wanted:
                label = None if batch.labels is None else batch.labels[row]
                self._kept[batch.start + row] = (batch.images[row].copy(), label)  # a view would hold the whole batch

    def result(self) -> Neighbours:
        # A query's own image is the last, where a split has no more than `count` images.
        shown = self._index.shape[1] - int(np.isinf(self._distances).any())
        distances, index = self._distances[:, :shown], self._index[:, :shown]
        once, rows = np.unique(index, return_inverse=True)
        images, labels = zip(*(self._kept[at] for at in once.tolist()), strict=True)
        return Neighbours(
            layer=self._layer,
            queries=self._images,
            searched=self._searched,
            distances=np.maximum(distances, 0).astype(np.float32),
            index=index,
            rows=rows.reshape(index.shape),
            images=np.stack(images),
            labels=None if labels[0] is None else np.array(labels),
        )


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one; a zero one stays zero."""
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
