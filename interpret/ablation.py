"""What if this unit did not exist: the classes that suffer when units are silenced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError
from convlens.core.progress import Progress
from convlens.interpret.classifier import Network, prepared
from convlens.models.inspection.batches import image_count, labelled_batches
from convlens.models.inspection.graph import Graph, Node, Tap
from convlens.models.inspection.taps import Change, in_call


@dataclass(frozen=True)
class Scores:
    """How well a network classifies the images when silenced in each of m ways."""

    accuracy: np.ndarray  # (m,)
    class_accuracy: np.ndarray  # (m, classes) share of each true class that is right; NaN for a class without images
    loss: np.ndarray  # (m,) cross-entropy in nats, mean over images


@dataclass(frozen=True)
class Ablation:
    """What silencing each of some units of a layer does; changes are after less before."""

    layer: str
    units: np.ndarray  # (m,)
    images: int
    intact: Scores  # of the network as it is, m = 1
    silenced: Scores
    together: "ShareAblation | None" = None  # what is left when several of the units are silenced together

    @property
    def accuracy_change(self) -> np.ndarray:
        """(m,)"""
        return self.silenced.accuracy - self.intact.accuracy

    @property
    def class_change(self) -> np.ndarray:
        """(m, classes), in the accuracy of each true class."""
        return self.silenced.class_accuracy - self.intact.class_accuracy

    @property
    def loss_change(self) -> np.ndarray:
        """(m,) in nats."""
        return self.silenced.loss - self.intact.loss

    def ranked(self) -> np.ndarray:
        """Positions in `units`, the most needed first: by the fall in accuracy, and where that is equal by the loss."""
        return np.lexsort((-self.loss_change, self.accuracy_change))

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the units, the most needed first, the changes without each, and the arrays of `together`."""
        order = self.ranked()
        names = ("units", "accuracy_change", "class_change", "loss_change")
        arrays = {name: getattr(self, name)[order] for name in names}
        return arrays | (self.together.arrays() if self.together else {})


