"""Eight parametric low-poly vehicles: what makes a sedan a sedan, in metres.

A vehicle is a shell (everything below the windows, lofted along its length), a cabin (everything above), wheels and
fittings. x points forward, y to the left, z up; wheels stand on z = 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from .dice import Dice
from .meshes import Builder, Material, Mesh, Point, Range, turn

STYLES = ("sedan", "hatchback", "wagon", "suv", "pickup", "van", "bus", "box_truck")
VARIANTS = 6  # differently proportioned examples of each style

_WHEEL_SIDES = 14
_DETAIL = 0.012  # how far a window or a lamp stands out from the surface it lies on


@dataclass(frozen=True)
class Body:
    """Proportions in metres; x is measured from the vehicle's middle.

    deck: the line along the top of the shell, (x, z) from tail to nose; under the windows it is the belt line.
    axles: x of the wheels. rounding: how much narrower tail and nose are, as a share of the width.
    """

    width: float
    clearance: float
    deck: tuple[tuple[float, float], ...]
    axles: tuple[float, ...]
    wheel: float
    waist: float
    rounding: Range = (0.07, 0.13)
    open_bed: Range | None = None

    @property
    def half(self) -> float:
        return self.width / 2

    @property
    def tail(self) -> float:
        return self.deck[0][0]

    @property
    def nose(self) -> float:
        return self.deck[-1][0]

    def top(self, x: float) -> float:
        for (x0, z0), (x1, z1) in zip(self.deck, self.deck[1:], strict=False):
            if x <= x1:
                return z0 + (z1 - z0) * (x - x0) / (x1 - x0)
        return self.deck[-1][1]

    def bottom(self, x: float) -> float:
        """The lower edge of the side: the sill, raised above each wheel."""
        arch = self.wheel * 1.14
        for axle in self.axles:
            if abs(x - axle) < arch + 1e-6:
                return self.wheel + max(arch * arch - (x - axle) * (x - axle), 0.0) ** 0.5
        return self.clearance

    def plan(self, x: float) -> float:
        """Half the width at x: the nose and the tail are rounded in plan."""
        reach = 0.55
        back = max(self.tail + reach - x, 0.0) / reach
        front = max(x - self.nose + reach, 0.0) / reach
        return self.half * (1 - self.rounding[0] * back * back - self.rounding[1] * front * front)

    def stations(self) -> list[float]:
        """Where the shell is cut across, from tail to nose."""
        arch = self.wheel * 1.14
        cuts = {x for x, _ in self.deck}
        cuts |= {self.tail + 0.18, self.tail + 0.45, self.nose - 0.45, self.nose - 0.18}
        if self.open_bed:
            cuts |= set(self.open_bed)
        for axle in self.axles:
            cuts |= {axle + arch * turn(angle)[0] for angle in range(0, 181, 20)}
            cuts |= {axle - arch - 0.01, axle + arch + 0.01}
        return sorted({round(x, 4) for x in cuts if self.tail <= x <= self.nose})

    def section(self, x: float) -> list[Point]:
        """The left half of the shell cut at x, from the sill up and over to the middle."""
        half, top, bottom = self.plan(x), self.top(x), self.bottom(x)
        waist = min(max(self.waist, bottom + 0.02), top - 0.08)
        tucked = bottom if bottom < waist else waist - 0.02
        reach = {self.nose: (-0.05, 0.0, -0.03, -0.09, -0.07), self.tail: (0.04, 0.0, 0.01, 0.04, 0.04)}
        shift = reach.get(x, (0.0,) * 5)
        heights = (tucked, waist, top - 0.06, top, top + 0.025)
        breadths = (0.97, 1.0, 0.985, 0.93, 0.0)
        return [(x + dx, half * share, z) for dx, share, z in zip(shift, breadths, heights, strict=True)]


@dataclass(frozen=True)
class Cabin:
    """The part with the windows; x at its foot and at its roof, front and rear.

    glass: from where to where the side windows reach, as x at the belt line. pillars: x of the posts between them.
    """

    rear_foot: float
    rear_top: float
    front_top: float
    front_foot: float
    roof: float
    taper: float = 0.8  # the roof's width as a share of the shell's
    pillars: tuple[float, ...] = ()
    glass: Range | None = None
    rear_window: bool = True
    pillar: Material = Material.TRIM


def _shell(builder: Builder, body: Body) -> None:
    stations = body.stations()
    sections = [body.section(x) for x in stations]
    materials = (Material.LOWER_PAINT, Material.PAINT, Material.PAINT, Material.PAINT)
    outsides = ((0.0, 1.0, -0.1), (0.0, 1.0, 0.0), (0.0, 1.0, 0.6), (0.0, 0.0, 1.0))
    for x, here, following in zip(stations, sections, sections[1:], strict=False):
        in_bed = body.open_bed and body.open_bed[0] <= x < body.open_bed[1]
        for ring in range(3 if in_bed else 4):
            quad = [here[ring], here[ring + 1], following[ring + 1], following[ring]]
            builder.both(quad, materials[ring], outsides[ring])
    for section, way in ((sections[0], -1.0), (sections[-1], 1.0)):
        for ring in range(4):
            (ax, ay, az), (bx, by, bz) = section[ring], section[ring + 1]
            quad = [(ax, ay, az), (bx, by, bz), (bx, -by, bz), (ax, -ay, az)]
            builder.face(quad[:2] + quad[3:] if by == 0 else quad, materials[ring], (way, 0.0, 0.1))
    _underside(builder, body)
    if body.open_bed:
        _bed(builder, body, body.open_bed)


def _underside(builder: Builder, body: Body) -> None:
    """A dark core that closes the wheel arches and the bottom."""
    side, low = body.half - 0.24, body.clearance + 0.01
    high = min(body.top(body.tail + 0.05), body.top(body.nose - 0.05)) - 0.1
    builder.box((body.tail + 0.06, body.nose - 0.1), (-side, side), (low, high), Material.INSIDE, casts=True)
    edge = body.half * 0.95
    for x0, x1 in _between_arches(body):
        builder.both(
            [(x0, side, low), (x1, side, low), (x1, edge, low), (x0, edge, low)], Material.INSIDE, (0.0, 0.0, -1.0)
        )


def _between_arches(body: Body) -> list[Range]:
    arch = body.wheel * 1.14
    cuts = [body.tail + 0.3]
    for axle in sorted(body.axles):
        cuts += [axle - arch, axle + arch]
    cuts.append(body.nose - 0.3)
    return [(x0, x1) for x0, x1 in zip(cuts[::2], cuts[1::2], strict=True) if x1 > x0]


def _bed(builder: Builder, body: Body, bed: Range) -> None:
    """The open box behind a pickup's cab: rails, inner walls and a floor."""
    rear, front = bed
    rail, inner, floor = body.half * 0.93, body.half * 0.84, body.clearance + 0.42
    top = body.top(rear)
    builder.both(
        [(rear, rail, top), (front, rail, top), (front, inner, top), (rear, inner, top)], Material.TRIM, (0, 0, 1)
    )
    builder.both(
        [(rear, inner, top), (front, inner, top), (front, inner, floor), (rear, inner, floor)],
        Material.INSIDE,
        (0, -1, 0),
    )
    for x, way in ((rear, 1.0), (front, -1.0)):
        wall = [(x, inner, floor), (x, -inner, floor), (x, -inner, top), (x, inner, top)]
        builder.face(wall, Material.INSIDE, (way, 0.0, 0.0))
    ground = [(rear, inner, floor), (front, inner, floor), (front, -inner, floor), (rear, -inner, floor)]
    builder.face(ground, Material.INSIDE, (0.0, 0.0, 1.0))


