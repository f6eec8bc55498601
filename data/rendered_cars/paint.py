"""What colour each material has: of a vehicle, and of the things around it."""

import numpy as np

from .dice import Dice
from .meshes import Material

Colour = tuple[float, float, float]  # linear light, 0 ... 1

PAINTS: tuple[Colour, ...] = (
    (0.82, 0.82, 0.80), (0.55, 0.56, 0.57), (0.25, 0.26, 0.28), (0.13, 0.135, 0.14), (0.03, 0.03, 0.034),
    (0.55, 0.03, 0.03), (0.28, 0.02, 0.03), (0.03, 0.10, 0.42), (0.05, 0.25, 0.60), (0.04, 0.08, 0.30),
    (0.04, 0.22, 0.09), (0.30, 0.45, 0.12), (0.75, 0.52, 0.04), (0.80, 0.25, 0.03), (0.50, 0.42, 0.28),
    (0.26, 0.14, 0.08), (0.05, 0.38, 0.40), (0.45, 0.62, 0.75), (0.30, 0.08, 0.32), (0.72, 0.66, 0.50),
)  # fmt: skip


def varied(dice: Dice, colour: Colour, amount: float = 0.15) -> np.ndarray:
    """The colour (3,), lighter or darker by up to `amount` and a little off its hue."""
    shade = dice.uniform(1 - amount, 1 + amount)
    return np.array([min(channel * shade * dice.uniform(0.95, 1.05), 0.9) for channel in colour])


def _brightness(colour: np.ndarray) -> float:
    return 0.25 * colour[0] + 0.65 * colour[1] + 0.1 * colour[2]


def _standing_out(dice: Dice, others: list[np.ndarray]) -> np.ndarray:
    """Of three random paints the one that is least like any of the other colours in brightness."""

    def contrast(paint: np.ndarray) -> float:
        ratios = (_brightness(paint) / _brightness(other) for other in others)
        return min(max(ratio, 1 / ratio) for ratio in ratios)

    return max((varied(dice, dice.choice(PAINTS), 0.25) for _ in range(3)), key=contrast)


def vehicle_palette(dice: Dice, around: list[np.ndarray]) -> tuple[dict[Material, np.ndarray], dict[str, object]]:
    """A colour for each material of a vehicle that stands before the colours `around`, and the factors they give."""
    paint = _standing_out(dice, around)
    second = varied(dice, dice.choice(PAINTS), 0.25)
    two_tone = dice.choice(("none", "none", "none", "roof", "lower"))
    palette = {material: np.array(colour) for material, colour in _FIXED.items()}
    palette[Material.PAINT] = paint
    palette[Material.ROOF_PAINT] = second if two_tone == "roof" else paint
    palette[Material.LOWER_PAINT] = second if two_tone == "lower" else paint
    palette[Material.CARGO] = _standing_out(dice, around) if dice.chance(0.75) else paint
    palette[Material.TRIM] = paint * 0.8 if dice.chance(0.25) else np.full(3, dice.uniform(0.02, 0.075))
    palette[Material.RIM] = np.full(3, dice.uniform(0.12, 0.75))
    dark = _brightness(paint) < 0.1  # then its windows are seen only if they mirror a bright sky
    palette[Material.GLASS] = np.array((0.4, 0.45, 0.5) if dark else (0.02, 0.025, 0.028)) * dice.uniform(0.6, 1.4)
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


def prop_palette(dice: Dice) -> dict[Material, np.ndarray]:
    """A colour for each material of one prop."""
    walls = ((0.45, 0.22, 0.15), (0.55, 0.50, 0.42), (0.40, 0.40, 0.42), (0.65, 0.62, 0.58), (0.30, 0.33, 0.38))
    leaves = ((0.05, 0.13, 0.03), (0.10, 0.20, 0.04), (0.03, 0.09, 0.04), (0.35, 0.20, 0.04), (0.20, 0.22, 0.05))
    signs = ((0.60, 0.03, 0.03), (0.03, 0.12, 0.50), (0.75, 0.60, 0.03), (0.04, 0.30, 0.12), (0.7, 0.7, 0.7))
    palette = {material: np.array(colour) for material, colour in _FIXED.items()}
    palette[Material.WALL] = varied(dice, dice.choice(walls), 0.4)
    palette[Material.ROOF] = varied(dice, dice.choice(((0.30, 0.10, 0.06), (0.12, 0.12, 0.13), (0.25, 0.2, 0.16))))
    palette[Material.PANE] = varied(dice, (0.06, 0.08, 0.11), 0.5)
    palette[Material.LEAVES] = varied(dice, dice.choice(leaves), 0.4)
    palette[Material.SIGN] = varied(dice, dice.choice(signs), 0.2)
    return palette
