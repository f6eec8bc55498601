"""Classic kernels by name, and reading a kernel that a person typed."""

import ast
from dataclasses import dataclass

import numpy as np

from convlens.core.errors import UserError, unknown

LARGEST = 31  # cells a side


@dataclass(frozen=True)
class NamedKernel:
    """A classic kernel: its (height, width) array, and one line that says what it responds to."""

    meaning: str
    array: np.ndarray


def _kernel(meaning: str, *rows: tuple[float, ...], divisor: float = 1.0) -> NamedKernel:
    array = np.array(rows, np.float32) / divisor
    array.setflags(write=False)
    return NamedKernel(meaning, array)


_LIBRARY = {
    "identity": _kernel("leaves the image as it is", (0, 0, 0), (0, 1, 0), (0, 0, 0)),
    "edge": _kernel("edges of every direction, bright where a pixel differs from its eight neighbours",
                    (-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
    "laplacian": _kernel("edges of every direction, from the four nearest neighbours",
                         (0, -1, 0), (-1, 4, -1), (0, -1, 0)),
    "outline": _kernel("coarse outlines, bright where a pixel differs from the ring two pixels away",
                       (-1, -1, -1, -1, -1), (-1, 0, 0, 0, -1), (-1, 0, 16, 0, -1), (-1, 0, 0, 0, -1),
                       (-1, -1, -1, -1, -1), divisor=2),
    "blur": _kernel("the mean of nine pixels", (1, 1, 1), (1, 1, 1), (1, 1, 1), divisor=9),
    "gaussian": _kernel("a soft blur, the near pixels weighing more",
                        (1, 4, 6, 4, 1), (4, 16, 24, 16, 4), (6, 24, 36, 24, 6), (4, 16, 24, 16, 4), (1, 4, 6, 4, 1),
                        divisor=256),
    "sharpen": _kernel("the image with its edges added", (0, -1, 0), (-1, 5, -1), (0, -1, 0)),
    "emboss": _kernel("the image as a relief lit from the lower right", (-2, -1, 0), (-1, 1, 1), (0, 1, 2)),
    "bottom_sobel": _kernel("edges whose lower side is brighter", (-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "top_sobel": _kernel("edges whose upper side is brighter", (1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    "left_sobel": _kernel("edges whose left side is brighter", (1, 0, -1), (2, 0, -2), (1, 0, -1)),
    "right_sobel": _kernel("edges whose right side is brighter", (-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "vertical_line": _kernel("bright vertical lines one pixel wide", (-1, 2, -1), (-1, 2, -1), (-1, 2, -1)),
    "horizontal_line": _kernel("bright horizontal lines one pixel wide", (-1, -1, -1), (2, 2, 2), (-1, -1, -1)),
}  # fmt: skip


def named_kernels() -> dict[str, NamedKernel]:
    """Every named kernel. They are applied as written, by cross-correlation, as a convolutional layer does.

    The Sobel kernels are those of Sobel and Feldman (1968); the others are textbook kernels, most of them used in the
    Kaggle lesson "Convolution and ReLU".
    """
    return dict(_LIBRARY)


def parse_kernel(kernel: str | list) -> np.ndarray:
    """A kernel by name ('edge') or by numbers ('[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]]'), shape (height, width) float32.

    Raises UserError, in one line, for an unknown name, and for anything that is not a matrix of finite numbers with 1
    to 31 rows and columns.
    """
    if isinstance(kernel, str):
        text = kernel.strip()
        if text in _LIBRARY:
            return _LIBRARY[text].array.copy()
        if not text.startswith(("[", "(")):
            name = text if len(text) <= 60 else text[:57] + "..."
            raise UserError(f"{unknown('kernel', name, _LIBRARY)} Or give rows such as [[-1,0,1],[-1,0,1]].")
        try:
            kernel = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise UserError(f"kernel {_short(text)} is not a matrix; {_EXPECTED}") from None
    return _matrix(kernel)


_EXPECTED = "expected rows of numbers such as [[0,-1,0],[-1,4,-1],[0,-1,0]], or a name such as 'edge'"


def _matrix(rows: object) -> np.ndarray:
    text = _short(rows)
    if not isinstance(rows, list | tuple) or not rows or not all(isinstance(row, list | tuple) for row in rows):
        raise UserError(f"kernel {text} is not a matrix; {_EXPECTED}")
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        lengths = ", ".join(str(len(row)) for row in rows[:8])
        raise UserError(
            f"kernel {text} is not a matrix: its rows have {lengths} numbers; give each row the same number"
        )
    if max(len(rows), *widths) > LARGEST or not min(widths):
        raise UserError(f"kernel has {len(rows)} rows of {min(widths)} numbers; expected 1 to {LARGEST} of each")
    for number in (number for row in rows for number in row):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UserError(f"kernel {text} holds {_short(number)}, which is not a number; {_EXPECTED}")
        if not abs(number) <= float(np.finfo(np.float32).max):  # also false for NaN
            raise UserError(f"kernel {text} holds {_short(number)}; expected finite numbers")
    return np.array(rows, np.float32)


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
