"""The model that the user names by a run or by a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from convlens.core.errors import UserError
from convlens.models.keras_file.other_formats import other_format
from convlens.models.keras_file.reading import read_model
from convlens.training.run import Run

if TYPE_CHECKING:
    import keras


def model_file(source: str | os.PathLike) -> Path:
    """The model file of a run, or the file itself. Raises `UserError` where there is none."""
    if other_format(source):
        raise UserError(other_format(source))
    path = Path(source) if Path(source).suffix in (".keras", ".h5", ".hdf5") else Run.open(source).model_path
    if not path.exists():
        raise UserError(f"Model file {path} does not exist; give a run or a .keras file.")
    return path


def lasting_name(source: str) -> str:
    """A name of a run or file that stays valid, because `runs/cars/latest` will soon be another run.

    Raises `UserError` where there is no model.
    """
    file = model_file(source)
    return source if file == Path(source) else str(file.parent)


def load_model(source: str | os.PathLike) -> "keras.Model":
    """The model of a run, or in a `.keras` file, not compiled.

    Raises `UserError` where there is no file, `models.ModelError` for one that is damaged, hostile or not a model.
    """
    return read_model(model_file(source))
