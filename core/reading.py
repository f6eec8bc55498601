"""Files that others may have made, read within limits."""

import os
import stat
from pathlib import Path

from convlens.core.errors import UserError


def read_regular(path: Path, *, most: int, expected: str) -> bytes:
    """The content of a regular file of at most `most` bytes; of a larger one, nothing more is read.

    Raises `UserError` for a file that is larger, that is missing or cannot be read, and for anything else that has a
    name, such as a folder, a FIFO or a device; `expected` says what should have been there.
    """
    try:
        # Before opening: opening a FIFO waits for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{path} is not a regular file; expected {expected}.")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; expected {expected}.") from None
    if len(content) > most:
        raise UserError(f"{path} has more than {most:,} bytes; expected {expected}.")
    return content
