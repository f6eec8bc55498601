"""Names of figures as names of files: no two figures share one, whatever their layers are called."""

import hashlib
import re
import unicodedata
from pathlib import Path

_PATTERN = re.compile(r"(?P<figure>[^-]*)(?:-(?P<topic>.*?))??(?P<rest>-(?:unit|image)\d+)?", re.DOTALL)
_LONGEST = 100  # bytes of a layer's name: with the rest, and what is added while a file is written, 255 are not reached


class FileNames:
    """The files, without suffix, of the figures in a folder: those that are drawn now, and those that are there."""

    def __init__(self, folder: Path):
        drawn = sorted(folder.glob("*.png"))
        self._taken: dict[str, tuple[str, str | None]] = {_folded(path.stem): (path.stem, None) for path in drawn}

    def of(self, name: str) -> str:
        """The file of a figure of this name; the same as ever where it was drawn before.

        A figure of another name has another file, also on a disk that takes no account of upper and lower case. One
        that was named in this way already has a file of its own, too.
        """
        count = 0
        while True:
            file = file_name(name, count)
            taken, drawn = self._taken.get(_folded(file), (file, None))
            if taken == file and drawn is None:
                self._taken[_folded(file)] = file, name
                return file
            count += 1


def file_name(name: str, count: int = 0) -> str:
    """`<figure>-<layer>-unit3` as the name of a file, without suffix; further ones where there is a count.

    What files cannot be called, or only some of them, is replaced; a digest of the layer's name then tells it from
    others.
    """
    match = _PATTERN.fullmatch(name)
    assert match is not None, "the pattern takes every name"
    figure, topic, rest = _plain(match["figure"]), match["topic"], match["rest"] or ""
    if count and not topic:
        return f"{figure}{rest}~{_digest(name, count)}"
    return figure + (f"-{_topic(topic, count)}" if topic else "") + rest


def names_of_layer(layer: str) -> tuple[str, str]:
    """Both forms of a layer's name in file names: the usual one, and the one used if another layer's collides."""
    return _topic(layer, 0), _topic(layer, 1)


def _topic(topic: str, count: int) -> str:
    plain = _plain(topic)
    while len(plain.encode()) > _LONGEST:
        plain = plain[:-1]
    return plain if plain == topic and not count else f"{plain}~{_digest(topic, count)}"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.@-]+", "_", text)


def _digest(text: str, count: int) -> str:
    return hashlib.blake2b(f"{text}\0{count}".encode("utf-8", "surrogateescape"), digest_size=3).hexdigest()


def _folded(file: str) -> str:
    """A key that is equal for two names that some disks consider the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", file).casefold())
