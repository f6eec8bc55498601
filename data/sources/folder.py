"""A folder of photos: `train/<class>/*` beside `validation` and `test`, or one folder of classes."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from convlens.configs import Data
from convlens.configs.schema import Splits
from convlens.core.errors import UserError, nearest
from convlens.core.program import word
from convlens.core.progress import progress_bar
from convlens.data.base import ROLES
from convlens.data.images import SUFFIXES, differing_sizes
from convlens.data.sources.folder_classes import (
    ClassFolders,
    folders_below,
    only_class_line,
    other_spelling,
    refuse_same_words,
    refuse_splits_as_classes,
    role_by_name,
    similar_names_notes,
)
from convlens.data.sources.folder_split import FolderSplit, Photos
from convlens.data.splits import carve_missing, kept_classes, known_classes, listed, named_split
from convlens.data.survey import Survey, contradiction_notes, shared_image_notes

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_SAMPLE = 500  # files whose headers tell the size of all


class FolderSource:
    """A folder of photos, scanned, with every photo looked at.

    Attributes: name, classes, splits (role -> FolderSplit), inspections (role -> one for each image), notes (lines that
    the user should read), skipped (a line for each image that was left out).

    Raises:
        UserError: no folder, no images, an image that cannot be used (unless these are skipped), an empty class, a
            class that only some splits have, many photos that are in two splits.
    """

    def __init__(self, config: Data, progress: bool = False):
        self.root = check_root(config.image_root)
        self.name = self.root.resolve().name
        self.notes: list[str] = []
        self._photos = Photos(self.root)
        self._left_out: Counter = Counter()
        folders = self._role_folders(config.splits)
        files = self._find_images(folders)
        class_names = sorted({name for classes in files.values() for name in classes})
        if config.classes is None:
            self._refuse_other_layouts(folders, class_names)
        self.classes = kept_classes(class_names, config.classes)
        refuse_same_words(self.classes)
        self._train_only = known_classes("data.train_only", config.train_only, self.classes)
        self._refuse_uneven_classes(folders, files)

        names = [file for classes in files.values() for name in self.classes for file in classes.get(name, ())]
        survey = self._survey(names, progress)
        self.skipped = survey.skipped(config.on_error)
        if self.skipped:
            files = {role: _without(classes, survey.problems) for role, classes in files.items()}
            self._refuse_uneven_classes(folders, files)
        self._usable = survey.usable

        splits = {role: self._split(classes) for role, classes in files.items()}
        keys = splits["train"].names  # relative to the root
        self.splits, carved = carve_missing(
            splits, keys, config.validation_share, self.classes, str(self.root), self._train_only
        )
        self.inspections = survey.of(self.splits)
        self.notes += similar_names_notes(self.classes) + carved + survey.notes(self.skipped)
        self.notes += shared_image_notes(self.splits, self.inspections)
        self.notes += contradiction_notes(self.splits, self.inspections, self.classes)
        if self._left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self._left_out.most_common(5))
            self.notes.append(
                f"Files in {self.root} that are not {', '.join(SUFFIXES)} in a class folder were left out: {kinds}."
            )

    @cached_property
    def fingerprint(self) -> str:
        """A digest of every file's path, role, label and content: it changes when the photos do."""
        digest = hashlib.blake2b(digest_size=16)
        for role, split in self.splits.items():
            for name, label in zip(split.names, split.labels.tolist(), strict=True):
                line = f"{role}\0{label}\0{name}\0{self._usable[name].content}\0"
                digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def shape(self, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
        """(height, width, channels), as a sample of the files has it where the configuration leaves them open."""
        names = [name for split in self.splits.values() for name in split.names]
        sample = [self._usable[name] for name in names[:: max(1, len(names) // _SAMPLE)]]
        sizes = [(inspection.height, inspection.width) for inspection in sample]
        if image_size is None and len(set(sizes)) > 1:
            raise UserError(differing_sizes(self.root, sizes))
        return *(image_size or sizes[0]), channels or max(inspection.channels for inspection in sample)

    def fault(self) -> str:
        """What is wrong with the first file that can no longer be used, if there is one."""
        survey = self._survey([name for split in self.splits.values() for name in split.names], False)
        return next(iter(survey.problems.values()), "")

    def part_names(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """Photos come without masks of parts."""
        return ()

    def _survey(self, names: list[str], progress: bool) -> Survey:
        with progress_bar("Looking at the images", len(names), shown=progress) as bar:
            return self._photos.survey(names, bar)

    def _role_folders(self, given: Splits) -> dict[str, Path]:
        inside = _folders_in(self.root)
        candidates = _split_candidates(inside, given)
        folders = {}
        for role in ROLES:
            name = getattr(given, role)
            if name is not None and name not in inside:
                guess = nearest(name, inside)
                hint = f" Did you mean '{guess}'?" if guess else ""
                raise UserError(f"data.splits.{role}={name}: {self.root} has no folder of that name.{hint}")
            name = name or named_split(role, candidates)
            if name:
                folders[role] = self.root / name
        if "train" in folders:
            _refuse_one_folder_twice(folders)
            self._tell_unused(folders)
            return folders
        if folders:
            other = next(iter(folders.values()))
            rest = [name for name in inside if name not in {path.name for path in folders.values()} and name[0] != "."]
            instead = ("data.splits.train", nearest("train", rest) or rest[0]) if rest else ("data.root", str(other))
            advice = word(*instead)
            what = "name the one to train on" if rest else "to have its images split automatically"
            raise UserError(f"{self.root} has a folder '{other.name}' but no folder 'train'; {what}: {advice}")
        return {"train": self.root}

    def _tell_unused(self, folders: Mapping[str, Path]) -> None:
        """A note where there are folders beside the splits, which are not used."""
        used = {path.name for path in folders.values()}
        unused = [name for name in folders_below(self.root) if name not in used]
        if not unused:
            return
        shown = ", ".join(repr(name) for name in unused[:3]) + (", ..." if len(unused) > 3 else "")
        roles = {role: name for name in unused if (role := role_by_name(name)) and role not in folders}
        advice = " ".join(word(f"data.splits.{role}", name) for role, name in roles.items())
        self.notes.append(
            f"Folders in {self.root} that are no split were left out: {shown}."
            + (f" To use: {advice}" if advice else "")
        )

    def _find_images(self, folders: Mapping[str, Path]) -> dict[str, dict[str, list[str]]]:
        """Role -> class name -> its images, as sorted paths relative to the root with forward slashes."""
        names = {
            folder: sorted(name for name in _folders_in(folder) if not name.startswith("."))
            for folder in folders.values()
        }
        class_folders = ClassFolders(names)
        files = {}
        for role, folder in folders.items():
            files[role] = {name: sorted(self._images_under(folder / name, class_folders)) for name in names[folder]}
            loose = sum(os.path.splitext(name)[1].lower() in SUFFIXES for name in os.listdir(folder))
            self._left_out["outside of every class folder"] += loose
            if not any(files[role].values()):
                raise UserError(_no_classes(folder, loose, folders["train"]))
        self._left_out += Counter()  # drops zeros
        for role, classes in files.items():
            if not any(name in files["train"] or other_spelling(name, files["train"]) for name in classes):
                raise UserError(_no_classes(folders[role], 0, folders["train"]))
        return files

    def _refuse_other_layouts(self, folders: Mapping[str, Path], names: list[str]) -> None:
        """Raises `UserError` where the folders that were found are not those of classes, as far as one can see."""
        if len(folders) == 1 and folders["train"] == self.root:
            refuse_splits_as_classes(self.root, names)
        if len(folders) == 1 and len(names) == 1:
            raise UserError(only_class_line(folders["train"] / names[0]))

    def _images_under(self, folder: Path, class_folders: ClassFolders) -> Iterator[str]:
        seen = set()
        for directory, below, files in os.walk(folder, onerror=_refuse_unreadable, followlinks=True):
            real = os.path.realpath(directory)
            if real in seen:  # two links, or a link and a folder, may lead there
                below.clear()
                continue
            seen.add(real)
            for name in below:
                if os.path.islink(os.path.join(directory, name)):
                    class_folders.check(Path(directory, name), folder.name)
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in files:
                if name.startswith("."):
                    continue
                suffix = os.path.splitext(name)[1].lower()
                if suffix in SUFFIXES:
                    yield Path(directory, name).relative_to(self.root).as_posix()
                else:
                    self._left_out[suffix or "without a suffix"] += 1

    def _refuse_uneven_classes(self, folders: dict[str, Path], files: dict[str, dict[str, list[str]]]) -> None:
        for name in self.classes:
            having = [role for role in files if name in files[role]]
            for role in files:
                if role != "train" and name in self._train_only and "train" in having:
                    continue
                if name not in files[role]:
                    raise UserError(self._missing_class(name, folders[having[0]], folders[role], files))
                if not files[role][name]:
                    raise UserError(self._empty_class(folders[role] / name, files))

    def _empty_class(self, folder: Path, files: Mapping[str, Mapping[str, Collection[str]]]) -> str:
        kept = [other for other in self.classes if all(classes.get(other) for classes in files.values())]
        instead = f"keep the others: {listed('data.classes', kept)}" if len(kept) > 1 else "add others"
        return f"Class folder {folder} holds no images; fill it, remove it, or {instead}"

    def _missing_class(self, name: str, there: Path, missing: Path, files: Mapping[str, Mapping[str, object]]) -> str:
        line = f"Class '{name}' is in {there} but not in {missing}; "
        spelling = other_spelling(name, [other for classes in files.values() for other in classes])
        if spelling:
            return f"{line}there is '{spelling}': give both folders one name."
        kept = [other for other in self.classes if all(other in classes for classes in files.values())]
        line += "every split needs every class: add it, or remove it"
        if len(kept) >= 2:
            line += f", or keep the others: {listed('data.classes', kept)}"
        if name in files["train"]:
            few = [other for other in self.classes if other in files["train"] and other not in kept]
            line += f", or learn it without ever evaluating it: {listed('data.train_only', [*self._train_only, *few])}"
        return f"{line}."

    def _split(self, files: Mapping[str, list[str]]) -> FolderSplit:
        labelled = [(file, label) for label, name in enumerate(self.classes) for file in files.get(name, ())]
        return FolderSplit(self._photos, [file for file, _ in labelled], np.array([label for _, label in labelled]))


def check_root(root: str) -> Path:
    """The folder of photos; raises UserError if it does not exist. Its files are not read."""
    try:
        path = Path(root).expanduser()
        if not path.is_dir():
            raise UserError(_no_folder(path))
    except (OSError, RuntimeError) as error:  # a name that no folder can have, or '~' of nobody
        raise UserError(f"data.root={root[:200]} cannot be read: {error.args[-1]}.") from None
    return path


def _no_classes(folder: Path, loose: int, train: Path) -> str:
    """The line for a folder, `loose` images of which lie in no folder of a class; `train` may be the same folder."""
    if folder != train:
        root = word("data.root", train)
        images = f"holds {loose:,} images but none" if loose else "holds no images"
        return (
            f"{folder} {images} in a folder of a class that {train} has: without labels they cannot be evaluated. "
            f"To learn from {train} alone, which is then split automatically: {root}"
        )
    line = f"{folder} holds no images in class folders; expected {folder}/<class>/*.jpg (or {', '.join(SUFFIXES[1:])})"
    beside = [name for name in os.listdir(folder.parent) if (folder.parent / name).is_dir() and name[0] != "."]
    if not loose:
        return f"{line}."
    root = word("data.root", folder.parent)
    above = (
        f", or where {folder.name} is one class of several, name the folder above: {root}" if len(beside) > 1 else ""
    )
    return f"{line}. Sort its {loose:,} images into a folder for each class{above}"


def _without(classes: dict[str, list[str]], problems: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [file for file in files if file not in problems] for name, files in classes.items()}


def _split_candidates(inside: list[str], given: Splits) -> list[str]:
    """The folders that may turn out to be splits by their names."""
    # 'dev' was a name like any other once: it still is a class where no 'train' lies beside it.
    beside_train = given.train or "train" in inside
    given_to_a_role = "dev" in (given.train, given.validation, given.test)
    return [name for name in inside if name != "dev" or (beside_train and not given_to_a_role)]


def _folders_in(folder: Path) -> list[str]:
    """The names of the folders directly below one; a link that leads nowhere is refused, it may be one of them."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        _refuse_unreadable(error)
    for entry in entries:
        is_image = os.path.splitext(entry.name)[1].lower() in SUFFIXES
        if entry.is_symlink() and not os.path.exists(entry.path) and not is_image:
            raise UserError(f"{entry.path} is a link to a folder that does not exist; repair it or remove it.")
    return [entry.name for entry in entries if entry.is_dir()]


def _refuse_one_folder_twice(folders: Mapping[str, Path]) -> None:
    """Raises `UserError` where a folder plays two roles."""
    role_of: dict[str, str] = {}
    for role, folder in folders.items():
        other = role_of.setdefault(os.path.realpath(folder), role)
        if other != role:
            raise UserError(
                f"{folder} is both the {other} and the {role} folder, so both would have the same images; give "
                f"each its own, as data.splits.{role}."
            )


def _refuse_unreadable(error: OSError) -> None:
    raise UserError(f"Folder {error.filename} cannot be read: {error.strerror}. Make it readable, or move it away.")


def _no_folder(root: Path) -> str:
    if root.exists():
        unpacked = "unpack it and give its folder" if root.suffix.lower() in _ARCHIVES else "give a folder of images"
        return f"data.root={root} is a file; {unpacked}."
    parent = root.parent
    beside = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
    guess = nearest(root.name, beside, likeness=0.7)  # of all folders there are, one is always a little alike
    return f"data.root={root} does not exist." + (f" Did you mean '{parent / guess}'?" if guess else "")
