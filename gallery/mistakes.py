"""The most confident mistakes, and why the network made them."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing

MISTAKES_SHOWN = 6


@figure(
    "mistakes",
    group="networks",
    place=4,
    needs="split",
    shows="the most confident mistakes, and why",
    reading="The surest mistakes, and where the network saw what it said and what it should have said.",
    page="gallery-networks.md#mistakes",
)
def mistakes(material: "Material") -> "Iterator[Drawing]":
    """Each with Grad-CAM for what the network said and for what it should have said."""

    def draw():
        classified = material.classified
        wrong = np.flatnonzero(classified.true != classified.predicted)
        if not len(wrong):
            count = len(classified.true)
            raise UserError(f"all {count:,} images of {material.split} are classified correctly")
        rows = wrong[np.argsort(-classified.confidence[wrong], kind="stable")][:MISTAKES_SHOWN]
        true, predicted = classified.true[rows], classified.predicted[rows]
        images = material.examples(rows)
        said, right = (interpret.grad_cam(material.network, images, classes) for classes in (predicted, true))
        maps = {"for what it said": said, "for what it is": right}
        explained = interpret.Explanations(images, classified.logits[rows], predicted, maps, true)
        figure = visualization.attribution_figure(
            explained, title="Most confident mistakes, and Grad-CAM's reason", across=2,
            caption=replace(material.caption(), labels=material.labels),
        )  # fmt: skip
        arrays = {"images": images, "logits": explained.logits, "index": material.sample[rows]}
        return figure, {**arrays, "said": said, "true": right}

    yield visualization.Drawing("mistakes", draw)
