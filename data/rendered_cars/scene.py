"""What is in a picture: the generating factors, drawn at random, and the scene that follows from them."""

from dataclasses import dataclass

import numpy as np

from . import props, vehicles
from .camera import Camera
from .dice import Dice
from .meshes import Material, Mesh, join, place, turn

Colour = tuple[float, float, float]  # linear light, 0 ... 1

# Sideways and three-quarter views only: seen head-on, a wagon is a sedan to anybody.
VIEWS = (35.0, 145.0)
MOST_HIDDEN = 0.2  # an occluder that covers more of the vehicle than this is taken away

PAINTS: tuple[Colour, ...] = (
    (0.82, 0.82, 0.80), (0.55, 0.56, 0.57), (0.25, 0.26, 0.28), (0.08, 0.085, 0.09), (0.022, 0.022, 0.025),
    (0.55, 0.03, 0.03), (0.28, 0.02, 0.03), (0.03, 0.10, 0.42), (0.05, 0.25, 0.60), (0.02, 0.04, 0.16),
    (0.04, 0.22, 0.09), (0.30, 0.45, 0.12), (0.75, 0.52, 0.04), (0.80, 0.25, 0.03), (0.50, 0.42, 0.28),
    (0.18, 0.09, 0.05), (0.05, 0.38, 0.40), (0.45, 0.62, 0.75), (0.30, 0.08, 0.32), (0.72, 0.66, 0.50),
)  # fmt: skip

SKIES = ("clear", "hazy", "overcast", "sunset")
GROUNDS = ("asphalt", "concrete", "dirt", "grass", "sand", "snow")

_GROUND_COLOURS: dict[str, Colour] = {
    "asphalt": (0.10, 0.10, 0.105),
    "concrete": (0.33, 0.32, 0.30),
    "dirt": (0.22, 0.16, 0.10),
    "grass": (0.09, 0.17, 0.045),
    "sand": (0.45, 0.37, 0.25),
    "snow": (0.72, 0.74, 0.78),
}


# Zenith, horizon, sun, light from the whole sky, softness of shadows.
_SKY_COLOURS: dict[str, tuple[Colour, Colour, Colour, Colour, float]] = {
    "clear": ((0.10, 0.25, 0.62), (0.55, 0.72, 0.92), (1.40, 1.28, 1.08), (0.22, 0.27, 0.36), 0.1),
    "hazy": ((0.35, 0.47, 0.62), (0.80, 0.80, 0.76), (1.00, 0.92, 0.78), (0.34, 0.36, 0.38), 0.4),
    "overcast": ((0.42, 0.45, 0.49), (0.66, 0.68, 0.70), (0.22, 0.22, 0.22), (0.58, 0.60, 0.63), 1.0),
    "sunset": ((0.16, 0.20, 0.42), (0.95, 0.52, 0.26), (1.50, 0.86, 0.44), (0.26, 0.25, 0.32), 0.2),
}


@dataclass(frozen=True)
class Light:
    """Sun and sky, in linear light. sun: (3,), the unit vector towards it. ambient: what comes from the whole sky."""

    sun: np.ndarray
    sun_colour: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    softness: float  # of shadows, 0 ... 1


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


def _jitter(dice: Dice, colour: Colour, amount: float = 0.15) -> np.ndarray:
    shade = dice.uniform(1 - amount, 1 + amount)
    return np.array([min(channel * shade * dice.uniform(0.95, 1.05), 0.9) for channel in colour])


