"""Which backend Keras computes with: chosen and checked before Keras is imported."""

import importlib.util
import os
import sys

from convlens.core.errors import UserError, unknown
from convlens.core.program import install_line

BACKENDS = ("tensorflow", "jax")


def choose_backend() -> str:
    """The backend's name: of Keras where it is imported already, else what KERAS_BACKEND says, else tensorflow.

    Raises `UserError` for one that this package does not work with, or that is not installed.
    """
    loaded = sys.modules.get("keras")
    if loaded:
        backend = loaded.backend.backend()
    else:
        backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise UserError(unknown("KERAS_BACKEND", backend, BACKENDS))
    if not loaded and importlib.util.find_spec(backend) is None:
        extra = "jax" if backend == "jax" else ""
        raise UserError(f"KERAS_BACKEND={backend}, but {backend} is not installed; run: {install_line(extra)}")
    return backend