class _Pane:
    """A cabin's left side, in coordinates (x along it, v from 0 at the belt line to 1 at the roof)."""

    def __init__(self, body: Body, cabin: Cabin):
        self.rear, self.front = (cabin.rear_foot, cabin.rear_top), (cabin.front_foot, cabin.front_top)
        self.foot_half, self.top_half = body.half * 0.93, body.half * cabin.taper
        self.rear_foot, self.front_foot = body.top(cabin.rear_foot) - 0.02, body.top(cabin.front_foot) - 0.02
        self.eaves = cabin.roof - 0.07
        self._belt = body.top

    def ends(self, v: float) -> Range:
        rear, front = (foot + (top - foot) * v for foot, top in (self.rear, self.front))
        return rear, front

    def at(self, x: float, v: float, out: float = 0.0) -> Point:
        foot = self._belt(min(max(x, self.rear[0]), self.front[0])) - 0.02
        y = self.foot_half + (self.top_half - self.foot_half) * v
        return x, y + out, foot + (self.eaves - foot) * v + out * 0.25


def _cabin(builder: Builder, body: Body, cabin: Cabin) -> None:
    pane = _Pane(body, cabin)
    rear_foot, front_foot = pane.at(cabin.rear_foot, 0.0), pane.at(cabin.front_foot, 0.0)
    rear_top, front_top = pane.at(cabin.rear_top, 1.0), pane.at(cabin.front_top, 1.0)
    inset = min(0.14, body.half * 0.12)
    rear_roof = (cabin.rear_top + inset, rear_top[1] - inset, cabin.roof)
    front_roof = (cabin.front_top - inset, front_top[1] - inset, cabin.roof)

    builder.both([rear_foot, front_foot, front_top, rear_top], Material.PAINT, (0.0, 1.0, 0.2))
    builder.both([rear_top, front_top, front_roof, rear_roof], Material.ROOF_PAINT, (0.0, 0.5, 1.0))
    for foot, top, roof, way in ((front_foot, front_top, front_roof, 1.0), (rear_foot, rear_top, rear_roof, -1.0)):
        builder.face(_across(foot, top), Material.PAINT, (way, 0.0, 0.4))
        builder.face(_across(top, roof), Material.ROOF_PAINT, (way, 0.0, 1.0))
    builder.face(_across(rear_roof, front_roof), Material.ROOF_PAINT, (0.0, 0.0, 1.0))

    _side_windows(builder, cabin, pane)
    _end_window(builder, front_foot, front_top, 1.0)
    if cabin.rear_window:
        _end_window(builder, rear_foot, rear_top, -1.0)


