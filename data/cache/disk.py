"""Decoded and resized images of a dataset, kept on disk from run to run."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL

from convlens.core.errors import UserError
from convlens.core.progress import print_note, progress_bar
from convlens.data.base import ROLES, ImageFormat, Split
from convlens.data.cache.disk_space import DiskCacheError, allowance, images_folder, make_space, readable_size
from convlens.data.cache.pixel_file import PixelFile, is_complete, open_pixels, size_of, write_pixels
from convlens.data.images import Inspection, content_of

# What was written under other rules is not found; the number grows when `images` gives other pixels.
_RULES = f"1, Pillow {PIL.__version__}"


class DiskCache:
    """A file of images for each role, in a folder named by a digest of all that their pixels depend on.

    Args:
        splits: role -> its images.
        inspections: role -> what was found in each of them.
        image_format: what each image becomes.
        demanded: `data.cache=disk`; what cannot be written is then a mistake.
        progress: show bars, and say on stderr what was decided for the user.
    """

    def __init__(
        self,
        splits: Mapping[str, Split],
        inspections: Mapping[str, Sequence[Inspection]],
        image_format: ImageFormat,
        *,
        demanded: bool,
        progress: bool,
    ):
        self._splits, self._inspections = splits, inspections
        self._format = image_format
        self._demanded, self._progress = demanded, progress
        self._announced = self._given_up = False

    @cached_property
    def folder(self) -> Path:
        """Where the files lie; it need not exist yet."""
        rules = repr((_RULES, self._format.shape, self._format.resize))
        if self._format.value_range:
            rules += repr(tuple(map(float, self._format.value_range)))
        digest = hashlib.blake2b(rules.encode(), digest_size=16)
        for role in ROLES:
            digest.update(f"\0{role}".encode())
            digest.update("".join(inspection.content for inspection in self._inspections[role]).encode())
        return images_folder() / digest.hexdigest()

    def fits(self) -> bool:
        """Whether all roles are on disk already, or fit into the space that is allowed for images."""
        return not self._missing(ROLES) or sum(map(self._size_of, ROLES)) <= allowance()

    def open(self, role: str) -> PixelFile | None:
        """A role's images if they are on disk; else None."""
        return open_pixels(self._path(role), self._shape_of(role), self._format.dtype)

    def prepare(self, roles: Sequence[str]) -> None:
        """Makes space for the roles that are not on disk yet, and prints what will be written.

        Raises:
            UserError: there is no space, and `data.cache=disk` was demanded.
        """
        needed = sum(map(self._size_of, self._missing(roles)))
        if not needed or self._given_up:
            return
        try:
            make_space(needed, self.folder, bounded=not self._demanded)
        except DiskCacheError as reason:
            self._give_up(reason)
            return
        if not self._announced:
            self._print_note(
                f"Decoded images are written once, {readable_size(needed)} in {self.folder}, and no later epoch or run "
                "decodes them again; data.cache=none turns this off."
            )
        self._announced = True

    def keep(self, role: str) -> PixelFile | None:
        """A role's images, decoded and written if they are not on disk yet; None if that fails, after printing why.

        Raises:
            UserError: an image cannot be read, or has changed since it was looked at; images cannot be written, and
                `data.cache=disk` was demanded.
        """
        file = self.open(role)
        if file:
            return file
        self.prepare([role])
        if self._given_up:
            return None
        try:
            return write_pixels(
                self._path(role),
                self._shape_of(role),
                self._format.dtype,
                lambda put: self._decode(role, put),
                lambda: self._print_note(
                    f"Another process is writing the {role} images to {self.folder}; waiting for it."
                ),
            )
        except DiskCacheError as reason:
            self._give_up(reason)
            return None

    def _decode(self, role: str, put: Callable[[int, np.ndarray], None]) -> None:
        split, inspections = self._splits[role], self._inspections[role]

        def take(index: int, encoded: bytes, pixels: np.ndarray) -> None:
            # Under this folder's name, other pixels would be found by runs to come.
            if content_of(encoded) != inspections[index].content:
                raise UserError(f"{split.names[index]} has changed since it was checked; start again.")
            put(index, pixels)

        with progress_bar(f"Writing {role} images", len(split), shown=self._progress) as progress:
            split.decode_all(take, self._format, progress)

    def _give_up(self, reason: DiskCacheError) -> None:
        if self._demanded:
            raise UserError(
                f"data.cache=disk: {reason}. Free some space, name another cache folder in XDG_CACHE_HOME, or use "
                "data.cache=none."
            ) from None
        self._given_up = True
        self._print_note(f"Decoded images are not kept on disk: {reason}. Every epoch decodes them again.")

    def _missing(self, roles: Sequence[str]) -> list[str]:
        dtype = self._format.dtype
        return [role for role in roles if not is_complete(self._path(role), self._shape_of(role), dtype)]

    def _path(self, role: str) -> Path:
        return self.folder / f"{role}.npy"

    def _shape_of(self, role: str) -> tuple[int, int, int, int]:
        return len(self._splits[role]), *self._format.shape

    def _size_of(self, role: str) -> int:
        return size_of(self._shape_of(role), self._format.dtype)

    def _print_note(self, line: str) -> None:
        if self._progress:
            print_note(line)
