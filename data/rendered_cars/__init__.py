"""The embedded dataset: low-poly vehicles, rendered with NumPy.

`render` needs neither TensorFlow nor TFDS; `RenderedCars`, the TFDS builder, is imported when it is first asked for.
"""

from typing import Any

from .image import Part
from .render import render
from .vehicles import STYLES

PARTS = tuple(part.name.lower() for part in Part)

__all__ = ["PARTS", "STYLES", "RenderedCars", "render"]


def __getattr__(name: str) -> Any:
    if name == "RenderedCars":
        from .builder import RenderedCars

        return RenderedCars
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
