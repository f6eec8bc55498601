from .material import (
    Material as Material,
)
from .registry import (
    beside as beside,
    figure as figure,
)

__all__ = [
    "Material",
    "beside",
    "figure",
]
