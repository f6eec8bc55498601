"""What the network is made of."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


def architecture(material: "Material") -> "Iterator[Drawing]":
    def draw():
        architecture = interpret.architecture(material.model)
        return visualization.architecture_figure(architecture, caption=material.caption()), architecture.arrays()

    yield visualization.Drawing("architecture", draw)