def _light(dice: Dice, camera_azimuth: float) -> tuple[Light, dict[str, object]]:
    sky = dice.choice(SKIES)
    azimuth = camera_azimuth + dice.uniform(-140, 140)
    elevation = dice.uniform(24, 68) if sky != "sunset" else dice.uniform(20, 34)
    (cos_e, sin_e), (cos_a, sin_a) = turn(elevation), turn(azimuth)
    zenith, horizon, sun, ambient, softness = _SKY_COLOURS[sky]
    brightness = dice.uniform(0.8, 1.15)
    colours = (np.array(colour) * brightness for colour in (sun, ambient, zenith, horizon))
    light = Light(np.array([cos_e * cos_a, cos_e * sin_a, sin_e]), *colours, softness)
    return light, {"sky": sky, "sun_azimuth": azimuth % 360, "sun_elevation": elevation}


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
        road=_jitter(dice, _GROUND_COLOURS[road], 0.35),
        verge=_jitter(dice, _GROUND_COLOURS[verge], 0.3),
        line=_jitter(dice, white) if paved and dice.chance(0.8) else np.array(_GROUND_COLOURS[road]),
        pavement=dice.uniform(1.0, 2.5) if paved and dice.chance(0.5) else 0.0,
        dash=dice.uniform(2.0, 6.0),
        roughness=dice.uniform(0.1, 0.45),
    )
    return ground, {"ground": road}


def _camera(dice: Dice, low: np.ndarray, high: np.ndarray) -> tuple[Camera, dict[str, object]]:
    """A camera that has most of the box between two corners (3,) in its picture."""
    side = dice.sign()
    azimuth = side * dice.uniform(*VIEWS)
    elevation = dice.uniform(3.0, 18.0)
    length = high[0] - low[0]
    distance = length * dice.uniform(1.7, 4.0) + 2.0
    (cos_a, sin_a), (cos_e, sin_e) = turn(azimuth), turn(elevation)
    target = np.array([0.0, 0.0, high[2] * 0.45])
    position = target + distance * np.array([cos_e * cos_a, cos_e * sin_a, sin_e])
    camera = Camera.looking_at(target, position, dice.uniform(-2.5, 2.5))
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
    x, y, _ = camera.project(corners)
    width, height = x.max() - x.min(), y.max() - y.min()
    fill = dice.uniform(0.78, 1.0)
    focal = fill / max(width, height)
    width, height = width * focal, height * focal
    slack_x, slack_y = abs(1 - width) / 2 + 0.03, abs(1 - height) / 2 * 0.4
    middle = (0.5 + dice.uniform(-slack_x, slack_x), 0.53 + dice.uniform(-slack_y, slack_y))
    centre = tuple(m - focal * ((c.max() + c.min()) / 2 - 0.5) for m, c in zip(middle, (x, y), strict=True))
    shown = 1.0
    for m, extent in zip(middle, (width, height), strict=True):
        shown *= (min(m + extent / 2, 1.0) - max(m - extent / 2, 0.0)) / extent
    placed = Camera(position, camera.forward, camera.right, camera.up, focal, centre)
    factors = {"azimuth": azimuth % 360, "elevation": elevation, "distance": distance, "focal_length": focal}
    return placed, factors | {"cropped": max(1 - shown, 0.0)}


def _paint(dice: Dice) -> tuple[dict[Material, np.ndarray], dict[str, object]]:
    """A colour for each material of the vehicle."""
    paint = _jitter(dice, dice.choice(PAINTS), 0.25)
    second = _jitter(dice, dice.choice(PAINTS), 0.25)
    two_tone = dice.choice(("none", "none", "none", "roof", "lower", "both"))
    palette = {material: np.array(colour) for material, colour in _FIXED.items()}
    palette[Material.PAINT] = paint
    palette[Material.ROOF_PAINT] = second if two_tone in ("roof", "both") else paint
    palette[Material.LOWER_PAINT] = second if two_tone in ("lower", "both") else paint
    palette[Material.CARGO] = _jitter(dice, dice.choice(PAINTS), 0.2) if dice.chance(0.75) else paint
    palette[Material.TRIM] = paint * 0.8 if dice.chance(0.25) else np.full(3, dice.uniform(0.02, 0.075))
    palette[Material.RIM] = np.full(3, dice.uniform(0.12, 0.75))
    palette[Material.GLASS] = np.array((0.02, 0.025, 0.028)) * dice.uniform(0.5, 3.0)
    second = second if two_tone != "none" else paint
    return palette, {"paint": _as_pixel(paint), "second_paint": _as_pixel(second)}


