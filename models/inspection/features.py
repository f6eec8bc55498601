"""Feature maps of any layer of any Keras model, at the steps filter, detect and condense of a convolution."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError, unknown
from convlens.models.inspection.graph import ANY_SIZE, STAGES, Graph, Tap, image_dtype, image_shape
from convlens.models.inspection.images import batches
from convlens.models.inspection.taps import noted_pass
from convlens.models.tensors import compiled

Features = dict[str, dict[str, np.ndarray]]
BATCH = 32  # images; the largest maps of 64 do not fit into memory that the allocator keeps, and cost page faults


class FeatureExtractor:
    """Features of chosen layers for a batch of images, a list of image files or a dataset.

    The forward pass, in inference mode, is compiled once and yields nothing but what was chosen. The model is left as
    it was, and its weights are read anew in every pass, so that an extractor may be kept while the model trains.

    `layers` names layers, a nested one by its path ("backbone/conv1"), a shared layer's second call as "conv1@2"; None
    takes every convolution. `stages` are "filter" (what the activation receives: convolution and bias, or the
    normalization between), "detect" (after the activation), "condense" (after the pooling that follows); a convolution
    lacks a stage that does not follow it. "output" is what a layer returns, and all there is of other layers.
    """

    def __init__(self, model: keras.Model, layers: Sequence[str] | str | None = None, stages: Sequence[str] = STAGES):
        self._model = model
        self._layers = [layers] if isinstance(layers, str) else layers
        self._stages = [stages] if isinstance(stages, str) else list(stages)
        for stage in self._stages:
            if stage not in (*STAGES, "output"):
                raise ModelError(unknown("stage", stage, (*STAGES, "output")))
        self._taps: dict[tuple[str, str], Tap] = {}
        shape = image_shape(model)
        # A subclassed model may not tell what it takes before it has been given images.
        self._image_shape = shape if shape is not None else (None, None, None)
        if self._image_shape[2] is not None:
            self._prepare(self._image_shape)

    def __call__(self, images: Any, batch_size: int = BATCH) -> Features:
        """`{layer: {stage: array (n, height, width, units)}}`, float32, for all `images` at once; copy before writing.

        `images` is anything that `stream` takes. Raises ModelError for images that the model does not take.
        """
        parts = list(self.stream(images, batch_size))
        if not parts:
            raise ModelError("there are no images to extract features of")
        if len(parts) == 1:
            return parts[0]
        return {
            layer: {stage: np.concatenate([part[layer][stage] for part in parts]) for stage in stages}
            for layer, stages in parts[0].items()
        }

    def stream(self, source: Any, batch_size: int = BATCH) -> Iterator[Features]:
        """The same, batch by batch, holding one batch at a time.

        `source` is an array of images (n, height, width, channels) in [0, 255], a list of image files, or an iterable
        of batches or single images with or without labels, such as a tf.data.Dataset.
        """
        for images in batches(source, batch_size, self._image_shape):
            if not self._taps:
                self._prepare(images.shape[1:])
            arrays = self._forward(images.astype(self._dtype, copy=False))
            features: Features = {}
            for (layer, stage), array in zip(self._taps, arrays, strict=True):
                features.setdefault(layer, {})[stage] = array
            yield features

    def _prepare(self, shape: tuple[int | None, int | None, int]) -> None:
        height, width, channels = shape
        self._dtype = image_dtype(self._model)
        graph = Graph(self._model, (height or ANY_SIZE, width or ANY_SIZE, channels), self._dtype)
        self._taps = _choose(graph, self._layers, self._stages)
        sizes = (None, None) if self._image_shape[2] is None else (height, width)
        self._forward = compiled(self._model, self._forward_pass, (*sizes, channels), self._dtype)

    def _forward_pass(self, images: Any, values: list[Any]) -> list[Any]:
        calls = {call.name: call for call in noted_pass(self._model, images, values)}
        return [keras.ops.cast(tap.of(calls[tap.call]), "float32") for tap in self._taps.values()]


def feature_extractor(
    model: keras.Model, layers: Sequence[str] | str | None = None, stages: Sequence[str] = STAGES
) -> FeatureExtractor:
    """An extractor of the features of `layers` (None: every convolution) at `stages`; see FeatureExtractor."""
    return FeatureExtractor(model, layers, stages)


def feature_maps(
    model: keras.Model, images: Any, layers: Sequence[str] | str | None = None, stages: Sequence[str] = STAGES
) -> Features:
    """`{layer: {stage: array (n, height, width, units)}}` of `images` at once; see FeatureExtractor."""
    return FeatureExtractor(model, layers, stages)(images)


def _choose(graph: Graph, layers: Sequence[str] | None, stages: Sequence[str]) -> dict[tuple[str, str], Tap]:
    nodes = {node.name: node for node in graph.nodes}
    if layers is None:
        layers = [node.name for node in graph.convolutions()]
        if not layers:
            raise ModelError("the model has no convolution; name the layers whose output is wanted")
    taps = {}
    for name in layers:
        if name not in nodes:
            raise ModelError(unknown("layer", name, nodes))
        node = nodes[name]
        if len(node.outputs) != 1:
            raise ModelError(f"layer '{name}' has {len(node.outputs)} outputs; name a layer inside it")
        found = {"output": Tap(name)}
        wanted = ["output"]
        if node.is_convolution:
            found |= graph.stages(node)
            wanted = stages
        taps |= {(name, stage): found[stage] for stage in wanted if stage in found}
    if not taps:
        raise ModelError(f"none of the layers {', '.join(layers)} has the stage {' or '.join(stages)}")
    return taps
