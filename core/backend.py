"""The backend that Keras computes with, and the choice of code for it."""

import importlib.util
import os
import sys
from typing import TypeVar

from convlens.core.errors import UserError, unknown
from convlens.core.program import install_line

BACKENDS = ("tensorflow", "jax")
T = TypeVar("T")


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


def by_backend(*, tensorflow: T, jax: T) -> T:
    """The entry for the backend that Keras runs on, usually a function. Raises `UserError` on any other backend.

    Raises `UserError` on any other backend.
    """
    import keras

    choices = {"tensorflow": tensorflow, "jax": jax}
    name = keras.backend.backend()
    if name not in choices:
        raise UserError(unknown("Keras backend", name, choices) + " Set KERAS_BACKEND before Keras is imported.")
    return choices[name]
