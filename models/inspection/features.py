"""Feature maps of any layer of any Keras model, at the steps filter, detect and condense of a convolution."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError
from convlens.models.inspection.batches import image_batches
from convlens.models.inspection.graph import STAGES, Tap
from convlens.models.inspection.inspection import Inspection

Features = dict[str, dict[str, np.ndarray]]
BATCH = 32  # images; the largest maps of 64 do not fit into memory that the allocator keeps, and cost page faults


class FeatureExtractor:
    """Features of chosen layers for a batch of images, a list of image files or a dataset.

    The forward pass, in inference mode, is compiled once and returns only the chosen features. The model is not
    changed. Its weights are read in every pass, so you can keep an extractor while the model trains.

    `layers` names layers, a nested one by its path ("backbone/conv1"), a shared layer's second call as "conv1@2"; None
    takes every convolution. `stages` are "filter" (what the activation receives: convolution and bias, or the
    normalization between), "detect" (after the activation), "condense" (after the pooling that follows); a stage that
    does not follow a convolution is missing. "output" is what a layer returns and "input" what it reads; other layers
    have only these two. `value_range` is the one in `run.config.data`: it says how values in image files become pixels.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str] | str | None = None,
        stages: Sequence[str] = STAGES,
        value_range: Sequence[float] | None = None,
    ):
        self._inspection = Inspection(model)
        self._layers, self._stages, self._value_range = layers, stages, value_range
        self._taps: dict[tuple[str, str], Tap] | None = None
        if self._inspection.image_shape[2] is not None:
            self._taps = self._inspection.taps(layers, stages)

    def __call__(self, images: Any, batch_size: int = BATCH) -> Features:
        """`{layer: {stage: array (n, height, width, units)}}`, float32, for all `images` at once; copy before writing.

        `images` is anything that `stream` takes. Raises ModelError for images that the model does not take.
        """
        batches = list(self.stream(images, batch_size))
        if not batches:
            raise ModelError("there are no images to extract features of")
        if len(batches) == 1:
            return batches[0]
        return {
            layer: {stage: np.concatenate([batch[layer][stage] for batch in batches]) for stage in stages}
            for layer, stages in batches[0].items()
        }

    def stream(self, source: Any, batch_size: int = BATCH) -> Iterator[Features]:
        """The same features, batch by batch, with one batch in memory at a time.

        `source` is an array of images (n, height, width, channels) in [0, 255], a list of image files, or an iterable
        of batches or single images with or without labels, such as a tf.data.Dataset.
        """
        for images in image_batches(source, batch_size, self._inspection.image_shape, self._value_range):
            if self._taps is None:
                size, channels = images.shape[1:3], images.shape[3]
                self._taps = self._inspection.taps(self._layers, self._stages, size=size, channels=channels)
            features: Features = {}
            for (layer, stage), array in self._inspection.maps(images, self._taps).items():
                features.setdefault(layer, {})[stage] = array
            yield features


def feature_extractor(
    model: keras.Model,
    layers: Sequence[str] | str | None = None,
    stages: Sequence[str] = STAGES,
    value_range: Sequence[float] | None = None,
) -> FeatureExtractor:
    """An extractor of the features of `layers` (None: every convolution) at `stages`; see FeatureExtractor."""
    return FeatureExtractor(model, layers, stages, value_range)


def feature_maps(
    model: keras.Model,
    images: Any,
    layers: Sequence[str] | str | None = None,
    stages: Sequence[str] = STAGES,
    value_range: Sequence[float] | None = None,
) -> Features:
    """`{layer: {stage: array (n, height, width, units)}}` of `images` at once; see FeatureExtractor."""
    return FeatureExtractor(model, layers, stages, value_range)(images)
