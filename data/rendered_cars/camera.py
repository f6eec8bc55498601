"""A pinhole camera."""

from dataclasses import dataclass

import numpy as np

from .meshes import cross, dot, turn, unit
from .rasterizer import Projected

_NEAREST = 0.3  # metres; triangles that come closer to the camera's plane are left out


@dataclass(frozen=True)
class Camera:
    """Where it stands and looks; `focal` and `centre` (of the lens, from the top left) are in picture widths.

    position, forward, right, up: (3,) arrays in metres, the last three of length 1.
    """

    position: np.ndarray
    forward: np.ndarray
    right: np.ndarray
    up: np.ndarray
    focal: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)

    @classmethod
    def looking_at(cls, target: np.ndarray, position: np.ndarray, roll: float) -> "Camera":
        """A camera at `position` that points to `target`, turned by `roll` degrees about its axis."""
        forward = unit(target - position)
        level = unit(cross(forward, np.array([0.0, 0.0, 1.0])))
        upright = cross(level, forward)
        cos, sin = turn(roll)
        return cls(position, forward, level * cos + upright * sin, upright * cos - level * sin)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of points (..., 3): x and y in picture widths, y downwards, and the depth in metres."""
        offset = points - self.position
        depth = dot(offset, self.forward)
        safe = np.maximum(depth, _NEAREST)
        x = dot(offset, self.right) / safe * self.focal + self.centre[0]
        y = -dot(offset, self.up) / safe * self.focal + self.centre[1]
        return x, y, depth

    def triangles(self, corners: np.ndarray, size: int) -> Projected:
        """Triangles (n, 3, 3) as seen in a picture of size x size samples."""
        x, y, depth = self.project(corners)
        faces = np.flatnonzero(depth.min(1) > _NEAREST)
        return Projected(x[faces] * size, y[faces] * size, 1.0 / depth[faces], faces)

    def rays(self, size: int) -> np.ndarray:
        """Directions (3, size * size), float32, depth 1 along the axis, through every sample of a picture."""
        across = ((np.arange(size) + 0.5) / size - self.centre[0]) / self.focal
        down = ((np.arange(size) + 0.5) / size - self.centre[1]) / self.focal
        by_column = self.forward[:, None] + across * self.right[:, None]
        by_row = down * self.up[:, None]
        return (by_column.astype(np.float32)[:, None, :] - by_row.astype(np.float32)[:, :, None]).reshape(3, -1)
