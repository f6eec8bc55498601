"""One picture of one vehicle, from its style and the name of its random numbers."""

from typing import Any

from . import image
from .dice import Dice
from .scene import compose
from .vehicles import STYLES

VERSION = "1.0.0"  # any change to a pixel, however small, is a new version


def render(style: str, seed: int | str = 0, size: int = 64) -> dict[str, Any]:
    """A picture of a vehicle of one of STYLES; the same arguments give the same pixels on every machine.

    Returns:
      image: (size, size, 3) uint8.
      parts: (size, size, 1) uint8, the `Part` that each pixel shows.
      style: as given.
      factors: what else was drawn at random, by name; the dataset's description explains each.

    The scene depends on the style and the seed alone: another size shows the same scene, with its own sensor noise.
    The same seed puts a vehicle of another style into much the same place.
    """
    if style not in STYLES:
        raise ValueError(f"style={style!r}: expected one of {', '.join(STYLES)}")
    scene = compose(style, Dice(VERSION, seed))
    drawn = image.draw(scene, size, Dice(VERSION, seed, size))
    factors = scene.factors | {"occluded": drawn["occluded"]}
    return {"image": drawn["image"], "parts": drawn["parts"], "style": style, "factors": factors}
