"""Images in whatever form a person has them, as batches that a model takes."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convlens.core.errors import ModelError


def batches(source: Any, batch_size: int, shape: tuple[int | None, int | None, int]) -> Iterator[np.ndarray]:
    """Batches (n, height, width, channels), one at a time, of images of `shape` (height, width, channels).

    `source` is an array of images, a list of image files, or an iterable (a tf.data.Dataset, a generator) of batches or
    of single images, with or without labels; its own batches are kept, single images are put together. Raises
    ModelError for images of another shape and for files that cannot be read.
    """
    if isinstance(source, str | PathLike):
        source = [source]
    if _is_array(source):
        found = _slices(np.asarray(source), batch_size)
    elif isinstance(source, Sequence) and source and isinstance(source[0], str | PathLike):
        found = _from_files(source, batch_size, shape)
    elif isinstance(source, Iterable):
        found = _from_iterable(source, batch_size)
    else:
        raise ModelError(
            f"cannot take images from {type(source).__name__}; give an array (batch, height, width, channels), "
            f"a list of image files or a dataset"
        )
    for batch in found:
        check_images(batch, shape)
        yield batch


def check_images(images: np.ndarray, shape: tuple[int | None, int | None, int | None]) -> None:
    """Raises ModelError where a batch of images is not what the model takes; None in `shape` stands for any size."""
    sizes = images.shape[1:]
    if images.ndim != 4 or any(side is not None and side != found for side, found in zip(shape, sizes, strict=True)):
        expected = ", ".join("any" if side is None else str(side) for side in shape)
        raise ModelError(f"images have the shape {images.shape}, but the model takes (batch, {expected})")


def _is_array(source: Any) -> bool:
    return hasattr(source, "shape") and hasattr(source, "dtype")


def _slices(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(images), batch_size):
        yield images[start : start + batch_size]


def _from_files(
    paths: Sequence[str | PathLike], batch_size: int, shape: tuple[int | None, int | None, int]
) -> Iterator[np.ndarray]:
    if None in shape[:2]:
        raise ModelError("the model takes images of any size, so files cannot be made to fit; give arrays instead")
    for start in range(0, len(paths), batch_size):
        yield np.stack([read_fitting(path, shape) for path in paths[start : start + batch_size]])


def _from_iterable(source: Iterable, batch_size: int) -> Iterator[np.ndarray]:
    single: list[np.ndarray] = []
    for element in source:
        images = np.asarray(_without_labels(element))
        if images.ndim != 3:
            yield images
            continue
        single.append(images)
        if len(single) == batch_size:
            yield np.stack(single)
            single = []
    if single:
        yield np.stack(single)


def _without_labels(element: Any) -> Any:
    if isinstance(element, dict):
        if "image" not in element:
            raise ModelError(f"a dataset's element has the features {sorted(element)}; expected one called 'image'")
        return element["image"]
    return element[0] if isinstance(element, tuple) else element


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
