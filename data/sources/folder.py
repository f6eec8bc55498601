"""A folder of photos: `train/<class>/*` beside `validation` and `test`, or one folder of classes."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np

from convlens.configs import Data
from convlens.core.errors import UserError, nearest
from convlens.core.progress import track
from convlens.data.images import (
    SUFFIXES,
    Inspection,
    decode_image,
    inspect_image,
    read_image,
    refuse_other_size,
    stored_image,
)
from convlens.data.splits import ROLES, carve, kept_classes
from convlens.data.survey import Remembered, Survey, attempt, signature_of, tell_shared

_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
_BLOCK = 64  # images that a thread reads before it reports
_SAMPLE = 500  # files whose headers tell the size of all


class FolderSplit:
    """The images of one role, in a fixed order, read from their files when asked."""

    def __init__(self, photos: "Photos", files: Sequence[str], labels: np.ndarray):
        self.root = photos.root
        self.names = list(files)
        self.labels = labels.astype(np.int32)
        self._photos = photos

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int], shape: tuple[int, int, int], resize: str | None) -> np.ndarray:
        """Some images as a uint8 array (n, height, width, channels)."""
        images = np.empty((len(indices), *shape), np.uint8)
        for row, index in enumerate(indices):
            images[row] = read_image(self.root / self.names[index], shape[:2], shape[2], resize)
        return images

    def decode_all(
        self,
        take: Callable[[int, bytes, np.ndarray], None],
        shape: tuple[int, int, int],
        resize: str | None,
        description: str,
        progress: bool,
    ) -> None:
        """Calls `take(index, encoded, pixels)` for every image, in several threads; none stays in memory."""

        def decode(block: range) -> int:
            for index in block:
                path = self.root / self.names[index]
                encoded = stored_image(path)
                take(index, encoded, decode_image(encoded, str(path), shape[:2], shape[2], resize))
            return len(block)

        _in_blocks(decode, len(self), description, progress)

    def check(self, shape: tuple[int, int, int], resize: str | None, description: str, progress: bool) -> None:
        """Refuse the first file that cannot be used; only one that has changed since the survey is read again."""
        survey = self._photos.survey(self.names, description, progress)
        survey.skipped("fail")
        if resize is None:
            for name in self.names:
                refuse_other_size(str(self.root / name), survey.usable[name][:2], shape[:2])


class Photos:
    """The photos below a folder, each looked at once."""

    def __init__(self, root: Path):
        self.root = root
        self._remembered = Remembered(root)

    def survey(self, names: Sequence[str], description: str, progress: bool) -> Survey:
        """What is in these files, decoded in several threads where it is not known already."""
        found: list = [None] * len(names)

        def look(block: range) -> int:
            for index in block:
                path = self.root / names[index]
                signature = signature_of(path)
                known = signature and self._remembered.get(names[index], signature)
                found[index] = known or attempt(inspect_image, path)
                if signature and not known and isinstance(found[index], Inspection):
                    self._remembered.put(names[index], signature, found[index])
            return len(block)

        _in_blocks(look, len(names), description, progress)
        self._remembered.save()
        pairs = list(zip(names, found, strict=True))
        return Survey(
            usable={name: item for name, item in pairs if isinstance(item, Inspection)},
            problems={name: item for name, item in pairs if isinstance(item, str)},
        )


def _in_blocks(work: Callable[[range], int], count: int, description: str, progress: bool) -> None:
    blocks = [range(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with track(description, count, progress) as advance:
            for done in pool.map(work, blocks):
                advance(done)
    finally:
        pool.shutdown(cancel_futures=True)


class FolderSource:
    """A folder of photos, scanned, with every photo looked at.

    Attributes: name, classes, splits (role -> FolderSplit), inspections (role -> one for each image), notes (lines that
    the user should read), skipped (a line for each image that was left out).

    Raises:
        UserError: no folder, no images, an image that cannot be used (unless these are skipped), an empty class, a
            class that only some splits have, many photos that are in two splits.
    """

    def __init__(self, config: Data, progress: bool = False):
        self.root = check_root(config.root)
        self.name = self.root.resolve().name
        self.notes: list[str] = []
        self._left_out: Counter = Counter()
        folders = self._role_folders(config)
        found = {role: self._classes_in(folder) for role, folder in folders.items()}
        self.classes = kept_classes(sorted({name for classes in found.values() for name in classes}), config.classes)
        self._refuse_uneven_classes(folders, found)

        photos = Photos(self.root)
        names = [file for classes in found.values() for name in self.classes for file in classes[name]]
        survey = photos.survey(names, "Looking at the images", progress)
        self.skipped = survey.skipped(config.on_error)
        if self.skipped:
            found = {role: _without(classes, survey.problems) for role, classes in found.items()}
            self._refuse_uneven_classes(folders, found)
        self._photos, self._usable = photos, survey.usable

        self.splits = {
            role: self._split(
                photos, [(file, label) for label, name in enumerate(self.classes) for file in classes[name]]
            )
            for role, classes in found.items()
        }
        self._carve_what_is_missing(photos, config.validation_share)
        self.notes += survey.notes(self.skipped)
        self.inspections = survey.of(self.splits)
        self.notes += tell_shared(self.splits, self.inspections)
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
        sizes = [(found.height, found.width) for found in sample]
        if image_size is None and len(set(sizes)) > 1:
            raise UserError(differing_sizes(self.root, sizes))
        return *(image_size or sizes[0]), channels or max(found.channels for found in sample)

    def fault(self) -> str:
        """What is wrong with the first file that can no longer be used, if there is one."""
        names = [name for split in self.splits.values() for name in split.names]
        return next(iter(self._photos.survey(names, "Looking at the images again", False).problems.values()), "")

    def parts(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """Photos come without masks of parts."""
        return ()

    def _role_folders(self, config: Data) -> dict[str, Path]:
        inside = _folders_in(self.root)
        folders = {}
        for role in ROLES:
            given = getattr(config.splits, role)
            if given is not None and given not in inside:
                guess = nearest(given, inside)
                hint = f" Did you mean '{guess}'?" if guess else ""
                raise UserError(f"data.splits.{role}={given}: {self.root} has no folder of that name.{hint}")
            for name in [given] if given else _NAMES[role]:
                if name in inside:
                    folders[role] = self.root / name
                    break
        if "train" in folders:
            _refuse_one_folder_twice(folders)
            return folders
        if folders:
            other = next(iter(folders.values())).name
            raise UserError(f"{self.root} has a folder '{other}' but no folder 'train'; give data.splits.train=...")
        return {"train": self.root}

    def _classes_in(self, folder: Path) -> dict[str, list[str]]:
        """Class name -> its images, as sorted paths relative to the root with forward slashes."""
        names = sorted(name for name in _folders_in(folder) if not name.startswith("."))
        classes = {name: sorted(self._images_under(folder / name)) for name in names}
        self._left_out["outside of every class folder"] += sum(
            os.path.splitext(name)[1].lower() in SUFFIXES for name in os.listdir(folder)
        )
        self._left_out += Counter()  # drops zeros
        if not any(classes.values()):
            raise UserError(
                f"{folder} holds no images in class folders; expected {folder}/<class>/*.jpg "
                f"(or {', '.join(SUFFIXES[1:])})."
            )
        return classes

    def _images_under(self, folder: Path) -> Iterator[str]:
        seen = set()
        for directory, below, files in os.walk(folder, onerror=_refuse_unreadable, followlinks=True):
            seen.add(os.path.realpath(directory))
            below[:] = [
                name
                for name in below
                if not name.startswith(".") and os.path.realpath(os.path.join(directory, name)) not in seen
            ]
            for name in files:
                if name.startswith("."):
                    continue
                suffix = os.path.splitext(name)[1].lower()
                if suffix in SUFFIXES:
                    yield Path(directory, name).relative_to(self.root).as_posix()
                else:
                    self._left_out[suffix or "without a suffix"] += 1

    def _refuse_uneven_classes(self, folders: dict[str, Path], found: dict[str, dict[str, list[str]]]) -> None:
        for name in self.classes:
            having = [role for role in found if name in found[role]]
            for role in found:
                if name not in found[role]:
                    raise UserError(
                        f"Class '{name}' is in {folders[having[0]]} but not in {folders[role]}; "
                        "every split needs every class: add it, remove it, or list the classes to keep in data.classes."
                    )
                if not found[role][name]:
                    raise UserError(
                        f"Class folder {folders[role] / name} holds no images; fill it, remove it, or list the "
                        "classes to keep in data.classes."
                    )

    def _split(self, photos: Photos, items: list[tuple[str, int]]) -> FolderSplit:
        return FolderSplit(photos, [file for file, _ in items], np.array([label for _, label in items], np.int32))

    def _carve_what_is_missing(self, photos: Photos, share: float) -> None:
        missing = [role for role in ("validation", "test") if role not in self.splits]
        if not missing:
            return
        train = self.splits["train"]
        part = carve(train.labels, train.names, share, len(missing), self.classes)
        for number, role in enumerate(["train", *missing]):
            chosen = np.flatnonzero(part == number)
            self.splits[role] = FolderSplit(photos, [train.names[i] for i in chosen], train.labels[chosen])
        self.splits = {role: self.splits[role] for role in ROLES}
        self.notes.append(
            f"{self.root} has no {' and no '.join(missing)} split: {share:.0%} of every class was taken from the "
            f"training images for {'each' if len(missing) > 1 else 'it'}, chosen by a hash of the file's path."
        )


def check_root(root: str) -> Path:
    """The folder of photos; raises UserError where there is none, without looking into it."""
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(_no_folder(path))
    return path


def _without(classes: dict[str, list[str]], problems: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [file for file in files if file not in problems] for name, files in classes.items()}


def _folders_in(folder: Path) -> list[str]:
    """The names of the folders directly below one; a link that leads nowhere is refused, it may be one of them."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        _refuse_unreadable(error)
    for entry in entries:
        is_image = os.path.splitext(entry.name)[1].lower() in SUFFIXES
        if entry.is_symlink() and not os.path.exists(entry.path) and not is_image:
            raise UserError(f"{entry.path} is a link to a folder that does not exist; mend it or remove it.")
    return [entry.name for entry in entries if entry.is_dir()]


