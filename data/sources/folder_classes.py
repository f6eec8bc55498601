"""Which folders are classes: what they may be called, and where the links among them may lead."""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from convlens.core.errors import UserError
from convlens.core.program import word

_SUBJECTS = "(set|data|images|imgs|photos|folder)?"  # what a split's name may have behind its role
_ROLES = {
    "train": re.compile(f"train(ing)?{_SUBJECTS}"),
    "validation": re.compile(f"(val|valid|validation|validate|dev){_SUBJECTS}"),
    "test": re.compile(f"test(ing)?{_SUBJECTS}"),
}


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
                links = [str(linked) for linked in (folder, other_folder) if linked.is_symlink()]
                advice = f"remove the link {links[0]}" if links else f"move {other_folder} out of it"
                raise UserError(
                    f"{link}, which holds images of {other_folder}: they would be both '{name}' and '{other}'. "
                    f"Give another data.root, or {advice}."
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


def refuse_splits_as_classes(root: Path, names: Iterable[str]) -> None:
    """Raises `UserError` where folders that would be classes are splits by their names, with classes in them."""
    splits: dict[str, str] = {}
    for name in names:
        role = role_by_name(name)
        if role and len(folders_below(root / name)) > 1:
            splits.setdefault(role, name)
    if "train" in splits and len(splits) > 1:
        in_order = {role: splits[role] for role in _ROLES if role in splits}
        shown = " and ".join(repr(name) for name in in_order.values())
        advice = " ".join(word(f"data.splits.{role}", name) for role, name in in_order.items())
        raise UserError(
            f"{root} holds {shown}, with further folders in them, which are splits rather than classes by their names; "
            f"to use them so: {advice}. If they are classes after all, list them in data.classes."
        )


def role_by_name(name: str) -> str:
    """The role that a folder's name hints at, such as 'test' for `seg_test` or `Testing`; '' for none."""
    words = re.findall("[a-z]+", name.casefold())
    return next((role for role, pattern in _ROLES.items() if any(map(pattern.fullmatch, words))), "")


def only_class_line(folder: Path) -> str:
    """The line where all images lie in the folder of a single class, with the folder whose folders may be meant."""
    line = f"Only one class found, '{folder.name}'; a classifier needs at least two."
    below = folders_below(folder)
    while len(below) == 1:
        folder = folder / below[0]
        below = folders_below(folder)
    if not below:
        return line
    named = ", ".join(repr(name) for name in below[:3]) + (", ..." if len(below) > 3 else "")
    return f"{line} If its folders are classes or splits ({named}): {word('data.root', folder)}"


def folders_below(folder: Path) -> list[str]:
    """The names of the folders directly below one, sorted, but for hidden ones."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
    except OSError:
        return []


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
    shown = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    return " ".join(shown.casefold().replace("_", " ").split())