def _across(low: Point, high: Point) -> list[Point]:
    """The quadrilateral from one side of the vehicle to the other between two points and their mirror images."""
    return [low, (low[0], -low[1], low[2]), (high[0], -high[1], high[2]), high]


def _side_windows(builder: Builder, cabin: Cabin, pane: _Pane) -> None:
    low, high, edge = 0.08, 0.9, 0.09
    corners = []
    for v in (low, high):
        rear, front = pane.ends(v)
        if cabin.glass:
            rear, front = max(rear + edge, cabin.glass[0]), min(front - edge, cabin.glass[1])
        else:
            rear, front = rear + edge, front - edge
        corners.append((rear, front, v))
    (r0, f0, v0), (r1, f1, v1) = corners
    glass = [pane.at(r0, v0, _DETAIL), pane.at(f0, v0, _DETAIL), pane.at(f1, v1, _DETAIL), pane.at(r1, v1, _DETAIL)]
    builder.both(glass, Material.GLASS, (0.0, 1.0, 0.2), casts=False)
    for x in cabin.pillars:
        post = [pane.at(x + dx, v, 2 * _DETAIL) for dx, v in ((-0.05, low), (0.05, low), (0.05, high), (-0.05, high))]
        builder.both(post, cabin.pillar, (0.0, 1.0, 0.2), casts=False)


def _end_window(builder: Builder, foot: Point, top: Point, way: float) -> None:
    """Windscreen or rear window: the cabin's end, less a frame, a little in front of it."""

    def between(v: float) -> Point:
        x, y, z = (a + (b - a) * v for a, b in zip(foot, top, strict=True))
        return x + way * 2 * _DETAIL, y * 0.9, z + _DETAIL

    builder.face(_across(between(0.1), between(0.92)), Material.GLASS, (way, 0.0, 0.4), casts=False)


def _circle(radius: float, sides: int) -> list[Range]:
    corners = (turn(360 * i / sides - 90) for i in range(sides))
    return [(radius * cos, radius * sin) for cos, sin in corners]


