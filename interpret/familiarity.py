"""Whether an image is like those that a network knows: a softmax names a class for anything, a pagoda included."""

from dataclasses import dataclass

import numpy as np

SHARE = 0.05  # of the images that the network knows are called unlike them: what is unlike is told apart by this much


def energy_score(logits: np.ndarray) -> np.ndarray:
    """The energy score of each image, (n,), from its logits (n, classes): the logarithm of the sum of their
    exponentials.

    The negative energy of Liu, Wang, Owens and Li, "Energy-based Out-of-distribution Detection",
    https://arxiv.org/abs/2010.03759, at temperature 1: small if no class has a large logit. Unlike the largest class
    probability, it also falls if all logits fall together. A single logit (binary) is treated as half of the difference
    of two.
    """
    logits = np.asarray(logits, np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([-logits, logits], axis=1) / 2
    largest = logits.max(axis=1, keepdims=True)
    return (largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)))[:, 0]


@dataclass(frozen=True)
class Familiarity:
    """The energy scores of a network on images like those it was trained on."""

    scores: np.ndarray  # (n,) of these images

    @property
    def threshold(self) -> float:
        """The score below which the lowest SHARE of these images lie."""
        return float(np.quantile(self.scores, SHARE))

    def unlike(self, logits: np.ndarray) -> np.ndarray:
        """Whether each image, given its logits (n, classes), scores below the threshold: booleans (n,)."""
        return energy_score(logits) < self.threshold


def separation(known: np.ndarray, strange: np.ndarray) -> float:
    """The probability that a `known` image scores above a `strange` one, ties counted half: the area under the ROC
    curve.

    Both are scores, (n,) and (m,). 0.5 is chance; at 1 every known image scores above every strange one.
    """
    values, positions = np.unique(np.concatenate([known, strange]), return_inverse=True)
    below = np.bincount(positions[len(known) :], minlength=len(values))
    ranks_below = np.cumsum(below) - below
    return float((ranks_below + below / 2)[positions[: len(known)]].mean() / len(strange))
