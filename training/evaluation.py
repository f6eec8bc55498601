"""How well a model classifies, measured in one pass over a dataset."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

    from convlens.core.progress import Progress

CALIBRATION_BINS = 15  # as in Guo et al. 2017
TOP = 5
MOST_CLASSES = 2000  # whose confusion matrix stands in `evaluation.json`


@dataclass(frozen=True)
class Confusion:
    """How often images of each class were taken for each class."""

    classes: tuple[str, ...]
    matrix: np.ndarray  # (classes, classes) images by true (row) and predicted (column) class

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        return {"matrix": self.matrix}


@dataclass(frozen=True)
class Mistakes:
    """Wrongly classified images, the most confident mistakes first; arrays of n have one entry an image."""

    classes: tuple[str, ...]
    images: np.ndarray  # (n, height, width, channels) in [0, 255]
    true: np.ndarray  # (n,) true classes
    predicted: np.ndarray  # (n,) most probable classes
    confidence: np.ndarray  # (n,) their probabilities, in [0, 1]
    index: np.ndarray  # (n,) where each image stands in its split
    names: Sequence[str] = ()  # (n,) what people call each, such as its file's path

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`; names where they are known."""
        names = {"names": np.array(self.names, dtype=str)} if len(self.names) else {}
        return {key: getattr(self, key) for key in ("images", "true", "predicted", "confidence", "index")} | names


@dataclass(frozen=True)
class Evaluation:
    """The scores of a model on one split. Arrays (n,) have one entry per image, in the dataset's order."""

    classes: tuple[str, ...]
    labels: np.ndarray  # (n,) true classes
    predicted: np.ndarray  # (n,) most probable classes
    confidence: np.ndarray  # (n,) their probabilities
    matrix: np.ndarray  # (classes, classes) images by true (row) and predicted (column) class
    loss: float  # cross-entropy in nats, mean over images
    top5: float | None  # share of images whose class is among the five most probable; None up to five classes
    indices: np.ndarray  # (n,) where each image stands in its split, of which perhaps only a part was evaluated
    images_per_second: float  # through the model; compiling and reading are left out
    mirrored: bool = False  # logits are the mean of an image's own and of its mirror image's

    @property
    def images(self) -> int:
        return len(self.labels)

    @property
    def confusion(self) -> Confusion:
        return Confusion(self.classes, self.matrix)

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.matrix) / self.images)

    @property
    def support(self) -> np.ndarray:
        """(classes,) number of images of each class."""
        return self.matrix.sum(axis=1)

    @property
    def recall(self) -> np.ndarray:
        """(classes,) share of a class's images that were recognised; 0 for a class without images."""
        return _ratio(self.matrix.diagonal(), self.support)

    @property
    def precision(self) -> np.ndarray:
        """(classes,) share of the images predicted as a class that belong to it; 0 for a class that was never
        predicted."""
        return _ratio(self.matrix.diagonal(), self.matrix.sum(axis=0))

    @property
    def f1(self) -> np.ndarray:
        """(classes,) harmonic mean of precision and recall."""
        return _ratio(2 * self.precision * self.recall, self.precision + self.recall)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: the mean difference of confidence and accuracy, in 15 bins of equal width.

        Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, equation 3.
        """
        bins = np.clip(np.ceil(self.confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
        excess = np.bincount(bins, self.confidence - (self.predicted == self.labels), CALIBRATION_BINS)
        return float(np.abs(excess).sum() / self.images)

    def mistakes(self, count: int) -> np.ndarray:
        """Indices of the wrongly classified images, the most confident first, at most `count` of them."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")][:count]

    def shown_mistakes(self, images: np.ndarray, names: Sequence[str] = ()) -> Mistakes:
        """The first n mistakes with their `images` (n, height, width, channels), which are those of `mistakes(n)`.

        `names` (n,) are what people call them.
        """
        wrong = self.mistakes(len(images))
        return Mistakes(
            self.classes,
            images,
            self.labels[wrong],
            self.predicted[wrong],
            self.confidence[wrong],
            self.indices[wrong],
            names,
        )

    def report(self) -> dict[str, Any]:
        """The scores as plain numbers, for `evaluation.json`."""
        per_class = zip(
            self.classes,
            self.precision.tolist(),
            self.recall.tolist(),
            self.f1.tolist(),
            self.support.tolist(),
            strict=True,
        )
        return {
            "mirrored": self.mirrored,
            "images": self.images,
            "accuracy": self.accuracy,
            "top5_accuracy": self.top5,
            "loss": self.loss,
            "expected_calibration_error": self.calibration_error,
            "images_per_second": self.images_per_second,
            "classes": [
                {"name": name, "precision": precision, "recall": recall, "f1": f1, "support": support}
                for name, precision, recall, f1, support in per_class
            ],
            # A larger one is among the arrays behind its figure; here it would be more than is read back.
            "confusion_matrix": self.matrix.tolist() if len(self.classes) <= MOST_CLASSES else None,
            "mistakes": [
                {
                    "index": int(self.indices[index]),
                    "true": self.classes[self.labels[index]],
                    "predicted": self.classes[self.predicted[index]],
                    "confidence": float(self.confidence[index]),
                }
                for index in self.mistakes(100)
            ],
        }


