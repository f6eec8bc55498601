"""What the network is made of."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "architecture",
    group="networks",
    position=1,
    needs="kernels",
    shows="the network's layers, shapes and cost",
    reading="Boxes are as large as the maps and as long as there are channels; below are weights and work.",
    page="gallery-networks.md#architecture",
)
def architecture(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        architecture = interpret.architecture(inputs.model)
        return visualization.architecture_figure(architecture, caption=inputs.caption()), architecture.arrays()

    yield visualization.Drawing("architecture", draw)
