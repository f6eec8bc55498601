"""What is in a picture: the generating factors, drawn at random, and the scene that follows from them."""

from dataclasses import dataclass

import numpy as np

from . import props, vehicles
from .camera import Camera
from .dice import Dice
from .light import Light, random_light
from .meshes import Material, Mesh, join, place, turn
from .paint import Colour, prop_palette, varied, vehicle_palette

# Sideways and three-quarter views only: seen head-on, a wagon is a sedan to anybody.
VIEWS = (60.0, 120.0)
MOST_HIDDEN = 0.1  # an occluder that covers more of the vehicle than this is taken away

GROUNDS = ("asphalt", "concrete", "dirt", "grass", "sand", "snow")

_GROUND_COLOURS: dict[str, Colour] = {
    "asphalt": (0.10, 0.10, 0.105),
    "concrete": (0.33, 0.32, 0.30),
    "dirt": (0.22, 0.16, 0.10),
    "grass": (0.09, 0.17, 0.045),
    "sand": (0.45, 0.37, 0.25),
    "snow": (0.52, 0.54, 0.58),
}


@dataclass(frozen=True)
class Ground:
    """A road through the origin's neighbourhood and what lies beside it; lengths in metres, colours in linear light."""

    heading: float
    middle: float
    half_width: float
    road: np.ndarray
    verge: np.ndarray
    line: np.ndarray
    pavement: float
    dash: float
    roughness: float


@dataclass(frozen=True)
class Scene:
    """Triangles, how each is coloured, and what surrounds them.

    mesh: vehicle, then background, then occluders. albedo: (triangles, 3). vehicle, occluder: slices of triangles.
    """

    mesh: Mesh
    albedo: np.ndarray
    vehicle: slice
    occluders: slice
    camera: Camera
    light: Light
    ground: Ground
    lamps_on: bool
    factors: dict[str, object]


def _ground(dice: Dice) -> tuple[Ground, dict[str, object]]:
    road = dice.choice(("asphalt", "asphalt", "asphalt", "concrete", "dirt", "sand", "snow"))
    verge = dice.choice(("grass", "grass", "concrete", "dirt", "sand", "snow"))
    across = dice.chance(0.15)
    paved = road in ("asphalt", "concrete")
    white = (0.75, 0.75, 0.72) if dice.chance(0.7) else (0.7, 0.5, 0.08)
    ground = Ground(
        heading=(90.0 if across else 0.0) + dice.uniform(-14, 14),
        middle=dice.uniform(-2.2, 2.2),
        half_width=dice.uniform(3.0, 7.5),
        road=varied(dice, _GROUND_COLOURS[road], 0.35),
        verge=varied(dice, _GROUND_COLOURS[verge], 0.3),
        line=varied(dice, white) if paved and dice.chance(0.8) else np.array(_GROUND_COLOURS[road]),
        pavement=dice.uniform(1.0, 2.5) if paved and dice.chance(0.5) else 0.0,
        dash=dice.uniform(2.0, 6.0),
        roughness=dice.uniform(0.1, 0.45),
    )
    return ground, {"road": road, "verge": verge}


def _camera(dice: Dice, low: np.ndarray, high: np.ndarray) -> tuple[Camera, dict[str, float]]:
    """A camera that has most of the box between two corners (3,) in its picture."""
    side = dice.sign()
    azimuth = side * dice.uniform(*VIEWS)
    elevation = dice.uniform(3.0, 13.0)
    length = high[0] - low[0]
    distance = length * dice.uniform(1.9, 4.0) + 2.0
    (cos_a, sin_a), (cos_e, sin_e) = turn(azimuth), turn(elevation)
    target = np.array([0.0, 0.0, high[2] * 0.45])
    position = target + distance * np.array([cos_e * cos_a, cos_e * sin_a, sin_e])
    camera = Camera.looking_at(target, position, dice.uniform(-2.5, 2.5))
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
    x, y, _ = camera.project(corners)
    width, height = x.max() - x.min(), y.max() - y.min()
    fill = dice.uniform(0.82, 1.0)
    focal = fill / max(width, height)
    width, height = width * focal, height * focal
    slack_x, slack_y = abs(1 - width) / 2 + 0.02, abs(1 - height) / 2 * 0.29
    middle = (0.5 + dice.uniform(-slack_x, slack_x), 0.53 + dice.uniform(-slack_y, slack_y))
    centre = tuple(m - focal * ((c.max() + c.min()) / 2 - 0.5) for m, c in zip(middle, (x, y), strict=True))
    shown = 1.0
    for m, extent in zip(middle, (width, height), strict=True):
        shown *= (min(m + extent / 2, 1.0) - max(m - extent / 2, 0.0)) / extent
    placed = Camera(position, camera.forward, camera.right, camera.up, focal, centre)
    factors = {
        "azimuth": azimuth % 360,
        "elevation": elevation,
        "distance": float(distance),
        "focal_length": float(focal),
    }
    return placed, factors | {"cropped": max(1 - float(shown), 0.0)}


