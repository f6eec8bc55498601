"""Random numbers that are the same on every machine and with every NumPy."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np


class Dice:
    """Draws from a Philox stream that is named by words and numbers, such as ("1.0.0", "train", 17).

    Only the raw bits come from NumPy, which promises never to change them; its distributions may change from one
    release to the next (NEP 19), so they are made here, from integers and exact arithmetic.
    """

    def __init__(self, *name: str | int):
        digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def integer(self, count: int) -> int:
        """One of 0 ... count - 1."""
        return int(self.uniform() * count)

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def sign(self) -> int:
        return 1 if self.chance(0.5) else -1

    def choice(self, items: Sequence[Any]) -> Any:
        return items[self.integer(len(items))]

    def normals(self, *shape: int) -> np.ndarray:
        """float32 array of nearly normal numbers (mean 0, deviation 1): sums of four uniform ones (Irwin-Hall)."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        first, second, third, fourth = (raw >> np.uint64(shift) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
        total = first + second + third + fourth
        return ((total.astype(np.float32) - 131070.0) * np.float32(1 / 37837.2)).reshape(shape)

    def uniforms(self, *shape: int) -> np.ndarray:
        """float32 array of numbers in [0, 1)."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return ((raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)