def _refuse_one_folder_twice(folders: Mapping[str, Path]) -> None:
    """Raises `UserError` where a folder plays two roles."""
    role_of: dict[str, str] = {}
    for role, folder in folders.items():
        other = role_of.setdefault(os.path.realpath(folder), role)
        if other != role:
            raise UserError(
                f"{folder} is both the {other} and the {role} folder, so that the same images would be in both; give "
                f"each its own, as data.splits.{role}."
            )


def _refuse_unreadable(error: OSError) -> None:
    raise UserError(f"Folder {error.filename} cannot be read: {error.strerror}. Make it readable, or move it away.")


def _no_folder(root: Path) -> str:
    if root.exists():
        return f"data.root={root} is a file; give a folder of images."
    parent = root.parent
    guess = nearest(root.name, [entry.name for entry in parent.iterdir() if entry.is_dir()]) if parent.is_dir() else ""
    return f"data.root={root} does not exist." + (f" Did you mean '{parent / guess}'?" if guess else "")


def differing_sizes(where: object, sizes: Sequence[tuple[int, int]]) -> str:
    """What to tell a user whose images differ in size and who gave no data.image_size."""
    heights, widths = np.array(sizes).T
    common = ", ".join(f"{height} x {width}" for (height, width), _ in Counter(sizes).most_common(3))
    return (
        f"The images in {where} differ in size ({common}, ...; height x width, median {int(np.median(heights))} x "
        f"{int(np.median(widths))}); say at which size to use them, such as data.image_size={_suggested(sizes)}."
    )


def _suggested(sizes: Sequence[tuple[int, int]]) -> int:
    """The largest usual input size that most images reach, so that few are blown up."""
    side = np.median([min(size) for size in sizes])
    return max([usual for usual in (32, 64, 96, 128, 160, 192, 224) if usual <= side], default=32)
