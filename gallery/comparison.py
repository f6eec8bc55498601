"""What differs between two runs: which layers are alike, which units match, who recognises what."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.quiet import quietly
from convlens.gallery.material import kernels_of
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Caption, Drawing


@figure(
    "layer_similarity",
    group="comparison",
    place=1,
    needs="second_run",
    shows="how alike the layers of two runs are",
    reading="1 means that two layers arrange the images alike; framed is each row's best.",
    page="gallery-networks.md#layer_similarity",
)
def layer_similarity(material: "Material") -> "Iterator[Drawing]":
    def draw():
        compared = material.comparison
        figure = visualization.layer_similarity_figure(
            compared.similarity, *compared.layers, images=compared.images, caption=_caption(material)
        )
        return figure, {"similarity": compared.similarity}

    yield visualization.Drawing("layer_similarity", draw)


@figure(
    "matched_units",
    group="comparison",
    place=2,
    needs="second_run",
    shows="which unit of one run does what a unit of the other does",
    reading="Units of A and B that do the same stand side by side; right of them is B − A.",
    page="gallery-networks.md#matched_units",
    scale="All tiles share a range of colours.",
)
def matched_units(material: "Material") -> "Iterator[Drawing]":
    """A figure for each layer that both have with kernels of the same size."""
    with quietly():
        from convlens.models import conv_layers

        second_layers = {info.name: info for info in conv_layers(material.second_run.model)}
    for layer, info in material.convolutions.items():
        if layer not in second_layers or kernels_of(info).shape[:3] != kernels_of(second_layers[layer]).shape[:3]:
            continue

        def draw(layer=layer, info=info):
            units = material.comparison.units
            match = units[layer, layer]
            # Only where both read the same layer's units, each in its own order, can their inputs be put side by side.
            before = units.get((info.reads, info.reads)) if info.reads == second_layers[layer].reads else None
            kernel, second = kernels_of(info), kernels_of(second_layers[layer])
            inputs = before.matches if before and info.kind == "Conv2D" and info.groups == 1 else None
            arranged, difference = interpret.kernel_difference(kernel, second, match.matches, inputs)
            figure = visualization.matched_units_figure(
                kernel, arranged, match.strengths, match.matches, rgb=material.in_colour(info),
                max_units=min(material.config.max_units, 24), caption=_caption(material, layer),
            )  # fmt: skip
            arrays = {"kernel": kernel, "other": arranged, "difference": difference}
            return figure, {**arrays, "matches": match.matches, "strengths": match.strengths}

        yield visualization.Drawing(f"matched_units-{layer}", draw)


@figure(
    "class_accuracy",
    group="comparison",
    place=3,
    needs="second_run",
    shows="which classes one run knows better than the other",
    reading="A row a class: A is the large dot, B the small one, and B − A stands beside.",
    page="gallery-networks.md#class_accuracy",
)
def class_accuracy(material: "Material") -> "Iterator[Drawing]":
    def draw():
        said = material.comparison.answers
        counts = said.confusion[0].sum(axis=1)
        figure = visualization.class_accuracy_figure(
            said.class_accuracy, counts, material.labels, said.both, caption=_caption(material)
        )
        return figure, {"confusion": said.confusion, "both": said.both}

    yield visualization.Drawing("class_accuracy", draw)


def _caption(material: "Material", layer: str | None = None) -> "Caption":
    a, b = (f"{name}: {run.name}/{run.id}" for name, run in (("A", material.run), ("B", material.second_run)))
    return visualization.Caption(f"{a}, {b}", layer)
