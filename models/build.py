"""From a configuration to a Keras model."""

from collections.abc import Sequence
from typing import Any

import keras

from convlens.models.convnet import build_convnet
from convlens.models.from_file import build_from_file
from convlens.models.resnet import build_resnet
from convlens.models.shapes import check_model

FAMILIES = {"convnet": build_convnet, "resnet": build_resnet, "keras": build_from_file}


def build_model(
    config: Any, image_size: Sequence[int], channels: int, classes: int, *, seed: int | None = None
) -> keras.Model:
    """The network that `config` (see configs/schema.py, `Model`) describes, for images of `image_size` (height, width).

    The model takes images (batch, height, width, channels), uint8 or float in [0, 255], and gives logits (batch,
    classes). The same seed gives the same weights. Raises ModelError, before anything is built, if the network does not
    fit its input.
    """
    check_model(config, image_size, channels, classes)
    return FAMILIES[config.family](config, image_size, channels, classes, seed=seed)
