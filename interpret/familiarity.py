"""Whether an image is like those that a network knows: a softmax names a class for anything, a pagoda included."""

from dataclasses import dataclass

import numpy as np

SHARE = 0.05  # of the images that the network knows are called unlike them: what is unlike is told apart by this much


def energy_score(logits: np.ndarray) -> np.ndarray:
    """How much a network has to say of each image, (n,), from its logits (n, classes): the log of their summed exps.

    The negative energy of Liu, Wang, Owens and Li, "Energy-based Out-of-distribution Detection",
    https://arxiv.org/abs/2010.03759, at temperature 1: small where no class has a large logit. Unlike the largest
    softmax share it is not blind to what all classes lack. A single logit is taken for half of the difference of two.
    """
    logits = np.asarray(logits, np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([-logits, logits], axis=1) / 2
    largest = logits.max(axis=1, keepdims=True)
    return (largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)))[:, 0]


@dataclass(frozen=True)
class Familiarity:
    """What a network's energy score is on images that it can be expected to know."""

    scores: np.ndarray  # (n,) of these images

    @property
    def threshold(self) -> float:
        """Below it lie the SHARE of these images with the smallest scores."""
        return float(np.quantile(self.scores, SHARE))

    def unlike(self, logits: np.ndarray) -> np.ndarray:
        """Which images, by their logits (n, classes), score below the threshold: booleans (n,)."""
        return energy_score(logits) < self.threshold


def separation(known: np.ndarray, strange: np.ndarray) -> float:
    """How often an image of the `known` scores above one of the `strange`, ties counted half: the area under the ROC.

    Both are scores, (n,) and (m,). 0.5 is chance, 1 that every known one scores above every strange one.
    """
    values, places = np.unique(np.concatenate([known, strange]), return_inverse=True)
    below = np.bincount(places[len(known) :], minlength=len(values))
    before = np.cumsum(below) - below
    return float((before + below / 2)[places[: len(known)]].mean() / len(strange))
