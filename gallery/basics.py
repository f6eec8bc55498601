"""What the network looks like: kernels, feature maps and the steps between them."""

from typing import TYPE_CHECKING

from convlens import visualization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.subject import Subject
    from convlens.visualization import Drawing


def of_scene(figure: str, subject: "Subject") -> "Iterator[Drawing]":
    """The drawings of a figure that needs no more than kernels and maps of the images."""
    yield from visualization.plan(subject.scene, figure, subject.look)
