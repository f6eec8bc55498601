"""What the network gets wrong, and why it thought so."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.subject import Subject
    from convlens.visualization import Drawing

MISTAKES_SHOWN = 6


def confusion_examples(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        true, said, confidence = _answers(subject)
        classes = len(subject.labels)
        matrix = np.zeros((classes, classes), int)
        np.add.at(matrix, (true, said), 1)
        examples = interpret.examples_of_confusions(true, said, confidence, classes)
        places, rows = np.unique(examples[examples >= 0], return_inverse=True)
        images = subject.examples(places)
        shown = examples.copy()
        shown[examples >= 0] = rows
        figure = visualization.confusion_examples_figure(
            matrix, images, shown, subject.labels, caption=subject.caption()
        )
        return figure, {"matrix": matrix, "images": images, "examples": shown, "index": subject.sample[places]}

    yield visualization.Drawing("confusion_examples", draw)


def mistakes(subject: "Subject") -> "Iterator[Drawing]":
    """The most confident mistakes, with Grad-CAM for what the network said and for what it should have said."""

    def draw():
        true, said, confidence = _answers(subject)
        wrong = np.flatnonzero(true != said)
        if not len(wrong):
            raise UserError(f"all {len(true):,} images of {subject.config.split} are classified correctly")
        places = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES_SHOWN]
        images, logits = subject.examples(places), subject.predictions[0][places]
        maps = {
            "for what it said": interpret.grad_cam(subject.network, images, said[places]),
            "for what it is": interpret.grad_cam(subject.network, images, true[places]),
        }
        figure = visualization.attribution_figure(
            images, maps, targets=said[places], logits=logits, labels=subject.labels, true=true[places],
            title="Most confident mistakes, and Grad-CAM's reason", across=2, caption=subject.caption(),
        )  # fmt: skip
        arrays = {"said": maps["for what it said"], "true": maps["for what it is"]}
        return figure, {"images": images, "logits": logits, "index": subject.sample[places], **arrays}

    yield visualization.Drawing("mistakes", draw)


def _answers(subject: "Subject") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By image of the split: the right class, the one that the network says, and how sure it is, in [0, 1]."""
    logits, true = subject.predictions
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return true, logits.argmax(axis=1), shares.max(axis=1)
