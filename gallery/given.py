"""What the caller passes in memory instead of a run on disk: a model, images, class names, labelled images."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.core.errors import ModelError, UserError
from convlens.core.program import command_line
from convlens.gallery.arrays import ArrayDataset, image_batch
from convlens.gallery.inputs import FigureInputs
from convlens.gallery.photos import Photo

if TYPE_CHECKING:
    import keras

    from convlens.configs import Visualize
    from convlens.gallery.registry import Needs
    from convlens.training import Run


@dataclass(frozen=True)
class Given:
    """The network is one of three: a model, a run or the path of a file. All else is None if it was not given."""

    model: "keras.Model | None"
    run: "Run | None"
    path: Path | None
    image: list[str | int] | None  # by path, or by index into a split
    images: np.ndarray | None  # (n, height, width, channels) in [0, 255]
    labels: list[str] | None
    data: ArrayDataset | None

    @classmethod
    def of(cls, model: Any, images: Any, labels: Sequence[str] | None, data: Any) -> "Given":
        """Checks the arguments of `draw`. Raises UserError for an argument of the wrong kind."""
        from convlens.training import Run

        is_path = isinstance(model, str | os.PathLike)
        path = Path(model) if is_path and Path(model).suffix in (".keras", ".h5", ".hdf5") else None
        run = model if isinstance(model, Run) else Run.open(model) if is_path and path is None else None
        if run is None and path is None:
            _check_model(model)
        if run is not None and (labels is not None or data is not None):
            name = "labels" if labels is not None else "data"
            raise UserError(f"A run has {name} of its own; leave out {name}=, or give model=run.model.")
        image = _named(images)
        if run is None and any(isinstance(name, int) for name in image or []):
            raise UserError("An image index refers to a split of a run; give a run as model=, or arrays or paths.")
        return cls(
            model=model if run is None and path is None else None,
            run=run,
            path=path,
            image=image,
            images=None if images is None or image else image_batch(images, "images="),
            labels=None if labels is None else [str(label) for label in labels],
            data=None if data is None else ArrayDataset.of_pair(data),
        )


def _check_model(model: Any) -> None:
    import keras

    from convlens.models.tensors import check_names

    if not isinstance(model, keras.Model):
        raise UserError(f"model= is a {type(model).__name__}; give a built Keras model, a run, or the path of one.")
    try:
        check_names(model)
    except ModelError as error:
        raise ModelError(f"model= {error}.") from None


def _named(images: Any) -> list[str | int] | None:
    """Images by path or by index; None for arrays."""
    listed = images if isinstance(images, list | tuple) else [images]
    if listed and all(isinstance(image, str | int | os.PathLike) for image in listed):
        return [image if isinstance(image, int) else os.fspath(image) for image in listed]
    return None


class GivenInputs(FigureInputs):
    """Inputs of which some are in memory; the others are read from a run or a model file."""

    def __init__(self, config: "Visualize", figures: Collection[str], given: Given):
        self._given = given
        options = {
            "model": given.path and str(given.path),
            "image": given.image,
            "images": config.images if given.data is None else len(given.data),
        }
        super().__init__(config.model_copy(update=options), given.run, figures)

    @property
    def source(self) -> str:
        return super().source if self._given.model is None else f"model {self.model.name}"

    @cached_property
    def model(self) -> "keras.Model":
        return super().model if self._given.model is None else self._given.model

    @property
    def labels(self) -> list[str]:
        return super().labels if self._given.labels is None else self._given.labels

    @cached_property
    def photos(self) -> list[Photo]:
        if self._given.images is None:
            return super().photos
        return [Photo(pixels, f"image {index}") for index, pixels in enumerate(self._given.images)]

    @cached_property
    def images(self) -> np.ndarray:
        return super().images if self._given.images is None else self._given.images

    @cached_property
    def data(self) -> Any:
        return super().data if self._given.data is None else self._given.data

    @property
    def split(self) -> str:
        return super().split if self._given.data is None else "the data"

    def lacks(self, needs: "Needs") -> str | None:
        if needs == "images" and self._given.images is not None:
            return None
        if needs == "images" and self.run is None and self._given.image is None:
            return "This figure shows what the model makes of images; give images=."
        if needs == "split" and self.run is None and self._given.data is None:
            return "This figure looks at many images of known classes; give data=(images, labels), or a run as model=."
        if needs == "masks" and self.run is None:
            return "This figure needs masks of parts, which a run on rendered_cars has; give such a run as model=."
        if needs == "snapshots" and self.run is None:
            return "This figure needs a run that was trained with training.snapshots=40; give it as model=."
        if needs == "second_run":
            command = command_line("visualize", a="runs/cars/latest", b="runs/cars/another")
            return f"Two runs are compared by the command: {command}"
        return super().lacks(needs)

    def check(self) -> None:
        """Refuses what does not fit the model. Raises UserError."""
        if self._given.labels is not None or self._given.data is not None:
            self._check_classes(self.network.classes)
        if self.config.layers is not None or self.config.units is not None:
            self.convolutions  # noqa: B018  asking for them is the check
        self.target  # noqa: B018

    def _check_classes(self, classes: int) -> None:
        labels, data = self._given.labels, self._given.data
        if labels is not None and len(labels) != classes:
            raise UserError(f"labels= names {len(labels)} classes; the model has {classes}.")
        if data is not None and data.classes > classes:
            raise UserError(f"data= has the label {data.classes - 1}; the model has the classes 0 to {classes - 1}.")