@dataclass(frozen=True)
class ShareAblation:
    """What is left when a growing share of a layer is silenced."""

    layer: str
    counts: np.ndarray  # (s,) how many units are silenced
    units: int  # of how many
    ordered: Scores  # (s,) the first units of an order
    random: Scores  # (repeats * s,) units drawn at random, one repeat after the other
    repeats: int

    @property
    def random_accuracy(self) -> np.ndarray:
        """(repeats, s)"""
        return self.random.accuracy.reshape(self.repeats, -1)

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: `counts` (s,), and the accuracy that is left, `ordered` (s,) and `random` (repeats, s)."""
        return {"counts": self.counts, "ordered": self.ordered.accuracy, "random": self.random_accuracy}


def ablate(
    model: keras.Model | Network,
    batches: Any,
    layer: str,
    units: Sequence[int] | None = None,
    *,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Ablation:
    """The change in accuracy, overall and by class, when each of `units` (None: all) is silenced alone.

    `batches` are labelled ones as for `unit_pass`. A silenced unit gives zero after its activation; the model is not
    changed. What comes before the layer is computed once a batch, what comes after it once a unit. `progress` counts
    images. Morcos et al., "On the importance of single directions for generalization",
    https://arxiv.org/abs/1803.06959.

    Raises ModelError for a layer or units that do not exist, and for images without labels.
    """
    network = prepared(model)
    silencer, silenced = _Silencer(network, layer), network.layer(layer).units(units)
    keep = np.ones((1 + len(silenced), silencer.units), np.float32)
    keep[1 + np.arange(len(silenced)), silenced] = 0
    scores, images = silencer.scores(batches, keep, batch_size, progress)
    return Ablation(layer, silenced, images, _rows(scores, slice(0, 1)), _rows(scores, slice(1, None)))


def ablate_shares(
    model: keras.Model | Network,
    batches: Any,
    layer: str,
    order: Sequence[int] | np.ndarray,
    *,
    shares: Sequence[float] = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
    repeats: int = 5,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> ShareAblation:
    """What is left when a share of a layer's units is silenced: the first of an `order`, and as many at random.

    `order` holds every unit of the layer, say the most needed first (`ablation.units[ablation.ranked()]`) or the most
    selective. The gap to the units drawn at random says whether the order means anything. The same seed draws the same.
    With `dataclasses.replace(ablation, together=...)` both stand in one figure.
    """
    silencer = _Silencer(prepared(model), layer)
    if sorted(np.asarray(order).tolist()) != list(range(silencer.units)):
        raise ModelError(f"order of {len(order)} units; expected each of the {silencer.units} of layer '{layer}' once")
    counts = np.unique([round(share * silencer.units) for share in shares])
    generator = np.random.default_rng(seed)
    orders = [np.asarray(order), *(generator.permutation(silencer.units) for _ in range(repeats))]
    keep = np.ones((len(orders), len(counts), silencer.units), np.float32)
    for rows, silenced in zip(keep, orders, strict=True):
        for row, count in zip(rows, counts, strict=True):
            row[silenced[:count]] = 0
    scores, _ = silencer.scores(batches, keep.reshape(-1, silencer.units), batch_size, progress)
    ordered, random = _rows(scores, slice(0, len(counts))), _rows(scores, slice(len(counts), None))
    return ShareAblation(layer, counts, silencer.units, ordered, random, repeats)


class _Silencer:
    """A network whose maps of one layer are computed once; the layers behind it are run with some units set to zero."""

    def __init__(self, network: Network, layer: str):
        self._network, self._layer = network, layer
        self.units = self._node(network.graph()).output_shapes[0][-1]

    def scores(self, batches: Any, keep: np.ndarray, batch_size: int, progress: Progress | None) -> tuple[Scores, int]:
        """The scores for each row of `keep` (m, units), ones and zeros that multiply the units, and the number of
        images.
        """
        classes, total = self._network.classes, image_count(batches)
        right, seen, loss = np.zeros((len(keep), classes)), np.zeros(classes), np.zeros(len(keep))
        for images, labels, _ in labelled_batches(batches, batch_size, self._network.image_shape):
            if labels is None:
                raise ModelError("ablation needs labels; give batches of (images, labels)")
            images = images.astype(np.float32, copy=False)
            seen += np.bincount(labels, minlength=classes)
            for row, logits in enumerate(self._logits(images, keep)):
                right[row] += np.bincount(labels[logits.argmax(axis=1) == labels], minlength=classes)
                loss[row] += _cross_entropy(logits, labels)
            if progress:
                progress(int(seen.sum()), total)
        if not seen.any():
            raise ModelError("there are no images")
        shares = np.divide(right, seen, out=np.full(right.shape, np.nan), where=seen > 0)
        return Scores(right.sum(axis=1) / seen.sum(), shares, loss / seen.sum()), int(seen.sum())

    def _logits(self, images: np.ndarray, keep: np.ndarray) -> Iterator[np.ndarray]:
        """Logits (n, classes) of images for each row of `keep`."""
        network, size = self._network, images.shape[1:3]
        graph = network.graph(size)
        node = self._node(graph)
        number = graph.earlier_calls(node)

        def silenced(values, images, maps, keep):
            giving = in_call(number, lambda output, _: ops.cast(maps * keep, output.dtype))
            changes = [*network.changes(size), Change(node.layer, "call", giving)]
            return [network.forward(images, values, changes)[0]]

        maps = network.maps(images, {"maps": Tap(node.name)})["maps"]
        shapes = [(None, *images.shape[1:]), (None, *maps.shape[1:]), keep.shape[1:]]
        for row in keep:
            # Nothing that leads only to the given maps is computed: both backends drop what no output needs.
            yield network.call(("silenced", node.name, size), silenced, images, maps, row, shapes=shapes)[0]

    def _node(self, graph: Graph) -> Node:
        return graph.node(graph.unit_tap(graph.node(self._layer)).call)


def _rows(scores: Scores, rows: slice) -> Scores:
    return Scores(scores.accuracy[rows], scores.class_accuracy[rows], scores.loss[rows])


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return float(np.sum(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]))
