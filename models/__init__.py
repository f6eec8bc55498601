"""What learns: convolutional networks, their shapes, and the features inside any Keras model."""

from importlib import import_module
from typing import Any

from models.errors import ModelError
from models.shapes import BlockShape, check_model

# Found on first use, so that checking a configuration does not wait for Keras to be imported.
_NEEDS_KERAS = {
    "ConvInfo": "models.kernels",
    "FeatureExtractor": "models.features",
    "build_convnet": "models.convnet",
    "build_model": "models.build",
    "build_resnet": "models.resnet",
    "conv_layers": "models.kernels",
    "feature_extractor": "models.features",
    "feature_maps": "models.features",
}

__all__ = ["BlockShape", "ModelError", "check_model", *_NEEDS_KERAS]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_KERAS:
        raise AttributeError(f"module 'models' has no attribute '{name}'")
    return getattr(import_module(_NEEDS_KERAS[name]), name)
