"""What the network is made of."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "architecture",
    group="networks",
    place=1,
    needs="kernels",
    shows="the network's layers, shapes and cost",
    reading="Boxes are as large as the maps and as long as there are channels; below are weights and work.",
    page="gallery-networks.md#architecture",
)
def architecture(material: "Material") -> "Iterator[Drawing]":
    def draw():
        architecture = interpret.architecture(material.model)
        return visualization.architecture_figure(architecture, caption=material.caption()), architecture.arrays()

    yield visualization.Drawing("architecture", draw)
