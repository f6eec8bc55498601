"""Which folders are classes: what they may be called, and where the links among them may lead."""

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from convlens.core.errors import UserError


class ClassFolders:
    """The folders of classes of all roles, by where they really lie, so that no image is taken for another class.

    Raises:
        UserError: a folder of a class is that of another one, or holds it.
    """

    def __init__(self, names: Mapping[Path, Iterable[str]]):
        """`names`: the folder of a role -> its classes."""
        self._class_of: dict[str, tuple[str, Path]] = {}
        for folder, classes in names.items():
            for name in classes:
                self.check(folder / name, name)
                self._class_of[os.path.realpath(folder / name)] = name, folder / name

    def check(self, folder: Path, name: str) -> None:
        """Raises `UserError` where a folder, taken for one of class `name`, is or holds or lies in another class's."""
        target = os.path.realpath(folder)
        for path, (other, other_folder) in self._class_of.items():
            if other != name and (_holds(target, path) or _holds(path, target)):
                link = f"{folder} is a link to {target}" if folder.is_symlink() else f"{folder} lies in {target}"
                raise UserError(
                    f"{link}, which holds images of {other_folder}: they would be both '{name}' and '{other}'. "
                    f"Remove {folder if folder.is_symlink() else other_folder}."
                )


def _holds(folder: str, path: str) -> bool:
    return os.path.commonpath([folder, path]) == folder


def refuse_same_words(classes: Iterable[str]) -> None:
    """Raises `UserError` where two names of classes are one word in two ways of writing Unicode."""
    seen: dict[str, str] = {}
    for name in classes:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise UserError(
                f"The classes {ascii(other)} and {ascii(name)} are the same word, '{name}', in two Unicode forms: some "
                "systems write accents as separate characters. Give all of its folders one of the two names."
            )


def similar_names_notes(classes: Iterable[str]) -> list[str]:
    """A line for names of classes that differ in upper and lower case or in spaces alone."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(_spoken(name), []).append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    return [
        f"{' and '.join(repr(name) for name in names)} are separate classes, although they differ only in upper and "
        "lower case or in spaces. If they are one class, give their folders one name."
        for names in alike
    ]


def other_spelling(name: str, names: Iterable[str]) -> str:
    """A name that differs from this one in upper and lower case or in spaces alone; '' where there is none."""
    return next((other for other in names if other != name and _spoken(other) == _spoken(name)), "")


def _spoken(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())
