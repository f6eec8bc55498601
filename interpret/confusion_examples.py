"""Which images stand for each confusion."""

from collections.abc import Sequence

import numpy as np


def examples_of_confusions(
    true: Sequence[int], predicted: Sequence[int], confidence: Sequence[float], classes: int, *, count: int = 4
) -> np.ndarray:
    """The images of each true class that were taken for each class, the most confident first.

    `true`, `predicted` and `confidence` are (n,); gives indices into them, (classes, classes, count): a row a true
    class, a column a predicted one, -1 where there are no more. Of equals the earlier image comes first.
    """
    true, predicted = np.asarray(true, int), np.asarray(predicted, int)
    order = np.argsort(-np.asarray(confidence, float), kind="stable")
    found = np.full((classes, classes, count), -1)
    taken = np.zeros((classes, classes), int)
    for image in order:
        cell = true[image], predicted[image]
        if taken[cell] < count:
            found[(*cell, taken[cell])] = image
            taken[cell] += 1
    return found
