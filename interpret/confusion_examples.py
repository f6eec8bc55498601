"""Which images stand for each confusion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ConfusionExamples:
    """How often each class was taken for each, with a few of the images: a row a true class, a column a predicted one.

    `images[examples[true, predicted, rank]]` is the image, the most confident first.
    """

    matrix: np.ndarray  # (classes, classes) counts
    examples: np.ndarray  # (classes, classes, count) into `images`, -1 where there are no more
    images: np.ndarray  # (shown, height, width, channels) in [0, 255], each image once
    index: np.ndarray  # (shown,) which image of those that were classified, in their order

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        return {"matrix": self.matrix, "images": self.images, "examples": self.examples, "index": self.index}


def confusion_examples(
    true: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    confidence: Sequence[float] | np.ndarray,
    classes: int,
    images_of: Callable[[np.ndarray], np.ndarray],
    *,
    count: int = 4,
) -> ConfusionExamples:
    """The confusion matrix of n classified images, and the `count` most confident images in each of its cells.

    `true`, `predicted` and `confidence` are (n,); `images_of` gives images (shown, height, width, channels) by their
    indices in them (shown,), each of which is asked for once.
    """
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (np.asarray(true, int), np.asarray(predicted, int)), 1)
    examples = examples_of_confusions(true, predicted, confidence, classes, count=count)
    index, rows = np.unique(examples[examples >= 0], return_inverse=True)
    examples[examples >= 0] = rows
    return ConfusionExamples(matrix, examples, images_of(index), index)


def examples_of_confusions(
    true: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    confidence: Sequence[float] | np.ndarray,
    classes: int,
    *,
    count: int = 4,
) -> np.ndarray:
    """The images of each true class that were taken for each class, the most confident first.

    `true`, `predicted` and `confidence` are (n,); gives indices into them, (classes, classes, count): a row a true
    class, a column a predicted one, -1 where there are no more. Of equals the earlier image comes first.
    """
    true_classes, taken_for = np.asarray(true, int), np.asarray(predicted, int)
    order = np.argsort(-np.asarray(confidence, float), kind="stable")
    examples = np.full((classes, classes, count), -1)
    taken = np.zeros((classes, classes), int)
    for image in order:
        cell = true_classes[image], taken_for[image]
        if taken[cell] < count:
            examples[(*cell, taken[cell])] = image
            taken[cell] += 1
    return examples
