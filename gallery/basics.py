"""What the network looks like: kernels, feature maps and the steps between them."""

from typing import TYPE_CHECKING

from convlens import visualization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


def drawings_of_scene(figure: str, material: "Material") -> "Iterator[Drawing]":
    """The drawings of a figure that needs no more than kernels and maps of the images."""
    yield from visualization.plan(material.observation, figure, material.display, material.network_caption)
