"""What differs between two runs: which layers are alike, which units match, who recognises what."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.quiet import quietly
from convlens.gallery.subject import kernels_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.subject import Subject
    from convlens.visualization import Caption, Drawing


def layer_similarity(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        found = subject.comparison
        figure = visualization.layer_similarity_figure(
            found.similarity, *found.layers, images=found.images, caption=_caption(subject)
        )
        return figure, {"similarity": found.similarity}

    yield visualization.Drawing("layer_similarity", draw)


def matched_units(subject: "Subject") -> "Iterator[Drawing]":
    """A figure for each layer that both have with kernels of the same size."""
    with quietly():
        from convlens.models import conv_layers

        others = {info.name: info for info in conv_layers(subject.other.model)}
    for layer, info in subject.convolutions.items():
        if layer not in others or kernels_of(info).shape[:3] != kernels_of(others[layer]).shape[:3]:
            continue

        def draw(layer=layer, info=info):
            units = subject.comparison.units
            found = units[layer, layer]
            # Only where both read the same layer's units, each in its own order, can their inputs be put side by side.
            before = units.get((info.reads, info.reads)) if info.reads == others[layer].reads else None
            kernel = kernels_of(info)
            inputs = before.matches if before and info.kind == "Conv2D" and info.groups == 1 else None
            arranged, difference = interpret.kernel_difference(kernel, kernels_of(others[layer]), found.matches, inputs)
            figure = visualization.matched_units_figure(
                kernel, arranged, found.strengths, found.matches, rgb=subject.in_colour(info),
                max_units=min(subject.config.max_units, 24), caption=_caption(subject, layer),
            )  # fmt: skip
            arrays = {"kernel": kernel, "other": arranged, "difference": difference}
            return figure, {**arrays, "matches": found.matches, "strengths": found.strengths}

        yield visualization.Drawing(f"matched_units-{layer}", draw)


def class_accuracy(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        answers = subject.comparison.answers
        counts = answers.confusion[0].sum(axis=1)
        figure = visualization.class_accuracy_figure(
            answers.class_accuracy, counts, subject.labels, answers.both, caption=_caption(subject)
        )
        return figure, {"confusion": answers.confusion, "both": answers.both}

    yield visualization.Drawing("class_accuracy", draw)


def _caption(subject: "Subject", layer: str | None = None) -> "Caption":
    a, b = (f"{name}: {run.name}/{run.id}" for name, run in (("A", subject.run), ("B", subject.other)))
    return visualization.Caption(f"{a}, {b}", layer)
