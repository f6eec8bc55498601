"""The words of the command that a picture was drawn with, kept in the picture itself.

Pictures of a figure have one name, whatever was chosen of it (`sort=`, `scale=`, `image=`), so that the last one takes
the place of the one before. What was chosen is written into the PNG, where it cannot be parted from the picture.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlens.core.program import word

if TYPE_CHECKING:
    from convlens.configs import Visualize

# Which network is drawn, from which images and where to: the same for every picture of a folder.
_PLACES = ("run", "a", "b", "model", "runs_dir", "out", "data")
KEYWORD = "convlens"  # of the text in a PNG
_LONGEST = 2**20  # bytes of it


def words_for(config: "Visualize", figure: str) -> str:
    """What to type behind the command and its run to draw a figure again: its name, and every choice that was made."""
    figures = [] if config.kernel is not None else [word("figures", figure)]
    return " ".join((*figures, *_choices(config)))


def _choices(section: Any, prefix: str = "") -> Iterator[str]:
    """A word for each key whose value is not the default."""
    usual = type(section)()
    for key in type(section).model_fields:
        value = getattr(section, key)
        if value == getattr(usual, key) or (not prefix and key in (*_PLACES, "figures")):
            continue
        if hasattr(type(value), "model_fields"):
            yield from _choices(value, f"{prefix}{key}.")
        else:
            yield word(f"{prefix}{key}", "null" if value is None else value)


def as_text(words: str) -> dict[str, str]:
    """Words as the text of a PNG, by its keyword. It holds Latin-1 alone, so that they are written as JSON."""
    return {KEYWORD: json.dumps(words)}


def words_in(picture: Path) -> str:
    """The words that a PNG was drawn with; "" where it does not say, or cannot be read."""
    if not picture.is_file():  # a pipe of that name would never end
        return ""
    try:
        with picture.open("rb") as file:
            file.seek(8)  # the signature
            while len(head := file.read(8)) == 8:
                length, kind = struct.unpack(">I4s", head)
                if kind == b"IDAT" or length > _LONGEST:
                    return ""
                keyword, _, text = file.read(length).partition(b"\0")
                if kind == b"tEXt" and keyword == KEYWORD.encode():
                    words = json.loads(text)
                    return words if isinstance(words, str) else ""
                file.seek(4, 1)  # the checksum
    except (OSError, ValueError):
        pass
    return ""
