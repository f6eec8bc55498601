"""Images in whatever form a person has them, with or without labels, as batches that a model takes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from convlens.core.errors import ModelError
from convlens.models.inspection.images import check_images, read_fitting

ImageShape = tuple[int | None, int | None, int | None]  # height, width, channels; None for any


def image_batches(
    source: Any, batch_size: int, shape: ImageShape, value_range: Sequence[float] | None = None
) -> Iterator[np.ndarray]:
    """Batches (n, height, width, channels), one at a time, of images of `shape` (height, width, channels).

    `source` is an array of images, a list of image files, a mapping of arrays of which "image" holds the images, or an
    iterable (a tf.data.Dataset, a generator) of batches or of single images, with or without labels: an array, a tuple
    (images, labels) or (images, labels, parts), or such a mapping. Its own batches are kept, single images are put
    together. `value_range` is what image files have for 0 and 255, if not all that their number of bits allows. Raises
    ModelError for images of another shape and for files that cannot be read.
    """
    for (images,) in _batches(source, batch_size, shape, columns=1, value_range=value_range):
        check_images(images, shape)
        yield images


def labelled_batches(
    source: Any, batch_size: int, shape: ImageShape
) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray | None]]:
    """Batches of images, labels (n,) and masks (n, height, width), as far as there are any.

    `source` is what `image_batches` takes. Labels are class indices or one-hot, masks ("parts") are integers. Raises
    ModelError for images that are not of `shape`, and for labels or masks that do not belong to them.
    """
    for images, labels, masks in _batches(source, batch_size, shape, columns=3):
        check_images(images, shape)
        yield images, _indices(labels, len(images)), _masks(masks, len(images))


def image_count(source: Any) -> int | None:
    """How many images `image_batches` makes of a source; None where only reading all of it would tell."""
    if isinstance(source, str | PathLike):
        return 1
    if isinstance(source, Mapping):
        return len(source["image"])
    if _is_array(source):
        return len(source)
    if not isinstance(source, Sequence):
        return None
    images = [_columns(element)[0] for element in source]
    return sum(len(batch) if getattr(batch, "ndim", 0) == 4 else 1 for batch in images)


def _batches(
    source: Any, batch_size: int, shape: ImageShape, columns: int, value_range: Sequence[float] | None = None
) -> Iterator[tuple]:
    """The first `columns` of images, labels and masks as arrays, or None, before anything is checked."""
    if isinstance(source, str | PathLike):
        source = [source]
    if isinstance(source, Mapping):
        yield from _slices(_columns(source)[:columns], batch_size)
    elif _is_array(source):
        yield from _slices(_columns(np.asarray(source))[:columns], batch_size)
    elif isinstance(source, Sequence) and source and isinstance(source[0], str | PathLike):
        for images in _from_files(source, batch_size, shape, value_range):
            yield _columns(images)[:columns]
    elif isinstance(source, Iterable):
        yield from _from_iterable((_columns(element)[:columns] for element in source), batch_size)
    else:
        raise ModelError(
            f"cannot take images from {type(source).__name__}; give an array (batch, height, width, channels), "
            f"a list of image files or a dataset"
        )


def _is_array(source: Any) -> bool:
    return hasattr(source, "shape") and hasattr(source, "dtype")


def _slices(arrays: Sequence[Any], batch_size: int) -> Iterator[tuple]:
    for start in range(0, len(arrays[0]), batch_size):
        yield tuple(_array(None if array is None else array[start : start + batch_size]) for array in arrays)


def _from_files(
    paths: Sequence[str | PathLike], batch_size: int, shape: ImageShape, value_range: Sequence[float] | None
) -> Iterator[np.ndarray]:
    height, width, channels = shape
    if height is None or width is None:
        raise ModelError(
            "the model takes images of any size, so files have no size to be resized to; give arrays instead"
        )
    for start in range(0, len(paths), batch_size):
        chosen = paths[start : start + batch_size]
        yield np.stack([read_fitting(path, (height, width, channels), value_range) for path in chosen])


def _from_iterable(elements: Iterable[tuple], batch_size: int) -> Iterator[tuple]:
    single: list[tuple] = []
    for element in elements:
        arrays = tuple(map(_array, element))
        if arrays[0] is None or arrays[0].ndim != 3:
            yield arrays
            continue
        single.append(arrays)
        if len(single) == batch_size:
            yield _stacked(single)
            single = []
    if single:
        yield _stacked(single)


def _stacked(single: list[tuple]) -> tuple:
    return tuple(None if column[0] is None else np.stack(column) for column in zip(*single, strict=True))


def _columns(element: Any) -> tuple[Any, Any, Any]:
    """What an element of a source holds: images, labels and masks."""
    if isinstance(element, Mapping):
        if "image" not in element:
            raise ModelError(f"a dataset's element has the features {sorted(element)}; expected one called 'image'")
        return element["image"], element.get("label"), element.get("parts")
    if isinstance(element, tuple):
        return (*element, None, None)[:3]
    return element, None, None


def _array(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values)


def _indices(labels: np.ndarray | None, count: int) -> np.ndarray | None:
    if labels is None:
        return None
    indices = labels.argmax(axis=-1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(-1)
    if indices.shape != (count,) or not np.issubdtype(indices.dtype, np.integer):
        raise ModelError(f"labels of shape {labels.shape} for {count} images; expected class indices or one-hot rows")
    return indices


def _masks(masks: np.ndarray | None, count: int) -> np.ndarray | None:
    if masks is None:
        return None
    maps = masks[..., 0] if masks.ndim == 4 and masks.shape[-1] == 1 else masks
    if maps.ndim != 3 or len(maps) != count or not np.issubdtype(maps.dtype, np.integer):
        raise ModelError(f"parts of shape {masks.shape} for {count} images; expected integers (n, height, width)")
    return maps
