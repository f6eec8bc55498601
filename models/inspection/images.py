"""One image as a model takes it: its shape, and an image file made to fit."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from convlens.core.errors import ModelError, UserError
from convlens.core.images import read_image


def check_images(images: np.ndarray, shape: tuple[int | None, int | None, int | None]) -> None:
    """Raises ModelError where a batch of images is not what the model takes; None in `shape` stands for any size."""
    sizes = images.shape[1:]
    if images.ndim != 4 or any(side is not None and side != size for side, size in zip(shape, sizes, strict=True)):
        expected = ", ".join("any" if side is None else str(side) for side in shape)
        raise ModelError(f"images have the shape {images.shape}, but the model takes (batch, {expected})")


def read_fitting(
    path: str | PathLike, shape: tuple[int, int, int | None], value_range: Sequence[float] | None = None
) -> np.ndarray:
    """An image file as (height, width, channels) in [0, 255]: turned upright, cropped about its centre, resized.

    It is read as for training: what is transparent lies on white, and 16 bits become 8, or where there is a
    `value_range` what lies in it becomes float32.
    """
    height, width, channels = shape
    if channels not in (1, 3):
        raise ModelError(f"the model takes {channels} channels; an image file gives 1 or 3")
    try:
        limits = None if value_range is None else (value_range[0], value_range[1])
        return read_image(Path(path), (height, width), channels, value_range=limits)
    except UserError as error:
        raise ModelError(f"cannot read image '{path}': {error}") from None
