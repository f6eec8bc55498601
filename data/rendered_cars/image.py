"""A scene to pixels: visibility first, then light and colour only where they are seen."""

from enum import IntEnum

import numpy as np

from . import rasterizer
from .camera import Camera
from .dice import Dice
from .light import Light
from .meshes import Material, Mesh, dot, turn, unit
from .scene import MOST_HIDDEN, Ground, Scene

SAMPLES = 2  # per pixel, along each side


class Part(IntEnum):
    """What a pixel of the `parts` mask shows."""

    BACKGROUND = 0
    GROUND = 1
    SHADOW = 2
    BODY = 3
    WINDOW = 4
    WHEEL = 5
    LAMP = 6
    OCCLUDER = 7


_VEHICLE_PARTS = np.full(len(Material), Part.BODY, np.uint8)
_VEHICLE_PARTS[Material.GLASS] = Part.WINDOW
_VEHICLE_PARTS[[Material.TYRE, Material.RIM]] = Part.WHEEL
_VEHICLE_PARTS[[Material.HEADLAMP, Material.TAIL_LAMP, Material.INDICATOR]] = Part.LAMP

_GLOSS = np.zeros(len(Material))  # how much of the sky a surface mirrors, looked at straight on
_GLOSS[[Material.PAINT, Material.LOWER_PAINT, Material.ROOF_PAINT]] = 0.05
_GLOSS[[Material.GLASS, Material.PANE]] = 0.18
_GLOSS[[Material.CHROME, Material.RIM]] = 0.2
_GLOSS[[Material.HEADLAMP, Material.TAIL_LAMP, Material.CARGO]] = 0.04


def draw(scene: Scene, size: int, dice: Dice) -> dict[str, object]:
    """The scene as a picture of size x size pixels.

    Returns `image` (size, size, 3) and `parts` (size, size, 1), both uint8, and `occluded`, the share of the vehicle
    that something in front of it hides. `dice` throws the camera's noise.
    """
    side = size * SAMPLES
    samples, face, occluded = _visibility(scene, side)
    shadow = _shadow(scene, face.max() >= scene.occluders.start, side)
    is_uncovered = np.ones(side * side, bool)
    is_uncovered[samples] = False
    uncovered = np.flatnonzero(is_uncovered)

    colour = np.empty((side * side, 3), np.float32)
    parts = np.empty(side * side, np.uint8)
    colour[samples] = _surfaces(scene, samples, face, side)
    parts[samples] = _face_parts(scene)[face]
    colour[uncovered], on_ground = _surroundings(scene, uncovered, shadow, side, dice)
    parts[uncovered] = np.where(on_ground, np.where(shadow[uncovered] > 0.5, Part.SHADOW, Part.GROUND), Part.BACKGROUND)
    image = _develop(colour.reshape(side, side, 3), size, dice)
    return {"image": image, "parts": _majority(parts.reshape(side, side), size), "occluded": occluded}


