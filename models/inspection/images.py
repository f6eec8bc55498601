"""One image as a model takes it: its shape, and an image file made to fit."""

from os import PathLike
from pathlib import Path

import numpy as np

from convlens.core.errors import ModelError


def check_images(images: np.ndarray, shape: tuple[int | None, int | None, int | None]) -> None:
    """Raises ModelError where a batch of images is not what the model takes; None in `shape` stands for any size."""
    sizes = images.shape[1:]
    if images.ndim != 4 or any(side is not None and side != size for side, size in zip(shape, sizes, strict=True)):
        expected = ", ".join("any" if side is None else str(side) for side in shape)
        raise ModelError(f"images have the shape {images.shape}, but the model takes (batch, {expected})")


def read_fitting(path: str | PathLike, shape: tuple[int, int, int]) -> np.ndarray:
    """An image file as uint8 (height, width, channels): turned upright, cropped about its centre, resized."""
    from PIL import Image, ImageOps

    height, width, channels = shape
    if channels not in (1, 3):
        raise ModelError(f"the model takes {channels} channels; an image file gives 1 or 3")
    try:
        with Image.open(Path(path)) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            coloured = upright.convert("RGB" if channels == 3 else "L")
            fitted = ImageOps.fit(coloured, (width, height), Image.Resampling.BILINEAR)
    except (OSError, Image.DecompressionBombError) as error:
        raise ModelError(f"cannot read image '{path}': {error}") from error
    return np.asarray(fitted).reshape(height, width, channels)
