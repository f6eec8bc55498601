from .inputs import (
    FigureInputs as FigureInputs,
)
from .registry import (
    extra_files as extra_files,
    figure as figure,
)

__all__ = [
    "FigureInputs",
    "extra_files",
    "figure",
]
