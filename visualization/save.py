"""A figure on disk: a picture to show, a drawing to enlarge, and the arrays behind both."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from convlens.core.files import atomic_write, make_folder
from convlens.visualization.palette import without_glyph_warnings

DPI = 200


def save_figure(
    figure: Figure, arrays: Mapping[str, np.ndarray], path: str | Path, texts: Mapping[str, str] | None = None
) -> list[Path]:
    """Write `path`.png at 200 dpi, `path`.svg and `path`.npz, and return the three paths.

    Each file appears whole or not at all, also after a crash. The same figure gives the same bytes. `texts` are written
    into the PNG, by their keywords, in Latin-1.
    """
    path = Path(path)
    make_folder(path.parent)
    # Flat colours compress as well at a low level, in a third of the time.
    png: dict[str, Any] = {
        "format": "png",
        "dpi": DPI,
        "pil_kwargs": {"compress_level": 4},
        "metadata": dict(texts or {}),
    }
    svg: dict[str, Any] = {"format": "svg", "dpi": DPI, "metadata": {"Date": None}}
    named: dict[str, Any] = dict(arrays)  # any of them, not only savez_compressed's own keywords
    with rc_context({"svg.hashsalt": "convlens"}), without_glyph_warnings():
        return [
            _write(path, ".png", lambda file: figure.savefig(file, **png)),
            _write(path, ".svg", lambda file: figure.savefig(file, **svg)),
            _write(path, ".npz", lambda file: np.savez_compressed(file, **named)),
        ]


def _write(path: Path, suffix: str, write: Callable[[BinaryIO], object]) -> Path:
    target = path.parent / (path.name + suffix)  # with_suffix would cut a layer's name at its dot

    def write_to(temporary: Path) -> None:
        with temporary.open("wb") as file:
            write(file)

    atomic_write(target, write_to)
    return target