def _coloured(mesh: Mesh, palette: dict[Material, np.ndarray]) -> np.ndarray:
    table = np.zeros((len(Material), 3))
    for material, colour in palette.items():
        table[material] = colour
    return table[mesh.material]


def _background(dice: Dice, camera: Camera, ground: Ground, reach: float) -> list[tuple[Mesh, np.ndarray]]:
    """Buildings and trees beyond the vehicle and off the road."""
    kinds = dice.choice((("building", "house"), ("broadleaf", "conifer", "bush"), tuple(_SIZES), ()))
    ahead = camera.forward * np.array([1.0, 1.0, 0.0])
    sideways = np.array([ahead[1], -ahead[0], 0.0])
    cos, sin = turn(ground.heading)
    start = np.sqrt(camera.position[0] ** 2 + camera.position[1] ** 2)
    things = []
    for _ in range(dice.integer(5) if kinds else 0):
        kind = dice.choice(kinds)
        depth = start + reach + dice.uniform(6, 50)
        spot = camera.position + ahead * depth + sideways * depth * dice.uniform(-0.6, 0.6) / camera.focal
        width, height = dice.uniform(*_SIZES[kind][0]), dice.uniform(*_SIZES[kind][1])
        palette, variant = prop_palette(dice), dice.integer(props.VARIANTS)
        heading = ground.heading + dice.uniform(-8, 8)
        off_road = abs(-spot[0] * sin + spot[1] * cos - ground.middle) - ground.half_width - ground.pavement
        if off_road < width * 0.6:
            continue
        mesh = place(props.prop(kind, variant), (width, width, height), heading, (spot[0], spot[1], 0.0))
        things.append((mesh, _coloured(mesh, palette)))
    return things


_SIZES = {
    "building": ((7.0, 16.0), (6.0, 20.0)),
    "house": ((6.0, 11.0), (4.5, 8.0)),
    "broadleaf": ((4.0, 8.0), (4.0, 9.0)),
    "conifer": ((3.0, 6.0), (5.0, 12.0)),
    "bush": ((1.0, 3.0), (0.8, 2.0)),
    "sign": ((2.0, 2.6), (2.2, 3.2)),
}


def _occluders(
    dice: Dice, camera: Camera, azimuth: float, low: np.ndarray, high: np.ndarray
) -> list[tuple[Mesh, np.ndarray]]:
    """Now and then a post, a sign or a bush between the camera and the vehicle."""
    things = []
    count = 0 if dice.chance(0.78) else 1 + dice.integer(2)
    for _ in range(count):
        kind = dice.choice(("post", "sign", "bush"))
        point = np.array([dice.uniform(low[0], high[0]) * 0.9, dice.uniform(low[1], high[1]), 0.0])
        nearer = dice.uniform(0.4, 0.75) if kind != "bush" else dice.uniform(0.2, 0.45)
        spot = point + (camera.position - point) * np.array([1.0, 1.0, 0.0]) * nearer
        metres = float(camera.project(spot)[2]) / camera.focal  # that a picture's width spans there
        if kind == "post":
            scale = (metres * dice.uniform(0.02, 0.045),) * 2 + (metres * 1.5,)
        elif kind == "sign":
            scale = (metres * dice.uniform(0.4, 0.6),) * 3
        else:
            scale = (metres * dice.uniform(0.12, 0.22),) * 2 + (metres * dice.uniform(0.08, 0.2),)
        variant, heading = dice.integer(props.VARIANTS), azimuth + dice.uniform(-35, 35)
        mesh = place(props.prop(kind, variant), scale, heading, (spot[0], spot[1], 0.0))
        things.append((mesh, _coloured(mesh, prop_palette(dice))))
    return things


def compose(style: str, dice: Dice) -> Scene:
    """A scene round one vehicle of a style."""
    stretch = (dice.uniform(0.96, 1.04), dice.uniform(0.96, 1.04), dice.uniform(0.96, 1.04))
    vehicle = place(vehicles.vehicle(style, dice.integer(vehicles.VARIANTS)), stretch)
    points = vehicle.corners.reshape(-1, 3)
    low, high = points.min(0), points.max(0)
    camera, seen = _camera(dice, low, high)
    light, weather = random_light(dice, seen["azimuth"])
    ground, surface = _ground(dice)
    palette, paint = vehicle_palette(dice, [ground.road, ground.verge])
    behind = _background(dice, camera, ground, reach=(high[0] - low[0]) / 2)
    occluders = _occluders(dice, camera, seen["azimuth"], low, high)

    things = [(vehicle, _coloured(vehicle, palette)), *behind, *occluders]
    ends = np.cumsum([mesh.material.size for mesh, _ in things])
    return Scene(
        mesh=join([mesh for mesh, _ in things]),
        albedo=np.concatenate([albedo for _, albedo in things]),
        vehicle=slice(0, int(ends[0])),
        occluders=slice(int(ends[len(behind)]), int(ends[-1])),
        camera=camera,
        light=light,
        ground=ground,
        lamps_on=dice.chance(0.3),
        factors={**seen, **weather, **surface, **paint},
    )
