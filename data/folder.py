"""A folder of photos: `train/<class>/*` beside `validation` and `test`, or one folder of classes."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np

from configs import Data, UserError, nearest
from data.images import SUFFIXES, check_image, image_header, read_image
from data.progress import track
from data.splits import ROLES, carve, kept_classes

_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
_BLOCK = 64  # images that a thread reads before it reports
_SAMPLE = 500  # files whose headers tell the size of all


class FolderSplit:
    """The images of one role, in a fixed order, read from their files when asked."""

    def __init__(self, root: Path, files: Sequence[str], labels: np.ndarray):
        self.root = root
        self.names = list(files)
        self.labels = labels.astype(np.int32)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int], shape: tuple[int, int, int], resize: str | None) -> np.ndarray:
        """Some images as a uint8 array (n, height, width, channels)."""
        images = np.empty((len(indices), *shape), np.uint8)
        for row, index in enumerate(indices):
            images[row] = read_image(self.root / self.names[index], shape[:2], shape[2], resize)
        return images

    def load(self, shape: tuple[int, int, int], resize: str | None, description: str, progress: bool) -> np.ndarray:
        """Every image, decoded in several threads."""
        images = np.empty((len(self), *shape), np.uint8)

        def fill(block: range) -> int:
            images[block.start : block.stop] = self.read(block, shape, resize)
            return len(block)

        self._in_blocks(fill, description, progress)
        return images

    def check(self, shape: tuple[int, int, int], resize: str | None, description: str, progress: bool) -> None:
        """Refuse the first file that cannot be used, at a small part of the cost of decoding all."""

        def look(block: range) -> int:
            for index in block:
                check_image(self.root / self.names[index], shape[:2], resize)
            return len(block)

        self._in_blocks(look, description, progress)

    def _in_blocks(self, work, description: str, progress: bool) -> None:
        blocks = [range(start, min(start + _BLOCK, len(self))) for start in range(0, len(self), _BLOCK)]
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            with track(description, len(self), progress) as advance:
                for count in pool.map(work, blocks):
                    advance(count)
        finally:
            pool.shutdown(cancel_futures=True)


class FolderSource:
    """A folder of photos, scanned.

    Attributes: name, classes, splits (role -> FolderSplit), notes (lines that the user should read).

    Raises:
        UserError: no folder, no images, an empty class, a class that only some splits have.
    """

    def __init__(self, config: Data):
        self.root = check_root(config.root)
        self.name = self.root.resolve().name
        self.notes: list[str] = []
        self._skipped: Counter = Counter()
        folders = self._role_folders(config)
        found = {role: self._classes_in(folder) for role, folder in folders.items()}
        self.classes = kept_classes(sorted({name for classes in found.values() for name in classes}), config.classes)
        self._refuse_uneven_classes(folders, found)
        self.splits = {
            role: self._split([(file, label) for label, name in enumerate(self.classes) for file in classes[name]])
            for role, classes in found.items()
        }
        self._carve_what_is_missing(config.validation_share)
        if self._skipped:
            kinds = ", ".join(
                f"{count} {suffix or 'without a suffix'}" for suffix, count in self._skipped.most_common(5)
            )
            self.notes.append(f"Files in {self.root} that are not {', '.join(SUFFIXES)} were left out: {kinds}.")

    @cached_property
    def fingerprint(self) -> str:
        """A digest of every file's path, length and first and last 4 KiB: it changes when the photos do."""
        digest = hashlib.blake2b(digest_size=16)
        for role, split in self.splits.items():
            for name, label in zip(split.names, split.labels.tolist(), strict=True):
                digest.update(f"{role}\0{label}\0{name}\0".encode("utf-8", "surrogateescape"))
                digest.update(edges_of_file(self.root / name))
        return digest.hexdigest()

    def shape(self, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
        """(height, width, channels), as a sample of the files has it where the configuration leaves them open."""
        if image_size and channels:
            return *image_size, channels
        paths = [split.root / name for split in self.splits.values() for name in split.names]
        headers = [image_header(path) for path in paths[:: max(1, len(paths) // _SAMPLE)]]
        sizes = [size for size, _ in headers]
        if image_size is None and len(set(sizes)) > 1:
            raise UserError(differing_sizes(self.root, sizes))
        return *(image_size or sizes[0]), channels or max(of_image for _, of_image in headers)

    def parts(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """Photos come without masks of parts."""
        return ()

    def _role_folders(self, config: Data) -> dict[str, Path]:
        inside = [entry.name for entry in os.scandir(self.root) if entry.is_dir()]
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
            return folders
        if folders:
            other = next(iter(folders.values())).name
            raise UserError(f"{self.root} has a folder '{other}' but no folder 'train'; give data.splits.train=...")
        return {"train": self.root}

    def _classes_in(self, folder: Path) -> dict[str, list[str]]:
        """Class name -> its images, as sorted paths relative to the root with forward slashes."""
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
        classes = {name: sorted(self._images_under(folder / name)) for name in names}
        if not any(classes.values()):
            raise UserError(
                f"{folder} holds no images in class folders; expected {folder}/<class>/*.jpg "
                f"(or {', '.join(SUFFIXES[1:])})."
            )
        return classes

    def _images_under(self, folder: Path):
        for directory, below, files in os.walk(folder, onerror=_refuse_unreadable):
            below[:] = [name for name in below if not name.startswith(".")]
            for name in files:
                suffix = os.path.splitext(name)[1].lower()
                if suffix in SUFFIXES:
                    yield Path(directory, name).relative_to(self.root).as_posix()
                elif not name.startswith("."):
                    self._skipped[suffix] += 1

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

    def _split(self, items: list[tuple[str, int]]) -> FolderSplit:
        return FolderSplit(self.root, [file for file, _ in items], np.array([label for _, label in items], np.int32))

    def _carve_what_is_missing(self, share: float) -> None:
        missing = [role for role in ("validation", "test") if role not in self.splits]
        if not missing:
            return
        train = self.splits["train"]
        part = carve(train.labels, train.names, share, len(missing), self.classes)
        for number, role in enumerate(["train", *missing]):
            chosen = np.flatnonzero(part == number)
            self.splits[role] = FolderSplit(self.root, [train.names[i] for i in chosen], train.labels[chosen])
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


def edges_of_file(path: Path) -> bytes:
    """A file's length with its first and last 4 KiB, enough to notice that it was replaced."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
            length = file.seek(0, os.SEEK_END)
            file.seek(max(len(start), length - 4096))
            return length.to_bytes(8, "big") + start + file.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


def _refuse_unreadable(error: OSError) -> None:
    raise UserError(f"Folder {error.filename} cannot be read: {error.strerror}.")


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
