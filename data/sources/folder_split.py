"""The photos of one role, read from their files, and what a look at each photo below a folder found."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens.core.errors import UserError
from convlens.core.progress import Progress
from convlens.data.base import Feed, ImageFormat
from convlens.data.images import (
    Inspection,
    decode_image,
    inspect_image,
    read_stored,
    refuse_other_size,
    stored_image,
)
from convlens.data.survey import InspectionCache, Survey, inspection_or_problem, signature_of

if TYPE_CHECKING:
    from convlens.data.feeds import Decoder

_BLOCK = 64  # images that a thread reads before it reports


class Photos:
    """The photos below a folder, each looked at once."""

    def __init__(self, root: Path):
        self.root = root
        self._cache = InspectionCache(root)

    def survey(self, names: Sequence[str], progress: Progress) -> Survey:
        """What is in these files, decoded in several threads where it is not known already."""
        results: list[Inspection | str] = [""] * len(names)

        def inspect_block(block: range) -> None:
            for index in block:
                path = self.root / names[index]
                signature = signature_of(path)
                known = self._cache.get(names[index], signature) if signature else None
                results[index] = result = known or inspection_or_problem(inspect_image, path)
                if signature and not known and isinstance(result, Inspection):
                    self._cache.put(names[index], signature, result)

        _in_blocks(inspect_block, len(names), progress)
        self._cache.save()
        return Survey.of_results(names, results)


class FolderSplit:
    """The images of one role, in a fixed order, read from their files when asked."""

    streams = False

    def __init__(self, photos: Photos, files: Sequence[str], labels: np.ndarray):
        self.names = list(files)
        self.labels = labels.astype(np.int32)
        self._photos = photos

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: np.ndarray) -> "FolderSplit":
        """The images of these indices, as a split of their own."""
        return FolderSplit(self._photos, [self.names[index] for index in indices], self.labels[indices])

    def each(self, indices: Sequence[int], image_format: ImageFormat) -> Iterator[np.ndarray]:
        """Some images, one after another, (height, width, channels)."""
        height, width, channels = image_format.shape
        resize, value_range = image_format.resize, image_format.value_range
        for index in indices:
            yield read_stored(self._path(index), (height, width), channels, resize, value_range)

    def decode_all(
        self, take: Callable[[int, bytes, np.ndarray], None], image_format: ImageFormat, progress: Progress
    ) -> None:
        """Calls `take(index, encoded, pixels)` for every image, in several threads; none stays in memory."""
        height, width, channels = image_format.shape
        resize, value_range = image_format.resize, image_format.value_range

        def decode(block: range) -> None:
            for index in block:
                path = self._path(index)
                encoded = stored_image(path)
                pixels = decode_image(encoded, str(path), (height, width), channels, resize, value_range)
                take(index, encoded, pixels)

        _in_blocks(decode, len(self), progress)

    def check(self, image_format: ImageFormat, progress: Progress) -> None:
        """Refuse the first file that cannot be used; only one that has changed since the survey is read again."""
        survey = self._photos.survey(self.names, progress)
        survey.skipped("fail")
        if image_format.resize is None:
            for index, name in enumerate(self.names):
                refuse_other_size(str(self._path(index)), survey.usable[name][:2], image_format.shape[:2])

    def feed(self, decoder: "Decoder", shuffle_buffer: int) -> Feed:
        """The files in any order, decoded anew in every epoch."""
        from convlens.data.feeds import FileFeed  # needs TensorFlow

        return FileFeed([self._path(index) for index in range(len(self))], decoder)

    def masks(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Raises `UserError`: photos come without masks of parts."""
        raise UserError(f"The photos in {self._photos.root} have no masks of parts.")

    def _path(self, index: int) -> Path:
        return self._photos.root / self.names[index]


def _in_blocks(work: Callable[[range], object], count: int, progress: Progress) -> None:
    blocks = [range(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for block, _ in zip(blocks, pool.map(work, blocks), strict=True):
            progress(block.stop, count)
    finally:
        pool.shutdown(cancel_futures=True)
