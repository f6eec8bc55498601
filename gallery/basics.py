"""What the network looks like: kernels, feature maps and the steps between them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import visualization

if TYPE_CHECKING:
    from gallery.subject import Subject
    from visualization import Drawing


def of_scene(figure: str, subject: "Subject") -> "Iterator[Drawing]":
    """The drawings of a figure that needs no more than kernels and maps of the images."""
    yield from visualization.plan(subject.scene, figure, subject.look)
