"""The images that a person named, as the network takes them, and what it says of each."""

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret
from convlens.core.errors import ModelError
from convlens.core.progress import progress_bar
from convlens.core.quiet import quietly
from convlens.gallery.choices import class_index
from convlens.gallery.photos import Photo, asks_for_data, read_files, read_photos
from convlens.gallery.split_inputs import BATCH, SplitInputs

if TYPE_CHECKING:
    from convlens.configs import Visualize
    from convlens.training import Run

KNOWN_IMAGES = 500  # of validation, whose scores say what is like the training data
UNLIKE = "none of these, perhaps: it is unlike the images of the dataset"


class ImageInputs(SplitInputs):
    """A network that looks at images: files, or examples of a split.

    Image files are read at once, so that a missing one is reported before anything is loaded.
    """

    def __init__(self, config: "Visualize", run: "Run | None", figures: Collection[str]):
        super().__init__(config, run, figures)
        self.attribution_maps: dict[str, np.ndarray | None] = {}  # computed so far, by method; None: not possible
        self._files = read_files(config, run)

    @cached_property
    def photos(self) -> list[Photo]:
        """The images that the user named, each at its own size."""
        dataset = self.data if self.run and asks_for_data(self.config) else None
        return read_photos(self.config, self.run, self._files, dataset)

    @cached_property
    def images(self) -> np.ndarray:
        """The images that the user wants to look at, in the form that the model takes, (n, height, width, channels)."""
        from convlens.data import fit_image
        from convlens.models.inspection.graph import image_shape

        height, width, channels = image_shape(self.model) or (None, None, 3)
        # Where a model takes any size, the first image's own is everyone's.
        own_height, own_width = self.photos[0].pixels.shape[:2]
        size = (height or own_height, width or own_width)
        return np.stack([fit_image(photo.pixels, size, channels, self._resize) for photo in self.photos])

    @property
    def _resize(self) -> str:
        """How images are brought to the model's shape."""
        return self.run.config.data.resize if self.run else "crop"

    @property
    def names(self) -> list[str]:
        return [photo.name for photo in self.photos]

    @property
    def notes(self) -> list[str]:
        """Of each image, what was done to its shape before the network saw it."""
        size = self.images.shape[1:3]
        return [change_of_shape(photo.pixels.shape[:2], size, self._resize) for photo in self.photos]

    def true_labels(self, rows: slice = slice(None)) -> list[int] | None:
        """The true class of each image; None if that of any image is unknown."""
        photos = self.photos[rows]
        labels = [photo.label for photo in photos if photo.label is not None]
        return labels if len(labels) == len(photos) else None

    @property
    def rows_in_sample(self) -> list[int]:
        """The row of each image in the sample; -1 if it is not in it."""
        row_of: dict[int | None, int] = {int(index): row for row, index in enumerate(self.sample)}
        return [row_of.get(photo.index, -1) for photo in self.photos]

    @cached_property
    def logits(self) -> np.ndarray:
        """What the model says of the images, (n, classes)."""
        return interpret.class_logits(self.network, self.images)

    @cached_property
    def target(self) -> int | None:
        """The class that the user named. Raises UserError where there is none of that name."""
        where = str(self.run.labels_path) if self.run else ""
        return None if self.config.target is None else class_index(self.config.target, self.labels, where=where)

    @cached_property
    def targets(self) -> np.ndarray:
        """The class that is explained of each image, (n,): the one that the user named, or what the model says."""
        return self.logits.argmax(axis=1) if self.target is None else np.full(len(self.images), self.target)

    @cached_property
    def familiarity(self) -> "interpret.Familiarity | None":
        """The distribution of the network's scores on its run's validation images; None if there are none."""
        if self.run is None or self.lacks_data:
            return None
        split = "validation" if self.data.info.sizes.get("validation") else self.config.split
        total, logits = min(KNOWN_IMAGES, self.data.info.sizes[split]), []
        with progress_bar("Measuring known images", total) as progress:
            for images, _, _ in self.data.sample(split, BATCH, total):
                logits.append(interpret.class_logits(self.network, images))
                progress(sum(map(len, logits)), total)
        return interpret.Familiarity(interpret.energy_score(np.concatenate(logits)))

    @cached_property
    def verdicts(self) -> list[str]:
        """For each image that is of no split: a warning that it may belong to none of the classes, if its scores are
        unusual.
        """
        strangers = [photo.label is None for photo in self.photos]
        try:
            familiarity = self.familiarity if any(strangers) else None
            unlike = None if familiarity is None else familiarity.unlike(self.logits)
        except ModelError:  # no classifier, or one that is out of reach: nothing is said
            unlike = None
        if unlike is None:
            return [""] * len(strangers)
        return [UNLIKE if stranger and far else "" for stranger, far in zip(strangers, unlike, strict=True)]

    @cached_property
    def observation(self) -> "interpret.Observation":
        """Kernels and, from one forward pass, the maps of the images."""
        starts = {name: self.start_of(info) for name, info in self.convolutions.items()}
        with quietly():
            observation = interpret.observe(
                self.model, self.images, list(self.convolutions),
                starts={name: start for name, start in starts.items() if start is not None},
                reading="extraction" in self.figures,
            )  # fmt: skip
        verdicts = self.verdicts if "pipeline" in self.figures else ()
        return replace(
            observation, names=self.names, notes=self.notes, verdicts=verdicts, probabilities=self._probabilities()
        )

    def _probabilities(self) -> np.ndarray | None:
        """Of each class for each image, (n, classes), where the network is that of a run."""
        if self.run is None:
            return None
        import keras

        logits = keras.ops.convert_to_tensor(self.model.predict(self.images.astype("float32"), verbose=0))
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def change_of_shape(own: tuple[int, int], size: tuple[int, int], resize: str) -> str:
    """What resizing an image of its `own` (height, width) to another size does to its shape; "" for nothing."""
    height, width = own
    factor = max(size[0] / height, size[1] / width)
    shown = min(height, round(size[0] / factor)), min(width, round(size[1] / factor))
    if height - shown[0] < 2 and width - shown[1] < 2:
        return ""
    if resize == "crop":
        return f"cropped: the middle {shown[0]}×{shown[1]} of {height}×{width}"
    return f"{'stretched' if resize == 'stretch' else 'between black bars'}: it was {height}×{width}"
