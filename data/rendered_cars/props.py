"""What stands around: buildings and trees behind a vehicle, posts, signs and bushes before it.

Each is about one metre tall and wide, on the ground at the origin, and is stretched to size where it is used.
"""

from functools import cache

from .dice import Dice
from .meshes import Builder, Material, Mesh, Point, turn


def _ring(radius: float, z: float, sides: int, phase: float = 0.0) -> list[Point]:
    corners = [turn(360 * i / sides + phase) for i in range(sides)]
    return [(radius * cos, radius * sin, z) for cos, sin in corners]


def _tube(builder: Builder, rings: list[list[Point]], material: Material) -> None:
    """Skin over rings of equally many points, stacked from the ground up, with a lid."""
    for low, high in zip(rings, rings[1:], strict=False):
        for i in range(len(low)):
            (x0, y0, _), (x1, y1, _) = low[i], low[i - 1]
            rise = (low[i][0] ** 2 + low[i][1] ** 2) ** 0.5 - (high[i][0] ** 2 + high[i][1] ** 2) ** 0.5
            away = (x0 + x1 + high[i][0] + high[i - 1][0], y0 + y1 + high[i][1] + high[i - 1][1], rise * 4)
            builder.face([low[i - 1], low[i], high[i], high[i - 1]], material, away)
    builder.face(rings[-1], material, (0.0, 0.0, 1.0))


def _lump(builder: Builder, dice: Dice, centre: Point, radius: float) -> None:
    """An uneven ball of leaves."""
    rings = []
    for height, breadth in ((-0.9, 0.3), (-0.5, 0.85), (0.05, 1.0), (0.55, 0.8), (0.92, 0.3)):
        ring = _ring(radius * breadth, radius * height, 7, phase=25 * height)
        rings.append([(x * dice.uniform(0.85, 1.1), y * dice.uniform(0.85, 1.1), z) for x, y, z in ring])
    skin = Builder()
    _tube(skin, rings, Material.LEAVES)
    builder.add(skin, centre)


def _building(builder: Builder, dice: Dice) -> None:
    builder.box((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0), Material.WALL)
    builder.box((-0.53, 0.53), (-0.53, 0.53), (0.98, 1.03), Material.ROOF)
    floors, bays = 2 + dice.integer(4), 3 + dice.integer(3)
    for floor in range(floors):
        low, high = (floor + 0.3) / floors * 0.96, (floor + 0.8) / floors * 0.96
        for bay in range(bays):
            a, b = (bay + 0.25) / bays - 0.5, (bay + 0.75) / bays - 0.5
            for side in (0.503, -0.503):
                along_y = [(side, a, low), (side, b, low), (side, b, high), (side, a, high)]
                builder.face(along_y, Material.PANE, (side, 0.0, 0.0))
                along_x = [(y, x, z) for x, y, z in along_y]
                builder.face(along_x, Material.PANE, (0.0, side, 0.0))


def _house(builder: Builder, dice: Dice) -> None:
    builder.box((-0.5, 0.5), (-0.5, 0.5), (0.0, 0.6), Material.WALL)
    for way in (1.0, -1.0):
        slope = [(-0.56, way * 0.58, 0.55), (0.56, way * 0.58, 0.55), (0.56, 0.0, 1.0), (-0.56, 0.0, 1.0)]
        builder.face(slope, Material.ROOF, (0.0, way, 1.0))
        gable = [(way * 0.5, -0.5, 0.6), (way * 0.5, 0.5, 0.6), (way * 0.5, 0.0, 0.98)]
        builder.face(gable, Material.WALL, (way, 0.0, 0.0))
        for x in (-0.32, 0.0, 0.32):
            pane = [(x - 0.08, way * 0.503, 0.2), (x + 0.08, way * 0.503, 0.2)]
            builder.face(pane + [(px, py, 0.45) for px, py, _ in pane[::-1]], Material.PANE, (0.0, way, 0.0))
            pane = [(way * 0.503, x - 0.08, 0.2), (way * 0.503, x + 0.08, 0.2)]
            builder.face(pane + [(px, py, 0.45) for px, py, _ in pane[::-1]], Material.PANE, (way, 0.0, 0.0))


def _broadleaf(builder: Builder, dice: Dice) -> None:
    _tube(builder, [_ring(0.06, 0.0, 5), _ring(0.045, 0.5, 5)], Material.BARK)
    _lump(builder, dice, (0.0, 0.0, 0.66), 0.34)
    for _ in range(2):
        _lump(builder, dice, (dice.uniform(-0.22, 0.22), dice.uniform(-0.22, 0.22), dice.uniform(0.5, 0.75)), 0.24)


def _conifer(builder: Builder, dice: Dice) -> None:
    _tube(builder, [_ring(0.05, 0.0, 5), _ring(0.04, 0.2, 5)], Material.BARK)
    for low, high, breadth in ((0.12, 0.55, 0.32), (0.4, 0.8, 0.25), (0.65, 1.0, 0.17)):
        tilt = dice.uniform(0, 60)
        _tube(builder, [_ring(breadth, low, 7, tilt), _ring(0.02, high, 7, tilt)], Material.LEAVES)


def _bush(builder: Builder, dice: Dice) -> None:
    for _ in range(3):
        radius = dice.uniform(0.32, 0.5)
        _lump(builder, dice, (dice.uniform(-0.3, 0.3), dice.uniform(-0.3, 0.3), radius * 0.8), radius)


def _post(builder: Builder, dice: Dice) -> None:
    _tube(builder, [_ring(0.5, 0.0, 6), _ring(0.45, 1.0, 6)], dice.choice((Material.METAL, Material.BARK)))


def _sign(builder: Builder, dice: Dice) -> None:
    """A plate on a thin post; it faces along x."""
    builder.box((-0.02, 0.02), (-0.03, 0.03), (0.0, 0.72), Material.METAL)
    sides = dice.choice((4, 8, 12))
    plate = [(0.03, 0.18 * y, 0.76 + 0.18 * z) for y, z in (turn(360 * i / sides + 180 / sides) for i in range(sides))]
    builder.face(plate, Material.SIGN, (1.0, 0.0, 0.0))
    builder.face([(-0.03, y, z) for _, y, z in plate], Material.METAL, (-1.0, 0.0, 0.0))
    builder.face([(0.04, y * 0.6, 0.76 + (z - 0.76) * 0.35) for _, y, z in plate], Material.METAL, (1.0, 0.0, 0.0))


_MAKERS = {
    "building": _building,
    "house": _house,
    "broadleaf": _broadleaf,
    "conifer": _conifer,
    "bush": _bush,
    "post": _post,
    "sign": _sign,
}
VARIANTS = 3


@cache
def prop(kind: str, variant: int) -> Mesh:
    """One of the VARIANTS examples of a kind of thing."""
    builder = Builder()
    _MAKERS[kind](builder, Dice("prop", kind, variant))
    return builder.mesh()
