from .inputs import (
    FigureInputs as FigureInputs,
)
from .registry import (
    beside as beside,
    figure as figure,
)

__all__ = [
    "FigureInputs",
    "beside",
    "figure",
]
