"""The images that a person wants to look at: files, or examples of a split by index."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens.core.errors import UserError

if TYPE_CHECKING:
    from convlens.configs import Visualize
    from convlens.data import Dataset
    from convlens.training import Run

PICTURE = Path(__file__).parents[1] / "car.jpg"  # rendered as `rendered_cars` are, 512 pixels: comes with the package
CLASSES_SHOWN = 3  # where no image is named: an example of each of so many classes


@dataclass(frozen=True)
class Photo:
    """An image (height, width[, channels]) in [0, 255], what it is called and, of a split, its class and its index."""

    pixels: np.ndarray
    name: str
    label: int | None = None
    index: int | None = None


def read_files(config: "Visualize", run: "Run | None" = None) -> dict[str, np.ndarray]:
    """The image files that are asked for, read at their own size; in the range of values that a run's images have."""
    from convlens.data import read_image

    stored = run.config.data.value_range if run else None
    value_range = None if stored is None or stored == "auto" else (stored[0], stored[1])
    paths = [path for path in config.image or [] if isinstance(path, str)]
    return {path: read_image(path, value_range=value_range) for path in paths}


def asks_for_data(config: "Visualize") -> bool:
    """Whether the user asked for an image of a split, by index."""
    return config.image is None or any(isinstance(image, int) for image in config.image)


def read_photos(
    config: "Visualize", run: "Run | None", files: dict[str, np.ndarray], dataset: "Dataset | None" = None
) -> list[Photo]:
    """The images to look at, in the order in which they are asked for; examples by index come from the `dataset`."""
    if not asks_for_data(config):
        return [Photo(files[image], Path(image).name) for image in config.image or [] if isinstance(image, str)]
    if run is None or dataset is None:
        raise UserError("An image by its index needs a run; give run=..., or image=path/to/photo.jpg")
    wanted = config.image if config.image is not None else _one_a_class(dataset.labels(config.split))
    photos = []
    for image in wanted:
        if isinstance(image, int):
            pixels, labels, _ = dataset.examples(config.split, [image])
            label = int(labels[0])
            photos.append(Photo(pixels[0], f"{config.split} {image}, {run.labels[label]}", label, image))
        else:
            photos.append(Photo(files[image], Path(image).name))
    return photos


def _one_a_class(labels: np.ndarray) -> list[int]:
    _, first = np.unique(labels, return_index=True)
    return [int(index) for index in first[:CLASSES_SHOWN]]
