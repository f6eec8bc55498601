"""What differs between two runs: which layers are alike, which units match, who recognises what."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.quiet import quietly
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Caption, Drawing


@figure(
    "layer_similarity",
    group="comparison",
    position=1,
    needs="second_run",
    shows="how alike the layers of two runs are",
    reading="1 means that two layers arrange the images alike; framed is each row's best.",
    page="gallery-networks.md#layer_similarity",
)
def layer_similarity(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        comparison = inputs.comparison
        return visualization.layer_similarity_figure(comparison, caption=_caption(inputs)), comparison.arrays()

    yield visualization.Drawing("layer_similarity", draw)


@figure(
    "matched_units",
    group="comparison",
    position=2,
    needs="second_run",
    shows="which unit of one run does what a unit of the other does",
    reading="Units of A and B that do the same stand side by side; right of them is B − A.",
    page="gallery-networks.md#matched_units",
    scale="All tiles share a range of colours.",
)
def matched_units(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """A figure for each layer that both have with kernels of the same size."""
    with quietly():
        from convlens.models import conv_layers

        second_layers = {info.name: info for info in conv_layers(inputs.second_run.model)}
    for layer, info in inputs.convolutions.items():
        if (
            layer not in second_layers
            or interpret.kernels_of(info).shape[:3] != interpret.kernels_of(second_layers[layer]).shape[:3]
        ):
            continue

        def draw(layer=layer, info=info):
            units = inputs.comparison.units
            # Channels can be put side by side only where both read the same layer, each in an order of its own.
            previous_match = units.get((info.reads, info.reads)) if info.reads == second_layers[layer].reads else None
            channels = previous_match.matches if previous_match and info.kind == "Conv2D" and info.groups == 1 else None
            kernels = interpret.kernels_of(info), interpret.kernels_of(second_layers[layer])
            matched = interpret.matched_kernels(*kernels, units[layer, layer], channels)
            figure = visualization.matched_units_figure(
                matched, rgb=inputs.in_colour(info), max_units=min(inputs.config.max_units, 24),
                caption=_caption(inputs, layer),
            )  # fmt: skip
            return figure, matched.arrays()

        yield visualization.Drawing(f"matched_units-{layer}", draw)


@figure(
    "class_accuracy",
    group="comparison",
    position=3,
    needs="second_run",
    shows="which classes one run knows better than the other",
    reading="A row a class: A is the large dot, B the small one, and B − A stands beside.",
    page="gallery-networks.md#class_accuracy",
)
def class_accuracy(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        agreement = inputs.comparison.agreement
        if agreement is None:
            raise UserError("the two networks are no classifiers of labelled images; there is no accuracy to compare")
        caption = replace(_caption(inputs), labels=inputs.labels)
        return visualization.class_accuracy_figure(agreement, caption=caption), agreement.arrays()

    yield visualization.Drawing("class_accuracy", draw)


def _caption(inputs: "FigureInputs", layer: str | None = None) -> "Caption":
    a, b = (f"{name}: {run.name}/{run.id}" for name, run in (("A", inputs.required_run), ("B", inputs.second_run)))
    return visualization.Caption(f"{a}, {b}", layer)
