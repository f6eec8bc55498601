"""Which cache holds the decoded images of a dataset: memory, the disk, or none."""

from math import prod

from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.core.quiet import quietly
from convlens.data.base import ROLES, CachedFeed, ImageFormat, Source
from convlens.data.cache.disk import DiskCache
from convlens.data.cache.memory import decoded, fits_in_memory
from convlens.data.cache.pixel_file import PixelFile


class ImageCache:
    """Decoded images of a dataset, kept from epoch to epoch where `data.cache` says so and they fit.

    Args:
        cache: `data.cache` as configured.
        image_format: what each image becomes.
        faults: gets the `UserError` of a file that can no longer be read in the middle of a stream.
        progress: show bars, and say on stderr what was decided for the user.

    Attributes:
        in_memory, on_disk: where images are to be kept; never both.
        disk: the files of this run and of earlier ones.

    Raises:
        UserError: images are to be kept in memory and do not fit.
    """

    def __init__(
        self, source: Source, cache: str, image_format: ImageFormat, faults: list[UserError], *, progress: bool
    ):
        self._splits = source.splits
        self._unused = cache == "none"
        self._format = image_format
        self._faults = faults
        self._progress = progress
        self._feeds: dict[str, CachedFeed] = {}
        images = sum(len(self._splits[role]) for role in ROLES)
        self.in_memory = fits_in_memory(cache, images * prod(image_format.shape) * image_format.dtype.itemsize)
        self.disk = DiskCache(
            source.splits, source.inspections, image_format, demanded=cache == "disk", progress=progress
        )
        auto = cache == "auto" and not self.in_memory
        self.on_disk = cache == "disk" or (auto and self.disk.fits())

    def holds(self, role: str) -> bool:
        """Whether a role's images are already in memory, or opened on disk."""
        return role in self._feeds

    def fill(self) -> None:
        """Decodes every image of every role that is to be kept and is not yet.

        Raises:
            UserError: names the first image that cannot be read.
        """
        if self.on_disk:
            self.disk.prepare(ROLES)
        for role in ROLES:
            self.filled(role)

    def filled(self, role: str) -> CachedFeed | None:
        """A role's images, decoded now if necessary; None if they are not to be kept, or cannot be.

        Raises:
            UserError: names the first image that cannot be read.
        """
        if role not in self._feeds and self.in_memory:
            self._feeds[role] = self._in_memory(role)
        elif role not in self._feeds:
            file = self.disk.keep(role) if self.on_disk else None
            feed = self._on_file(role, file) if file else self.present(role)
            if feed:
                self._feeds[role] = feed
        return self._feeds.get(role)

    def present(self, role: str) -> CachedFeed | None:
        """A role's images if they are already in memory, or on disk from an earlier run; decodes nothing."""
        if role in self._feeds or self._unused:
            return self._feeds.get(role)
        file = self.disk.open(role)
        return self._on_file(role, file) if file else None

    def _in_memory(self, role: str) -> CachedFeed:
        with quietly():
            from convlens.data.feeds import MemoryFeed

        split, file = self._splits[role], self.disk.open(role)
        if file:
            pixels = file.all()
        else:
            with progress_bar(f"Reading {role} images", len(split), shown=self._progress) as progress:
                pixels = decoded(split, self._format, progress)
        return MemoryFeed(pixels, split.labels)

    def _on_file(self, role: str, file: PixelFile) -> CachedFeed:
        with quietly():
            from convlens.data.feeds import DiskFeed

        return DiskFeed(file, self._splits[role].labels, self._faults)
