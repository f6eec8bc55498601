"""The most confident mistakes, and why the network made them."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

MISTAKES_SHOWN = 6


@figure(
    "mistakes",
    group="networks",
    position=4,
    needs="split",
    shows="the most confident mistakes, and why",
    reading="The surest mistakes, and where the network saw what it said and what it should have said.",
    page="gallery-networks.md#mistakes",
)
def mistakes(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """Each with Grad-CAM for what the network said and for what it should have said."""

    def draw():
        classified = inputs.classified
        wrong = np.flatnonzero(classified.true != classified.predicted)
        if not len(wrong):
            count = len(classified.true)
            raise UserError(f"all {count:,} images of {inputs.split} are classified correctly")
        rows = wrong[np.argsort(-classified.confidence[wrong], kind="stable")][:MISTAKES_SHOWN]
        true, predicted = classified.true[rows], classified.predicted[rows]
        images, names = inputs.examples(rows), inputs.names_of(inputs.sample[rows])
        of_predicted, of_true = (interpret.grad_cam(inputs.network, images, classes) for classes in (predicted, true))
        maps = {"for what it said": of_predicted, "for what it is": of_true}
        explained = interpret.Explanations(images, classified.logits[rows], predicted, maps, true)
        figure = visualization.attribution_figure(
            explained, title="Most confident mistakes, and Grad-CAM's reason", across=2, names=names.tolist(),
            caption=replace(inputs.caption(), labels=inputs.labels),
        )  # fmt: skip
        arrays = {"images": images, "logits": explained.logits, "index": inputs.sample[rows], "names": names}
        return figure, {**arrays, "said": of_predicted, "true": of_true}

    yield visualization.Drawing("mistakes", draw)