def _wheel(builder: Builder, axle: float, y: float, radius: float, spokes: int, width: float = 0.22) -> None:
    """A wheel whose outer side is at y, drawn on both sides of the vehicle."""

    def ring(share: float, depth: float) -> list[Point]:
        return [(axle + u, y + depth, radius + v) for u, v in _circle(radius * share, _WHEEL_SIDES)]

    outer, inner, rim, hub = ring(1.0, 0.0), ring(1.0, -width), ring(0.66, _DETAIL), ring(0.18, 3 * _DETAIL)
    builder.both(outer, Material.TYRE, (0.0, 1.0, 0.0))
    builder.both(inner, Material.TYRE, (0.0, -1.0, 0.0))
    for i in range(_WHEEL_SIDES):
        away = (outer[i][0] + outer[i - 1][0] - 2 * axle, 0.0, outer[i][2] + outer[i - 1][2] - 2 * radius)
        builder.both([outer[i], outer[i - 1], inner[i - 1], inner[i]], Material.TYRE, away)
    builder.both(rim, Material.RIM, (0.0, 1.0, 0.0), casts=False)
    builder.both(hub, Material.CHROME, (0.0, 1.0, 0.0), casts=False)
    for i in range(spokes):
        start, end = 360 * (i + 0.22) / spokes, 360 * (i + 0.78) / spokes
        gap = []
        for angle, share in ((start, 0.28), (start, 0.58), ((start + end) / 2, 0.61), (end, 0.58), (end, 0.28)):
            cos, sin = turn(angle)
            gap.append((axle + cos * share * radius, y + 2 * _DETAIL, radius + sin * share * radius))
        builder.both(gap, Material.TYRE, (0.0, 1.0, 0.0), casts=False)


def _wheels(builder: Builder, body: Body, spokes: int) -> None:
    for axle in body.axles:
        _wheel(builder, axle, body.half - 0.015, body.wheel, spokes)


def _face_of(builder: Builder, body: Body, grille: Material, lamp_height: float, wide: float) -> None:
    """Headlamps, grille, bumper and plate."""
    nose, half, top = body.nose, body.plan(body.nose), body.top(body.nose)
    lamp = (top - 0.07 - lamp_height, top - 0.07)
    builder.boxes((nose - 0.3, nose + 0.005), (half * (1 - wide), half * 0.99), lamp, Material.HEADLAMP)
    builder.boxes((nose - 0.2, nose), (half * 0.98, half * 1.03), (lamp[0], lamp[1] - 0.04), Material.INDICATOR)
    builder.box((nose - 0.2, nose + 0.012), (-half * 0.5, half * 0.5), (lamp[0] - 0.04, lamp[1] - 0.02), grille)
    low = body.clearance + 0.02
    builder.box((nose - 0.3, nose + 0.05), (-half * 0.96, half * 0.96), (low, low + 0.17), Material.TRIM, casts=True)
    builder.box((nose, nose + 0.065), (-0.26, 0.26), (low + 0.1, low + 0.21), Material.PLATE)


def _back_of(builder: Builder, body: Body, lamps: tuple[Range, Range], plate: float) -> None:
    """Tail lamps (as a share of half the width, and in z), bumper and plate."""
    tail, half = body.tail, body.plan(body.tail)
    (inner, outer), height = lamps
    builder.boxes((tail - 0.015, tail + 0.22), (half * inner, half * outer), height, Material.TAIL_LAMP)
    low = body.clearance + 0.04
    builder.box((tail - 0.06, tail + 0.3), (-half * 0.97, half * 0.97), (low, low + 0.19), Material.TRIM, casts=True)
    builder.box((tail - 0.02, tail + 0.1), (-0.26, 0.26), (plate, plate + 0.12), Material.PLATE)


