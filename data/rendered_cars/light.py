"""Sun and sky."""

from dataclasses import dataclass

import numpy as np

from .dice import Dice
from .meshes import turn
from .paint import Colour

SKIES = ("clear", "hazy", "overcast", "sunset")

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


def random_light(dice: Dice, camera_azimuth: float) -> tuple[Light, dict[str, object]]:
    """Light from the side, rather before or rather behind the vehicle, and the factors that name it."""
    sky = dice.choice(("clear", "clear", "clear", "hazy", "hazy", "overcast", "sunset"))
    azimuth = camera_azimuth + dice.sign() * dice.uniform(30, 150)
    elevation = dice.uniform(24, 68) if sky != "sunset" else dice.uniform(20, 34)
    (cos_e, sin_e), (cos_a, sin_a) = turn(elevation), turn(azimuth)
    zenith, horizon, sun, ambient, softness = _SKY_COLOURS[sky]
    brightness = dice.uniform(0.8, 1.15)
    direction = np.array([cos_e * cos_a, cos_e * sin_a, sin_e])
    sun_colour, around, above, low = (np.array(colour) * brightness for colour in (sun, ambient, zenith, horizon))
    light = Light(direction, sun_colour, around, above, low, softness)
    return light, {"sky": sky, "sun_azimuth": azimuth % 360, "sun_elevation": elevation}
