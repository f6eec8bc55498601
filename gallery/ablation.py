"""What each unit is needed for: how much worse the network is without it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

ABLATED_ON = 500  # images: each is classified once a unit


@figure(
    "ablation",
    group="units",
    position=5,
    needs="split",
    shows="what the network can no longer do without a unit",
    reading="The darker a class in a row, the more of its images are lost without that unit; one image is no evidence.",
    page="gallery-units.md#ablation",
    scale="All rows of a layer share a range of colours.",
)
def ablation(inputs: "FigureInputs") -> "Iterator[Drawing]":
    for layer in inputs.convolutions:

        def draw(layer=layer):
            ablation = _ablated(inputs, layer)
            return visualization.ablation_figure(ablation, caption=inputs.caption_of_split(layer)), ablation.arrays()

        yield visualization.Drawing(f"ablation-{layer}", draw)


def _ablated(inputs: "FigureInputs", layer: str) -> "interpret.Ablation":
    """The layer's units silenced one by one, and then more and more of them together."""
    count = min(ABLATED_ON, inputs.config.images)
    total = 2 * inputs.images_in(count)  # each image is seen twice
    with progress_bar(f"Silencing {layer}", total) as progress:
        ablation = interpret.ablate(
            inputs.network, inputs.batches(count), layer, progress=lambda done, _=None: progress(done, total)
        )
        together = interpret.ablate_shares(
            inputs.network, inputs.batches(count), layer, ablation.units[ablation.ranked()],
            seed=inputs.config.seed, progress=lambda done, _=None: progress(ablation.images + done, total),
        )  # fmt: skip
    return replace(ablation, together=together)