def _visibility(scene: Scene, side: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Samples that a triangle covers, the triangle each shows, and the share of the vehicle that is hidden."""
    buffer = rasterizer.empty(side)
    triangles = scene.camera.triangles(scene.mesh.corners, side)
    samples, key = rasterizer.fragments(triangles, side)
    is_occluder = rasterizer.face_of(key) >= scene.occluders.start
    rasterizer.draw(buffer, samples[~is_occluder], key[~is_occluder])
    unoccluded_samples, unoccluded_face = rasterizer.visible(buffer)
    if not is_occluder.any():
        return unoccluded_samples, unoccluded_face, 0.0
    rasterizer.draw(buffer, samples[is_occluder], key[is_occluder])
    samples, face = rasterizer.visible(buffer)
    unoccluded_count = np.count_nonzero(unoccluded_face < scene.vehicle.stop)
    occluded = 1 - np.count_nonzero(face < scene.vehicle.stop) / unoccluded_count
    if occluded > MOST_HIDDEN:
        return unoccluded_samples, unoccluded_face, 0.0
    return samples, face, occluded


def _face_parts(scene: Scene) -> np.ndarray:
    """The part (triangles,) that each triangle belongs to."""
    parts = np.full(scene.mesh.material.size, Part.BACKGROUND, np.uint8)
    parts[scene.vehicle] = _VEHICLE_PARTS[scene.mesh.material[scene.vehicle]]
    parts[scene.occluders] = Part.OCCLUDER
    return parts


def _shadow(scene: Scene, with_occluders: bool, side: int) -> np.ndarray:
    """How much of the sun each sample of the ground lacks because of the vehicle and what stands near it, 0 ... 1."""
    mesh, sun = scene.mesh, scene.light.sun
    casts = mesh.casts.copy()
    casts[scene.vehicle.stop : scene.occluders.start if with_occluders else None] = False
    corners = mesh.corners[casts]
    drop = corners[..., 2] / sun[2]
    flat = np.stack([corners[..., 0] - sun[0] * drop, corners[..., 1] - sun[1] * drop, np.zeros_like(drop)], -1)
    samples, _ = rasterizer.fragments(scene.camera.triangles(flat, side), side)
    mask = np.zeros(side * side, np.float32)
    mask[samples] = 1.0
    radius = max(int(side / 128 * (1 + 4 * scene.light.softness)), 1)
    return _box_blur(_box_blur(mask.reshape(side, side), radius), radius).reshape(-1)


def _box_blur(values: np.ndarray, radius: int) -> np.ndarray:
    """Mean over a square of 2 * radius + 1 samples; the edge is repeated outwards."""
    for axis in (0, 1):
        size = values.shape[axis]
        padded = np.pad(values, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        total = np.zeros_like(values)
        for shift in range(2 * radius + 1):
            total += padded[shift : shift + size] if axis == 0 else padded[:, shift : shift + size]
        values = total * np.float32(1 / (2 * radius + 1))
    return values


def _surfaces(scene: Scene, samples: np.ndarray, face: np.ndarray, side: int) -> np.ndarray:
    """Colours (samples, 3) of samples that show triangles: light at each corner, spread over the triangle (Gouraud)."""
    seen = np.flatnonzero(np.bincount(face, minlength=scene.albedo.shape[0]))
    lit = _corner_light(scene, seen)
    x, y, _ = scene.camera.project(scene.mesh.corners[seen])
    planes = rasterizer.gradient(x[..., None] * side, y[..., None] * side, lit)
    offset, slope_x, slope_y = (plane.astype(np.float32) for plane in planes)
    number = np.empty(scene.albedo.shape[0], np.int64)
    number[seen] = np.arange(seen.size)
    at = number[face]
    row, column = (value.astype(np.float32)[:, None] + np.float32(0.5) for value in (samples // side, samples % side))
    smooth = offset[at] + slope_x[at] * column + slope_y[at] * row
    # A sliver's slope is steep: outside its corners' range it is only rounding.
    least = np.minimum(np.minimum(lit[:, 0], lit[:, 1]), lit[:, 2]).astype(np.float32)
    most = np.maximum(np.maximum(lit[:, 0], lit[:, 1]), lit[:, 2]).astype(np.float32)
    return np.minimum(np.maximum(smooth, least[at]), most[at])


def _corner_light(scene: Scene, seen: np.ndarray) -> np.ndarray:
    """Colours (triangles, 3 corners, 3) under sun, sky, light from the ground, and mirrored sky."""
    light, mesh = scene.light, scene.mesh
    corners, normals, material = mesh.corners[seen], mesh.normals[seen], mesh.material[seen]
    towards = unit(scene.camera.position - corners)
    facing = np.maximum(dot(normals, towards), 0.0)
    sunlit = np.maximum(dot(normals, light.sun), 0.0)[..., None]
    upward = (0.5 + 0.5 * normals[..., 2])[..., None]
    height = np.minimum(corners[..., 2] / 0.8, 1.0)[..., None]

    bounce = scene.ground.road * (light.sun_colour * light.sun[2] + light.ambient) * 0.5
    diffuse = light.sun_colour * sunlit + (light.ambient * upward + bounce * (1 - upward)) * (0.45 + 0.55 * height)
    colour = scene.albedo[seen][:, None] * diffuse

    mirrored = 2 * facing[..., None] * normals - towards
    glance = (1 - facing) * (1 - facing)
    gloss = _GLOSS[material][:, None]
    gloss = np.where(gloss > 0, gloss + 0.45 * glance * glance * (gloss > 0.03), 0.0)[..., None]
    above = np.clip(mirrored[..., 2:] * 1.6 + 0.35, 0.0, 1.0)
    colour = colour * (1 - gloss) + gloss * (above * (light.horizon * 0.6 + light.zenith * 0.5) + (1 - above) * bounce)
    glint = np.maximum(dot(mirrored, light.sun), 0.0)
    for _ in range(5):
        glint = glint * glint
    colour += (glint * np.minimum(_GLOSS[material] * 12, 1.0)[:, None])[..., None] * light.sun_colour
    if scene.lamps_on:
        lamp = np.isin(material, (Material.HEADLAMP, Material.TAIL_LAMP))
        colour[lamp] += scene.albedo[seen][lamp][:, None] * 1.2
    return colour


def _surroundings(
    scene: Scene, samples: np.ndarray, shadow: np.ndarray, side: int, dice: Dice
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (samples, 3) of samples that show no triangle, and whether each shows the ground."""
    rays = scene.camera.rays(side)
    texture = dice.uniforms(64, 64)
    grounded = rays[2, samples] < -1e-4
    above, below = samples[~grounded], samples[grounded]
    colour = np.empty((samples.size, 3), np.float32)
    colour[~grounded] = _sky(scene.light, scene.camera, rays[:, above], texture)
    colour[grounded] = _road(scene, rays[:, below], shadow[below], texture)
    return colour, grounded


def _lookup(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The texture (64, 64), repeated without end, between its cells."""
    u0, v0 = np.floor(u), np.floor(v)
    i, j = u0.astype(np.int32) & 63, v0.astype(np.int32) & 63
    s, t = u - u0, v - v0
    cells, row, following = texture.reshape(-1), i * 64, (i + 1 & 63) * 64
    beside = j + 1 & 63
    near = cells[row + j] * (1 - s) + cells[following + j] * s
    far = cells[row + beside] * (1 - s) + cells[following + beside] * s
    return near * (1 - t) + far * t


def _sky(light: Light, camera: Camera, rays: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """A gradient, clouds in perspective, and hills on the horizon, where `rays` (3, samples) lead."""
    ray_x, ray_y, ray_z = rays
    horizon, zenith, sun = (c.astype(np.float32) for c in (light.horizon, light.zenith, light.sun_colour))
    level = np.sqrt(ray_x * ray_x + ray_y * ray_y)
    rise = ray_z / level
    colour = horizon + (zenith - horizon) * np.minimum(rise * 2.2, 1)[:, None]
    far = 3 / ((rise + 0.12) * level)
    u, v = ray_x * far, ray_y * far
    cloud = _lookup(texture, u, v) * 0.65 + _lookup(texture, u * 2.25 + 7, v * 2.25) * 0.35
    cover = np.clip((cloud - 0.3 - 0.4 * texture[0, 0]) * 3, 0, 0.85)[:, None]
    colour += (horizon * 0.7 + sun * 0.25 - colour) * cover
    across = (ray_x * np.float32(camera.right[0]) + ray_y * np.float32(camera.right[1])) / level
    ridge = (_lookup(texture, across * 5, np.zeros_like(across)) - 0.25) * (0.16 * texture[1, 1])
    colour[rise < ridge] = horizon * 0.45 + np.array([0.03, 0.06, 0.04], np.float32)
    return colour


def _road(scene: Scene, rays: np.ndarray, shadow: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Road, lane markings, pavement and verge, where `rays` (3, samples) lead; the vehicle's shadow; haze far away."""
    ray_x, ray_y, ray_z = rays
    ground, light, camera = scene.ground, scene.light, scene.camera
    eye = camera.position.astype(np.float32)
    far = -eye[2] / ray_z
    x, y = eye[0] + ray_x * far, eye[1] + ray_y * far
    grain = _lookup(texture, x * 7, y * 7) - 0.5
    patches = _lookup(texture, x * 0.625 + 11, y * 0.625) - 0.5
    fine = 1 / (1 + far / np.float32(12 * camera.focal))
    rough = 1 + np.float32(ground.roughness) * (grain * fine * 1.6 + patches)

    lack = shadow * np.float32(0.97 - 0.5 * light.softness)
    sun = rough * (1 - lack)
    sky = rough * (1 - 0.85 * _contact(scene.mesh, scene.vehicle, x, y) - 0.2 * shadow)
    haze = far / (far + 400)
    surface, colours = _ground_surface(ground, x, y)
    colour = np.empty((far.size, 3), np.float32)
    for channel in range(3):
        direct, ambient = light.sun_colour[channel] * light.sun[2], light.ambient[channel]
        lit = sun * np.float32(direct) + sky * np.float32(ambient)
        lit = colours[:, channel].astype(np.float32)[surface] * lit
        colour[:, channel] = lit + (np.float32(light.horizon[channel] * 0.75) - lit) * haze
    return colour


def _ground_surface(ground: Ground, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What lies at each point (x, y), as an index into the colours (4, 3) of road, verge, pavement and line."""
    cos, sin = (np.float32(value) for value in turn(ground.heading))
    along, off = x * cos + y * sin, y * cos - x * sin - np.float32(ground.middle)
    aside = np.abs(off) - np.float32(ground.half_width)
    surface = np.where(aside < 0, 0, np.where(aside < np.float32(ground.pavement), 2, 1))
    dash = along * np.float32(1 / ground.dash)
    dashed = (np.abs(off - 1.7) < 0.08) & (dash - np.floor(dash) < 0.55)
    surface[dashed | (np.abs(aside + 0.3) < 0.08)] = 3
    pavement = np.minimum(ground.road * 0.5 + 0.18, 0.8)
    return surface, np.stack([ground.road, ground.verge, pavement, ground.line])


def _contact(mesh: Mesh, vehicle: slice, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of the sky the vehicle hides from the ground at (x, y), 0 ... 1: dark below it, fading round it."""
    points = mesh.corners[vehicle].reshape(-1, 3)
    low, high = points.min(0).astype(np.float32), points.max(0).astype(np.float32)
    beyond_x = np.maximum(np.maximum(low[0] + np.float32(0.2) - x, x - high[0] + np.float32(0.2)), 0)
    beyond_y = np.maximum(np.maximum(low[1] + np.float32(0.3) - y, y - high[1] + np.float32(0.3)), 0)
    near = 1 / (1 + 5 * (beyond_x * beyond_x + beyond_y * beyond_y))
    return near * near


def _develop(colour: np.ndarray, size: int, dice: Dice) -> np.ndarray:
    """From light to a photograph: (samples, samples, 3) float32 to (size, size, 3) uint8.

    Exposure, the lens's blur, gamma 2 (a square root rounds alike everywhere, a power does not) and sensor noise.
    """
    colour = colour.astype(np.float32, copy=False)
    total = sum(colour[i::SAMPLES, j::SAMPLES] for i in range(SAMPLES) for j in range(SAMPLES))
    exposure = dice.uniform(0.75, 1.25) / SAMPLES**2
    cast = np.array([dice.uniform(0.94, 1.06), 1.0, dice.uniform(0.94, 1.06)]) * exposure
    photo = np.sqrt(np.clip(total * cast.astype(np.float32), 0.0, 1.0))
    blur = np.float32(max(dice.uniform(-0.1, 0.16), 0.0))
    for axis in (0, 1):
        padded = np.pad(photo, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, after = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
        photo = photo * (1 - 2 * blur) + (before + after) * blur
    photo += dice.normals(size, size, 3) * np.float32(dice.uniform(0.003, 0.015))
    return np.clip(np.floor(photo * 255 + np.float32(0.5)), 0, 255).astype(np.uint8)


def _majority(parts: np.ndarray, size: int) -> np.ndarray:
    """The commonest part of each pixel's samples, (size, size, 1)."""
    samples = np.stack([parts[i::SAMPLES, j::SAMPLES].reshape(-1) for i in range(SAMPLES) for j in range(SAMPLES)])
    chosen = samples[0]
    mixed = np.flatnonzero((samples[1:] != chosen).any(0))
    votes = (samples[:, mixed, None] == np.array(Part, np.uint8)).sum(0)
    chosen[mixed] = votes.argmax(1)
    return chosen.reshape(size, size, 1)
