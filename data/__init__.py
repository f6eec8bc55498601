"""What a model learns from: images with labels, from an embedded dataset, a TFDS name or a folder."""

import importlib

# Looked up on first use: reading one image file, or a refused folder, must not wait for TensorFlow.
_HOMES = {
    "DataInfo": "data.dataset",
    "Dataset": "data.dataset",
    "open_dataset": "data.sources",
    "check_name": "data.names",
    "check_root": "data.folder",
    "fit_image": "data.images",
    "read_image": "data.images",
    "track": "data.progress",
}

__all__ = ["DataInfo", "Dataset", "check_name", "check_root", "fit_image", "open_dataset", "read_image", "track"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'data' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