def evaluate_model(
    model: "keras.Model",
    batches: Iterable[tuple[Any, Any]],
    classes: Sequence[str],
    *,
    indices: np.ndarray | None = None,
    mirrored: bool = False,
    progress: "Progress | None" = None,
) -> Evaluation:
    """Evaluates a model in one pass; memory grows by a few numbers per image.

    Args:
        model: takes images, gives logits (batch, classes).
        batches: pairs of images (batch, height, width, channels) and integer labels (batch,).
        classes: names, in the order of the logits.
        indices: the index of each image in its split; None: the batches hold the whole split, in order.
        mirrored: average the logits of each image and of its left-right mirror image.
        progress: called after each batch with the number of images so far and, if `indices` are given, of all images.
    """
    from convlens.models.tensors import computing

    per_batch: list[tuple[np.ndarray, ...]] = []
    compiled, seconds, seen = set(), 0.0, 0
    for images, truth in batches:
        images, truth = np.asarray(images), np.asarray(truth)
        if images.shape not in compiled:
            with computing():
                model.predict_on_batch(images)
            compiled.add(images.shape)
        start = time.perf_counter()
        logits = np.asarray(model.predict_on_batch(images), dtype=np.float64)
        if mirrored:
            logits = (logits + np.asarray(model.predict_on_batch(images[:, :, ::-1]), dtype=np.float64)) / 2
        seconds += time.perf_counter() - start

        log_probabilities = logits - _log_sum_exp(logits)
        own = np.take_along_axis(log_probabilities, truth[:, None], axis=1)
        confidence = np.exp(log_probabilities.max(axis=1))
        rank = (log_probabilities > own).sum(axis=1)
        per_batch.append((truth, log_probabilities.argmax(axis=1), confidence, -own[:, 0], rank))
        seen += len(truth)
        if progress:
            progress(seen, None if indices is None else len(indices))

    labels, predicted, confidence, losses, ranks = map(np.concatenate, zip(*per_batch, strict=True))
    matrix = np.bincount(labels * len(classes) + predicted, minlength=len(classes) ** 2)
    return Evaluation(
        classes=tuple(classes),
        labels=labels,
        predicted=predicted,
        confidence=confidence,
        matrix=matrix.reshape(len(classes), len(classes)),
        loss=float(losses.mean()),
        top5=float((ranks < TOP).mean()) if len(classes) > TOP else None,
        indices=np.arange(len(labels)) if indices is None else indices,
        images_per_second=len(labels) / seconds,
        mirrored=mirrored,
    )


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    highest = logits.max(axis=1, keepdims=True)
    return highest + np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