def _as_pixel(colour: np.ndarray) -> np.ndarray:
    """The colour as it is in a picture, (3,) uint8."""
    return np.floor(np.sqrt(np.minimum(colour, 1.0)) * 255 + 0.5).astype(np.uint8)


_FIXED: dict[Material, Colour] = {
    Material.CHROME: (0.45, 0.45, 0.46),
    Material.TYRE: (0.018, 0.018, 0.018),
    Material.HEADLAMP: (0.75, 0.75, 0.72),
    Material.TAIL_LAMP: (0.50, 0.02, 0.02),
    Material.INDICATOR: (0.75, 0.28, 0.03),
    Material.PLATE: (0.70, 0.68, 0.55),
    Material.INSIDE: (0.02, 0.02, 0.02),
    Material.BARK: (0.12, 0.08, 0.05),
    Material.METAL: (0.40, 0.41, 0.42),
}


def _surroundings(dice: Dice) -> dict[Material, np.ndarray]:
    """A colour for each material of one prop."""
    walls = ((0.45, 0.22, 0.15), (0.55, 0.50, 0.42), (0.40, 0.40, 0.42), (0.65, 0.62, 0.58), (0.30, 0.33, 0.38))
    leaves = ((0.05, 0.13, 0.03), (0.10, 0.20, 0.04), (0.03, 0.09, 0.04), (0.35, 0.20, 0.04), (0.20, 0.22, 0.05))
    signs = ((0.60, 0.03, 0.03), (0.03, 0.12, 0.50), (0.75, 0.60, 0.03), (0.04, 0.30, 0.12), (0.7, 0.7, 0.7))
    palette = {material: np.array(colour) for material, colour in _FIXED.items()}
    palette[Material.WALL] = _jitter(dice, dice.choice(walls), 0.4)
    palette[Material.ROOF] = _jitter(dice, dice.choice(((0.30, 0.10, 0.06), (0.12, 0.12, 0.13), (0.25, 0.2, 0.16))))
    palette[Material.PANE] = _jitter(dice, (0.06, 0.08, 0.11), 0.5)
    palette[Material.LEAVES] = _jitter(dice, dice.choice(leaves), 0.4)
    palette[Material.SIGN] = _jitter(dice, dice.choice(signs), 0.2)
    return palette


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
    for _ in range(dice.integer(7) if kinds else 0):
        kind = dice.choice(kinds)
        depth = start + reach + dice.uniform(3, 45)
        spot = camera.position + ahead * depth + sideways * depth * dice.uniform(-0.6, 0.6) / camera.focal
        width, height = dice.uniform(*_SIZES[kind][0]), dice.uniform(*_SIZES[kind][1])
        palette, variant = _surroundings(dice), dice.integer(props.VARIANTS)
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
    count = 0 if dice.chance(0.65) else 1 + dice.integer(2)
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
        things.append((mesh, _coloured(mesh, _surroundings(dice))))
    return things


def compose(style: str, dice: Dice) -> Scene:
    """A scene round one vehicle of a style."""
    stretch = (dice.uniform(0.96, 1.04), dice.uniform(0.96, 1.04), dice.uniform(0.96, 1.04))
    vehicle = place(vehicles.vehicle(style, dice.integer(vehicles.VARIANTS)), stretch)
    points = vehicle.corners.reshape(-1, 3)
    low, high = points.min(0), points.max(0)
    camera, seen = _camera(dice, low, high)
    light, weather = _light(dice, seen["azimuth"])
    ground, surface = _ground(dice)
    palette, paint = _paint(dice)
    behind = _background(dice, camera, ground, reach=(high[0] - low[0]) / 2)
    before = _occluders(dice, camera, seen["azimuth"], low, high)

    things = [(vehicle, _coloured(vehicle, palette)), *behind, *before]
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
        factors=seen | weather | surface | paint,
    )