def _doors(builder: Builder, body: Body, seams: tuple[float, ...], handles: bool = True) -> None:
    """Thin gaps round the doors, and handles."""
    for x in seams:
        section = body.section(x)
        (_, y0, z0), (_, y1, z1) = section[1], section[2]
        low = (max(z0 - 0.25, body.bottom(x) + 0.03), z1 - 0.02)
        points = [(x + dx, y + 0.012, z) for dx, y, z in ((-0.012, y0, low[0]), (0.012, y0, low[0]))]
        points += [(x + dx, y1 + 0.012, low[1]) for dx in (0.012, -0.012)]
        builder.both(points, Material.INSIDE, (0.0, 1.0, 0.0), casts=False)
        if handles:
            builder.boxes((x + 0.08, x + 0.26), (y1 - 0.02, y1 + 0.025), (z1 - 0.1, z1 - 0.06), Material.CHROME)


def _mirrors(builder: Builder, body: Body, x: float, z: float, size: float = 0.16, tall: float = 0.13) -> None:
    y = body.half * 0.96
    builder.boxes((x - 0.06, x + 0.08), (y, y + size), (z, z + tall), Material.TRIM, casts=True)


def _rails(builder: Builder, body: Body, cabin: Cabin) -> None:
    """Luggage rails along the roof."""
    y = body.half * cabin.taper - 0.16
    builder.boxes(
        (cabin.rear_top + 0.1, cabin.front_top - 0.2), (y, y + 0.07), (cabin.roof, cabin.roof + 0.1), Material.TRIM
    )


def _arches(builder: Builder, body: Body) -> None:
    """Dark cladding round the wheels and along the sills."""
    inner, outer = body.wheel * 1.1, body.wheel * 1.42
    y = body.half * 1.012
    for axle in body.axles:
        spots = [turn(angle) for angle in range(0, 181, 20)]
        for (c0, s0), (c1, s1) in zip(spots, spots[1:], strict=False):
            ring = [(axle + r * c, y, body.wheel + r * s) for r, c, s in ((inner, c0, s0), (outer, c0, s0))]
            ring += [(axle + r * c, y, body.wheel + r * s) for r, c, s in ((outer, c1, s1), (inner, c1, s1))]
            builder.both(ring, Material.TRIM, (0.0, 1.0, 0.0), casts=False)
    x0, x1 = min(body.axles) + outer, max(body.axles) - outer
    low, high = body.clearance, body.clearance + 0.16
    builder.both(
        [(x0, y, low), (x1, y, low), (x1, y, high), (x0, y, high)], Material.TRIM, (0.0, 1.0, 0.0), casts=False
    )


