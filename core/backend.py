"""Choosing by the name of Keras' backend: what must be said differently to each is named for each."""

from typing import TypeVar

from convlens.core.errors import UserError, unknown

T = TypeVar("T")


def by_backend(*, tensorflow: T, jax: T) -> T:
    """What is meant for the backend that Keras runs on: functions, mostly, of which one is chosen and then called.

    Raises `UserError` on any other backend.
    """
    import keras

    choices = {"tensorflow": tensorflow, "jax": jax}
    name = keras.backend.backend()
    if name not in choices:
        raise UserError(unknown("Keras backend", name, choices) + " Set KERAS_BACKEND before Keras is imported.")
    return choices[name]
