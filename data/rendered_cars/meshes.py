"""Building blocks of everything that is rendered: triangles with a material and smoothed normals."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

_CREASE = 0.72  # faces whose normals' cosine is above this are shaded as one smooth surface

Point = tuple[float, float, float]
Range = tuple[float, float]


class Material(IntEnum):
    PAINT = 0
    LOWER_PAINT = 1
    ROOF_PAINT = 2
    GLASS = 3
    TRIM = 4
    CHROME = 5
    TYRE = 6
    RIM = 7
    HEADLAMP = 8
    TAIL_LAMP = 9
    INDICATOR = 10
    PLATE = 11
    INSIDE = 12
    CARGO = 13
    WALL = 14
    ROOF = 15
    PANE = 16
    BARK = 17
    LEAVES = 18
    METAL = 19
    SIGN = 20


@dataclass(frozen=True)
class Mesh:
    """Triangles in metres: x forward, y to the left, z up, the ground at z = 0.

    corners, normals: (triangles, 3, 3), counter-clockwise seen from outside. material: (triangles,).
    casts: (triangles,), whether the triangle throws a shadow (thin details on a surface need not).
    """

    corners: np.ndarray
    normals: np.ndarray
    material: np.ndarray
    casts: np.ndarray


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product of (..., 3) arrays, in plain products so that it rounds alike everywhere."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def _middle(points: list[Point]) -> Point:
    x, y, z = (sum(point[axis] for point in points) / len(points) for axis in range(3))
    return x, y, z


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dot product over the last axis of (..., 3) arrays."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def unit(a: np.ndarray) -> np.ndarray:
    """(..., 3) vectors scaled to length 1."""
    return a / np.sqrt(np.maximum(dot(a, a), 1e-30))[..., None]


def _smooth_normals(corners: np.ndarray) -> np.ndarray:
    """Normals (triangles, 3, 3): each corner's mean over the triangles that meet there without a crease."""
    weighted = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = unit(weighted)
    places = np.floor(corners.reshape(-1, 3) * 1e4 + 0.5).astype(np.int64)
    _, vertex = np.unique(places, axis=0, return_inverse=True)
    vertex = vertex.reshape(-1)
    order = np.argsort(vertex, kind="stable")
    counts = np.bincount(vertex)
    rank = np.arange(vertex.size) - (np.cumsum(counts) - counts)[vertex[order]]
    around = np.full((counts.size, counts.max()), -1)
    around[vertex[order], rank] = order // 3
    own = np.repeat(flat, 3, axis=0)
    total = np.zeros_like(own)
    for neighbour in around[vertex].T:
        joined = (neighbour >= 0) & (dot(flat[neighbour], own) > _CREASE)
        total += np.where(joined[:, None], weighted[neighbour], 0.0)
    return unit(total).reshape(-1, 3, 3)


class Builder:
    """Collects faces, then makes a Mesh of them."""

    def __init__(self):
        self._corners: list[tuple[Point, Point, Point]] = []
        self._material: list[Material] = []
        self._casts: list[bool] = []

    def face(self, points: list[Point], material: Material, outside: Point, casts: bool = True) -> None:
        """Add a convex polygon whose front looks along `outside`, in whichever order its points come."""
        nx = ny = nz = 0.0
        for (ax, ay, az), (bx, by, bz) in zip(points, points[1:] + points[:1], strict=True):
            nx += (ay - by) * (az + bz)
            ny += (az - bz) * (ax + bx)
            nz += (ax - bx) * (ay + by)
        if nx * outside[0] + ny * outside[1] + nz * outside[2] < 0:
            points = points[::-1]
        for second, third in zip(points[1:-1], points[2:], strict=True):
            self._corners.append((points[0], second, third))
            self._material.append(material)
            self._casts.append(casts)

    def both(self, points: list[Point], material: Material, outside: Point, casts: bool = True) -> None:
        """Add a polygon and its mirror image on the vehicle's other side."""
        self.face(points, material, outside, casts)
        mirrored = [(x, -y, z) for x, y, z in points]
        self.face(mirrored, material, (outside[0], -outside[1], outside[2]), casts)

    def add(self, other: "Builder", offset: Point) -> None:
        """Add all the faces of another builder, moved by `offset`."""

        def moved(point: Point) -> Point:
            return point[0] + offset[0], point[1] + offset[1], point[2] + offset[2]

        self._corners += [(moved(first), moved(second), moved(third)) for first, second, third in other._corners]
        self._material += other._material
        self._casts += other._casts

    def hexahedron(self, low: list[Point], high: list[Point], material: Material, casts: bool = True) -> None:
        """Add a solid between two quadrilaterals whose points correspond."""
        centre = _middle(low + high)
        for points in (low, high, *([low[i], low[i - 1], high[i - 1], high[i]] for i in range(4))):
            middle = _middle(points)
            outside = middle[0] - centre[0], middle[1] - centre[1], middle[2] - centre[2]
            self.face(points, material, outside, casts)

    def box(self, x: Range, y: Range, z: Range, material: Material, casts: bool = False) -> None:
        """Add a box between the two values of x, of y and of z."""
        low = [(x[0], y[0], z[0]), (x[1], y[0], z[0]), (x[1], y[1], z[0]), (x[0], y[1], z[0])]
        self.hexahedron(low, [(px, py, z[1]) for px, py, _ in low], material, casts)

    def boxes(self, x: Range, y: Range, z: Range, material: Material, casts: bool = False) -> None:
        """Add a box and its mirror image on the vehicle's other side."""
        self.box(x, y, z, material, casts)
        self.box(x, (-y[1], -y[0]), z, material, casts)

    def mesh(self) -> Mesh:
        corners = np.array(self._corners, np.float64)
        return Mesh(corners, _smooth_normals(corners), np.array(self._material, np.uint8), np.array(self._casts))


def turn(degrees: float) -> tuple[float, float]:
    """Cosine and sine, rounded so that the last bit of a machine's own library does not matter."""
    radians = math.radians(degrees)
    return round(math.cos(radians), 9), round(math.sin(radians), 9)


def place(mesh: Mesh, scale: Point = (1.0, 1.0, 1.0), heading: float = 0.0, at: Point = (0.0, 0.0, 0.0)) -> Mesh:
    """The mesh stretched along its own axes, turned about the vertical by `heading` degrees, then moved."""
    cos, sin = turn(heading)

    def rotated(vectors: np.ndarray) -> np.ndarray:
        if not heading:
            return vectors
        x, y = vectors[..., 0], vectors[..., 1]
        return np.stack([x * cos - y * sin, x * sin + y * cos, vectors[..., 2]], -1)

    corners = rotated(mesh.corners * np.array(scale)) + np.array(at)
    return Mesh(corners, rotated(unit(mesh.normals / np.array(scale))), mesh.material, mesh.casts)


def join(meshes: list[Mesh]) -> Mesh:
    return Mesh(
        np.concatenate([mesh.corners for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.material for mesh in meshes]),
        np.concatenate([mesh.casts for mesh in meshes]),
    )
