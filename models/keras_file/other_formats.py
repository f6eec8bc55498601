"""Models that Keras saves in another form than `.keras`: what they are, and how to get a `.keras` file from them."""

import os
from pathlib import Path

_HDF5 = b"\x89HDF\r\n\x1a\n"


def other_format(path: str | os.PathLike) -> str:
    """The line for an .h5 file or a SavedModel folder, which are not read; '' for anything else.

    What such a file says is not followed here: in both, code may hide, so plain Keras has to open them, and only those
    that one trusts.
    """
    path = Path(path)
    try:
        if path.is_dir():
            if (path / "saved_model.pb").exists() or (path / "saved_model.pbtxt").exists():
                return (
                    f"{path} is a SavedModel: it holds a graph of operations, not layers that convlens can look "
                    'into. Save a .keras file from the code that made the model: model.save("model.keras")'
                )
            return ""
        if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
            return ""
        with path.open("rb") as file:
            if file.read(len(_HDF5)) != _HDF5:
                return ""
    except OSError:
        return ""
    if path.name.endswith(".weights.h5"):
        return (
            f"{path} holds only weights, no layers. Load it into the model that your code makes, "
            f'model.load_weights({str(path)!r}), and save that: model.save("model.keras")'
        )
    return (
        f"{path} is an HDF5 file (.h5) of Keras, which can hide code and is not read. If you trust who made it, make a "
        f".keras file of it with plain Keras: import keras; "
        f'keras.saving.load_model({str(path)!r}, compile=False).save("model.keras")'
    )
