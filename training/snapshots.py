"""Saves what the network looks like before training and after epochs, so that figures can show how it changed."""

from collections.abc import Callable, Mapping
from typing import Protocol

import keras
import numpy as np

from convlens.core.errors import ModelError
from convlens.training.run import Run

Arrays = Mapping[str, np.ndarray]


class Pack(Protocol):
    """Gives the bytes of a file."""

    def __call__(self, epoch: int, kernels: Arrays, maps: Arrays, *, whole: bool) -> bytes:
        """Of an epoch's kernels and feature maps by layer; `whole`: nothing of the kernels may be left out."""


class Snapshots(keras.callbacks.Callback):
    """Keeps kernels and the feature maps of one image at about `most` epochs, evenly spread; the last one always.

    `image` is (height, width, channels); `pack` makes the bytes of a file. `begins`: the model is as yet untrained,
    which is kept as epoch 0. A training that is given more epochs goes on in its steps, or in a multiple of them, and
    drops what lies between.
    """

    def __init__(self, run: Run, image: np.ndarray, pack: Pack, most: int, begins: bool):
        super().__init__()
        self.run, self.image, self.pack, self.most, self.begins = run, image, pack, most, begins

    def on_train_begin(self, logs=None):
        from convlens.models.inspection.convolutions import kernel_variables

        self.kernels = kernel_variables(self.model)
        self.maps = detected_maps(self.model) if self.kernels else None
        kept = [] if self.begins else self.run.snapshot_epochs
        first_kept = next((epoch for epoch in kept if epoch), 1)
        self.every = first_kept * max(1, round(self.params["epochs"] / (self.most * first_kept)))
        if self.begins:
            self._keep(0)
        for epoch in kept:
            if epoch % self.every:
                self.run.drop_snapshot(epoch)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            self._keep(epoch + 1)

    def _keep(self, epoch: int) -> None:
        if self.maps is None:  # no convolution, nothing to see
            return
        kernels = {layer: keras.ops.convert_to_numpy(kernel) for layer, kernel in self.kernels.items()}
        self.run.write_snapshot(epoch, self.pack(epoch, kernels, self.maps(self.image[None]), whole=epoch == 0))


def detected_maps(model: keras.Model) -> Callable[[np.ndarray], Arrays]:
    """Gives the maps after each convolution's activation, by layer; where none has one, what convolutions compute."""
    from convlens.models import feature_extractor

    stage = "detect"
    try:
        extractor = feature_extractor(model, stages=(stage,))
    except ModelError:
        stage = "filter"
        extractor = feature_extractor(model, stages=(stage,))
    return lambda images: {layer: stages[stage] for layer, stages in extractor(images).items()}
