"""Questions about the whole network: what it is made of, and which images it takes for alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError, one_line
from convlens.core.program import tool_line

if TYPE_CHECKING:
    from convlens.gallery.subject import Subject
    from convlens.visualization import Drawing


def architecture(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        found = interpret.architecture(subject.model)
        steps = [visualization.Step(**vars(layer)) for layer in found.layers]
        # What is not known is -1: an array has no None.
        costs = [-1 if layer.multiply_adds is None else layer.multiply_adds for layer in found.layers]
        arrays = {
            "layers": np.array([layer.name for layer in found.layers]),
            "parameters": np.array([layer.parameters for layer in found.layers]),
            "multiply_adds": np.array(costs),
        }
        return visualization.architecture_figure(found.image_shape, steps, caption=subject.caption()), arrays

    yield visualization.Drawing("architecture", draw)


def neighbours(subject: "Subject") -> "Iterator[Drawing]":
    """For the last layer of each block, or those that the user named, what it takes for most like each image."""
    chosen = list(subject.convolutions.values())
    for info in chosen if subject.config.layers else visualization.last_of_each_block(chosen):

        def draw(layer=info.name):
            count = subject.config.images
            with subject.bars.bar(f"Comparing in {layer}", subject.images_in(count)) as told:
                found = interpret.nearest_neighbours(
                    subject.model, subject.images, subject.batches(count), layer,
                    skip=subject.places_in_sample, progress=told,
                )  # fmt: skip
            true = subject.true_labels
            figure = visualization.neighbours_figure(
                subject.images, found.images[found.rows], found.distances, labels=subject.labels,
                query_classes=None if None in true else true, classes=found.labels[found.rows], names=subject.names,
                images=subject.images_in(count), split=subject.config.split, caption=subject.caption(layer),
            )  # fmt: skip
            arrays = {"queries": subject.images, "neighbours": found.images[found.rows], "distances": found.distances}
            return figure, {**arrays, "index": subject.sample[found.index]}

        yield visualization.Drawing(f"neighbours-{info.name}", draw)


def projector(subject: "Subject", folder: Path) -> Iterator[Path]:
    """What TensorBoard's projector shows: the split's images as points in the features that the logits are made of.

    Written beside the run's curves, where TensorBoard finds it, or in the folder of the figures.
    """
    named = subject.config.layers or []
    if len(named) > 1:
        raise UserError(f"the projector shows one layer, not {len(named)}; name one in layers=")
    layer = named[0] if named else interpret.features_layer(subject.model)
    count = subject.config.images
    with subject.bars.bar(f"Collecting {layer}", subject.images_in(count)) as told:
        found = interpret.embedding(subject.model, subject.batches(count), layer, most=count, progress=told)
    columns = {"label": [subject.labels[label] for label in found.labels], "index": subject.sample.tolist()}
    beside = subject.config.out is None and subject.run.tensorboard_dir.is_dir()
    folder = subject.run.projector_dir if beside else folder / "projector"
    visualization.write_projector(folder, found.vectors, found.images, columns, name=layer)
    shown = tool_line("tensorboard", "tensorboard.main", "--logdir", str(subject.run.path if beside else folder))
    print(one_line(f"The projector shows {layer}: {shown}"))
    yield folder
