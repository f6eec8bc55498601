"""Decoded images in memory: whether they fit, and reading them all."""

import os
from pathlib import Path

import numpy as np

from convlens.core.errors import UserError
from convlens.core.progress import Progress
from convlens.data.base import ImageFormat, Split

_CAP = 4 * 2**30  # bytes that data.cache=auto takes at most


def decoded(split: Split, image_format: ImageFormat, progress: Progress) -> np.ndarray:
    """Every image of a role, (n, height, width, channels) of the format's dtype, decoded in several threads."""
    images = np.empty((len(split), *image_format.shape), image_format.dtype)

    def put(index: int, encoded: bytes, pixels: np.ndarray) -> None:
        images[index] = pixels

    split.decode_all(put, image_format, progress)
    return images


def fits_in_memory(cache: str, needed: int) -> bool:
    """Whether images of so many bytes are to lie in memory; `cache` as configured.

    Raises `UserError` where it demands that, and they do not fit.
    """
    free = free_memory()
    demanded = cache in ("memory", "device")  # what goes to the device passes through memory
    if demanded and needed > free:
        raise UserError(
            f"data.cache={cache} needs {needed / 2**30:.1f} GiB for the images but {free / 2**30:.1f} GiB are free; "
            "use data.cache=auto or a smaller data.image_size."
        )
    return demanded or (cache == "auto" and needed <= min(free // 4, _CAP))


def free_memory() -> int:
    """Bytes of memory available now: of the machine, or of the container if that has less."""
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        group = Path("/sys/fs/cgroup")
        used = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, int((group / "memory.max").read_text()) - int(used["anon"]))
    except (OSError, KeyError, ValueError):
        return free
