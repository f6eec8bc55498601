"""Decoded images in memory: whether they fit, and reading them all."""

import os
from pathlib import Path

import numpy as np

from convlens.core.errors import UserError

_CAP = 4 * 2**30


def load(images, shape: tuple[int, int, int], resize: str | None, description: str, progress: bool) -> np.ndarray:
    """Every image of a role, uint8 (n, height, width, channels), decoded in several threads."""
    loaded = np.empty((len(images), *shape), np.uint8)

    def put(index: int, encoded: bytes, pixels: np.ndarray) -> None:
        loaded[index] = pixels

    images.decode_all(put, shape, resize, description, progress)
    return loaded


def keeps_in_memory(cache: str, needed: int) -> bool:
    """Whether images of so many bytes lie in memory; `cache` as configured. Raises `UserError` where they cannot."""
    free = free_memory()
    if cache in ("memory", "device") and needed > free:
        raise UserError(
            f"data.cache={cache} needs {needed / 2**30:.1f} GiB for the images but {free / 2**30:.1f} GiB are free; "
            "use data.cache=auto or a smaller data.image_size."
        )
    return cache in ("memory", "device") or (cache == "auto" and needed <= min(free // 4, _CAP))


def free_memory() -> int:
    """Bytes that can be used now: the machine's, or the container's where it has fewer."""
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