def _sedan(builder: Builder, dice: Dice) -> None:
    boot = dice.uniform(0.86, 0.91)
    tail = dice.uniform(-2.42, -2.3)
    body = Body(
        width=1.84,
        clearance=0.19,
        deck=(
            (tail, boot - 0.05),
            (tail + 0.12, boot),
            (-1.2, boot),
            (0.9, 0.93),
            (1.2, 0.92),
            (2.1, 0.79),
            (2.36, 0.68),
        ),
        axles=(-1.36, 1.42),
        wheel=0.33,
        waist=0.6,
    )
    cabin = Cabin(
        rear_foot=dice.uniform(-1.14, -1.02),
        rear_top=-0.66,
        front_top=dice.uniform(0.1, 0.2),
        front_foot=1.06,
        roof=1.44,
        taper=0.76,
        pillars=(-0.2,),
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _wheels(builder, body, 5 + dice.integer(3))
    _face_of(builder, body, dice.choice((Material.TRIM, Material.CHROME)), 0.11, 0.42)
    _back_of(builder, body, ((0.45, 0.98), (boot - 0.2, boot - 0.06)), 0.62)
    _doors(builder, body, (-0.9, -0.2, 0.88))
    _mirrors(builder, body, 0.72, 0.96)


def _hatchback(builder: Builder, dice: Dice) -> None:
    roof = dice.uniform(1.55, 1.62)
    body = Body(
        width=1.72,
        clearance=0.18,
        deck=((-1.64, 0.94), (0.75, 0.93), (1.02, 0.92), (1.56, 0.8), (1.74, 0.68)),
        axles=(-1.08, 1.12),
        wheel=0.31,
        waist=0.6,
        rounding=(0.1, 0.16),
    )
    three_doors = dice.chance(0.4)
    cabin = Cabin(
        rear_foot=-1.56,
        rear_top=dice.uniform(-1.0, -0.85),
        front_top=dice.uniform(0.22, 0.32),
        front_foot=1.12,
        roof=roof,
        taper=0.76,
        pillars=(-0.38,) if three_doors else (-0.2, -0.9),
        pillar=Material.PAINT,
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _wheels(builder, body, 4 + dice.integer(3))
    _face_of(builder, body, Material.TRIM, 0.14, 0.46)
    _back_of(builder, body, ((0.74, 1.0), (0.66, 0.92)), 0.6)
    _doors(builder, body, (-0.38, 0.86) if three_doors else (-0.8, -0.2, 0.86))
    _mirrors(builder, body, 0.74, 0.95)


def _wagon(builder: Builder, dice: Dice) -> None:
    tail = dice.uniform(-2.72, -2.6)
    body = Body(
        width=1.82,
        clearance=0.19,
        deck=((tail, 0.95), (0.9, 0.94), (1.2, 0.92), (2.1, 0.79), (2.38, 0.68)),
        axles=(-1.4, 1.44),
        wheel=0.33,
        waist=0.6,
    )
    cabin = Cabin(
        rear_foot=tail + 0.06,
        rear_top=tail + dice.uniform(0.16, 0.24),
        front_top=dice.uniform(0.12, 0.24),
        front_foot=1.08,
        roof=1.56,
        taper=0.83,
        pillars=(-0.25, -1.25),
        pillar=dice.choice((Material.TRIM, Material.PAINT)),
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _rails(builder, body, cabin)
    _wheels(builder, body, 5 + dice.integer(3))
    _face_of(builder, body, dice.choice((Material.TRIM, Material.CHROME)), 0.11, 0.42)
    _back_of(builder, body, ((0.76, 1.0), (0.66, 0.93)), 0.6)
    _doors(builder, body, (-1.1, -0.25, 0.88))
    _mirrors(builder, body, 0.72, 0.96)


def _suv(builder: Builder, dice: Dice) -> None:
    nose = dice.uniform(2.1, 2.25)
    body = Body(
        width=1.94,
        clearance=0.34,
        deck=((-2.1, 1.12), (0.85, 1.13), (1.0, 1.12), (nose - 0.2, 1.05), (nose, 0.92)),
        axles=(-1.32, 1.38),
        wheel=0.4,
        waist=0.82,
        rounding=(0.03, 0.07),
    )
    cabin = Cabin(
        rear_foot=-2.06,
        rear_top=dice.uniform(-1.96, -1.88),
        front_top=dice.uniform(0.32, 0.42),
        front_foot=0.92,
        roof=dice.uniform(1.96, 2.05),
        taper=0.84,
        pillars=(-0.35, -1.3),
        pillar=dice.choice((Material.TRIM, Material.PAINT)),
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _rails(builder, body, cabin)
    _arches(builder, body)
    _wheels(builder, body, 5 + dice.integer(2))
    _face_of(builder, body, dice.choice((Material.TRIM, Material.CHROME)), 0.18, 0.36)
    _back_of(builder, body, ((0.84, 1.0), (0.8, 1.08)), 0.75)
    _doors(builder, body, (-0.85, -0.35, 0.82))
    _mirrors(builder, body, 0.7, 1.15, tall=0.18)
    _spare_wheel(builder, body)


def _spare_wheel(builder: Builder, body: Body) -> None:
    """A wheel hung on the tailgate."""
    back, height = body.tail - 0.2, 1.0

    def ring(radius: float, x: float) -> list[Point]:
        return [(x, u, height + v) for u, v in _circle(radius, _WHEEL_SIDES)]

    outer, inner = ring(0.36, back), ring(0.36, body.tail + 0.05)
    builder.face(outer, Material.TYRE, (-1.0, 0.0, 0.0))
    builder.face(ring(0.24, back - _DETAIL), Material.RIM, (-1.0, 0.0, 0.0), casts=False)
    for i in range(_WHEEL_SIDES):
        away = (0.0, outer[i][1] + outer[i - 1][1], outer[i][2] + outer[i - 1][2] - 2 * height)
        builder.face([outer[i], outer[i - 1], inner[i - 1], inner[i]], Material.TYRE, away)


def _pickup(builder: Builder, dice: Dice) -> None:
    crew = dice.uniform(-0.45, -0.3)
    rail = dice.uniform(1.06, 1.12)
    body = Body(
        width=1.92,
        clearance=0.34,
        deck=((-2.75, rail), (crew - 0.1, rail), (crew, 1.12), (1.15, 1.12), (1.3, 1.11), (2.4, 1.03), (2.6, 0.9)),
        axles=(-1.6, 1.62),
        wheel=0.4,
        waist=0.82,
        rounding=(0.02, 0.08),
        open_bed=(-2.66, crew - 0.12),
    )
    cabin = Cabin(
        rear_foot=crew - 0.04,
        rear_top=crew + 0.05,
        front_top=dice.uniform(0.42, 0.54),
        front_foot=1.2,
        roof=dice.uniform(1.92, 2.0),
        taper=0.8,
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _wheels(builder, body, 5 + dice.integer(2))
    _arches(builder, body)
    _face_of(builder, body, dice.choice((Material.TRIM, Material.CHROME)), 0.18, 0.36)
    _back_of(builder, body, ((0.84, 1.0), (0.74, 1.05)), 0.7)
    _doors(builder, body, (crew + 0.1, 1.05))
    _mirrors(builder, body, 0.95, 1.15, tall=0.2)


def _van(builder: Builder, dice: Dice) -> None:
    roof = dice.uniform(2.3, 2.5)
    body = Body(
        width=2.0,
        clearance=0.22,
        deck=((-2.7, 1.2), (1.75, 1.2), (1.95, 1.17), (2.5, 0.98), (2.66, 0.82)),
        axles=(-1.6, 1.72),
        wheel=0.35,
        waist=0.72,
        rounding=(0.02, 0.12),
    )
    cabin = Cabin(
        rear_foot=-2.68,
        rear_top=-2.6,
        front_top=dice.uniform(1.05, 1.2),
        front_foot=2.0,
        roof=roof,
        taper=0.86,
        glass=(0.75, 9.0),
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _wheels(builder, body, 0)
    _face_of(builder, body, Material.TRIM, 0.2, 0.36)
    _back_of(builder, body, ((0.86, 1.0), (0.8, 1.3)), 0.6)
    _doors(builder, body, (-0.55, 0.62, 1.62))
    builder.boxes((-2.3, -0.55), (0.985, 1.015), (1.2, 1.235), Material.TRIM)
    builder.boxes((-1.2, 1.2), (0.99, 1.01), (0.42, 0.54), Material.TRIM)
    _mirrors(builder, body, 1.45, 1.22, tall=0.3)


def _bus(builder: Builder, dice: Dice) -> None:
    nose = dice.uniform(4.4, 5.0)
    tail = -nose
    body = Body(
        width=2.5,
        clearance=0.3,
        deck=((tail, 1.3), (0.0, 1.3), (nose, 1.3)),
        axles=(tail + 2.5, nose - 2.3),
        wheel=0.48,
        waist=1.02,
        rounding=(0.03, 0.05),
    )
    bays = 5 + dice.integer(3)
    cabin = Cabin(
        rear_foot=tail + 0.02,
        rear_top=tail + 0.1,
        front_top=nose - 0.18,
        front_foot=nose - 0.02,
        roof=dice.uniform(2.95, 3.15),
        taper=0.9,
        pillars=tuple(tail + (nose - tail) * i / bays for i in range(1, bays)),
        pillar=dice.choice((Material.TRIM, Material.PAINT)),
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _wheels(builder, body, 0)
    half = body.plan(nose)
    builder.boxes((nose - 0.2, nose + 0.02), (half * 0.55, half * 0.92), (0.62, 0.84), Material.HEADLAMP)
    builder.box((nose - 0.2, nose + 0.06), (-half * 0.97, half * 0.97), (0.34, 0.56), Material.TRIM, casts=True)
    builder.box((nose, nose + 0.075), (-0.26, 0.26), (0.4, 0.52), Material.PLATE)
    display = (cabin.roof - 0.35, cabin.roof - 0.12)
    builder.box((nose - 0.3, nose - 0.1), (-half * 0.6, half * 0.6), display, Material.INDICATOR)
    _back_of(builder, body, ((0.82, 0.97), (0.75, 1.2)), 0.75)
    for x in (nose - 1.4, tail + 4.0):
        door = [(x, -1.262, 0.42), (x + 1.0, -1.262, 0.42), (x + 1.0, -1.24, 1.4), (x, -1.24, 1.4)]
        builder.face(door, Material.GLASS, (0.0, -1.0, 0.0), casts=False)
    builder.box((-1.6, 1.0), (-0.7, 0.7), (cabin.roof - 0.05, cabin.roof + 0.2), Material.ROOF_PAINT, casts=True)
    _mirrors(builder, body, nose + 0.1, 2.0, size=0.3, tall=0.45)


def _box_truck(builder: Builder, dice: Dice) -> None:
    nose = dice.uniform(3.35, 3.6)
    body = Body(
        width=2.06,
        clearance=0.36,
        deck=((1.5, 1.36), (nose - 0.75, 1.36), (nose - 0.2, 1.14), (nose, 0.96)),
        axles=(nose - 0.95,),
        wheel=0.42,
        waist=0.9,
        rounding=(0.0, 0.1),
    )
    cabin = Cabin(
        rear_foot=1.52,
        rear_top=1.56,
        front_top=nose - 1.25,
        front_foot=nose - 0.62,
        roof=dice.uniform(2.15, 2.3),
        taper=0.84,
        rear_window=False,
    )
    _shell(builder, body)
    _cabin(builder, body, cabin)
    _wheels(builder, body, 0)
    tail = dice.uniform(-3.5, -3.2)
    top = dice.uniform(3.0, 3.3)
    builder.box((tail, 1.36), (-1.16, 1.16), (1.0, top), Material.CARGO, casts=True)
    for x in (tail, 1.29):
        builder.boxes((x, x + 0.07), (1.15, 1.185), (1.0, top), Material.CHROME)
    builder.boxes((tail, 1.36), (1.15, 1.185), (1.0, 1.09), Material.CHROME)
    builder.boxes((tail, 1.36), (1.15, 1.185), (top - 0.08, top), Material.CHROME)
    builder.boxes((tail - 0.02, tail + 0.05), (0.03, 1.05), (1.1, top - 0.12), Material.CARGO)
    builder.box((tail + 0.1, 1.7), (-0.45, 0.45), (0.6, 1.0), Material.INSIDE, casts=True)
    builder.boxes((-0.6, 0.9), (0.5, 1.02), (0.5, 0.9), Material.TRIM, casts=True)
    rear = tail + dice.uniform(1.35, 1.6)
    _wheel(builder, rear, 1.06, 0.42, 0, width=0.45)
    builder.boxes((rear - 0.52, rear + 0.52), (0.85, 1.1), (0.9, 0.96), Material.TRIM)
    builder.box((tail - 0.02, tail + 0.08), (-1.05, 1.05), (0.55, 0.68), Material.TRIM, casts=True)
    builder.boxes((tail - 0.03, tail + 0.05), (0.75, 1.05), (0.74, 0.92), Material.TAIL_LAMP)
    builder.box((tail - 0.03, tail), (-0.26, 0.26), (0.74, 0.86), Material.PLATE)
    _face_of(builder, body, Material.TRIM, 0.2, 0.36)
    _doors(builder, body, (1.62,), handles=False)
    _mirrors(builder, body, nose - 0.85, 1.4, size=0.2, tall=0.36)


_MAKERS: dict[str, Callable[[Builder, Dice], None]] = {
    "sedan": _sedan,
    "hatchback": _hatchback,
    "wagon": _wagon,
    "suv": _suv,
    "pickup": _pickup,
    "van": _van,
    "bus": _bus,
    "box_truck": _box_truck,
}


@cache
def vehicle(style: str, variant: int) -> Mesh:
    """One of the VARIANTS examples of a style."""
    builder = Builder()
    _MAKERS[style](builder, Dice("vehicle", style, variant))
    return builder.mesh()
