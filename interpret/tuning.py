"""What the kernels of a first layer respond to: an orientation, a contrast of colours, a centre and its surround.

Each is measured as physiologists measure it on neurons, with gratings and with a model of the receptive field, and each
counts only where it is stronger than in 95 of 100 kernels of random numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from convlens.core.errors import UserError

ANGLES = np.arange(0, 180, 5)  # degrees, of the grating's stripes: 0 lies level, 90 stands upright
FREQUENCIES = 12  # from one cycle in two kernels to one in two pixels
COLOUR_PREFERRED = 2.0  # times as strong to colour as to brightness: the bound of Johnson, Hawken and Shapley
HALF = 0.5  # of a kernel that a centre and its surround must explain, and of the centre that the surround cancels
RANDOM, SURE = 400, 95  # random kernels, and the percentile of theirs that is above chance
AXES = {
    "brightness": (1, 1, 1),
    "red-green": (1, -1, 0),
    "blue-yellow": (-1, -1, 2),
}
ORIENTATION, COLOUR, CENTRE, NONE = "orientation", "colour", "centre-surround", ""


@dataclass(frozen=True)
class KernelTuning:
    """What each kernel of a layer responds to; arrays are (units,)."""

    orientation: np.ndarray  # degrees in [0, 180) of the stripes that a kernel likes best, 0 level, 90 upright
    orientation_index: np.ndarray  # in [0, 1]: 0 where all orientations are alike, 1 where it responds to only one
    frequency: np.ndarray  # cycles a pixel of those stripes
    colour_ratio: np.ndarray  # strongest response to colour alone over that to brightness; nan without colour
    opposition: np.ndarray  # the axis of that colour, "red-green" or "blue-yellow"; "" without colour
    centre_surround: np.ndarray  # in [0, 1]: share of the kernel that a difference of Gaussians explains
    least_orientation: float  # what random kernels stay below
    least_centre: float

    @property
    def kind(self) -> np.ndarray:
        """For each unit (units,): "orientation", "colour", "centre-surround", or "" if none is above chance.

        An opposition of colours comes first, then an orientation.
        """
        coloured = np.nan_to_num(self.colour_ratio) >= COLOUR_PREFERRED
        oriented = self.orientation_index > self.least_orientation
        centred = self.centre_surround > self.least_centre
        return np.select([coloured, oriented, centred], [COLOUR, ORIENTATION, CENTRE], NONE)

    @property
    def order(self) -> np.ndarray:
        """The units by kind, those with an orientation by its angle, the others by the strength of their kind."""
        kind = self.kind
        ranks = {
            ORIENTATION: self.orientation,
            COLOUR: -np.nan_to_num(self.colour_ratio),
            CENTRE: -self.centre_surround,
        }
        return np.concatenate([_sorted(kind == name, ranks.get(name)) for name in (ORIENTATION, COLOUR, CENTRE, NONE)])

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`."""
        names = ("orientation", "orientation_index", "frequency", "colour_ratio", "centre_surround", "kind")
        return {name: getattr(self, name) for name in names}


def kernel_tuning(kernel: np.ndarray) -> KernelTuning:
    """The tuning of first-layer kernels (height, width, channels, units), which read an image of 1 or 3 channels.

    Orientation: the largest amplitude of the response to gratings of each orientation; the index is 1 - circular
    variance over orientations, Ringach, Shapley and Hawken, J. Neurosci. 22 (2002), 5639. Colour: the largest response
    to gratings of pure colour divided by the largest response to gratings of brightness; from 2 on a unit prefers
    colour: Johnson, Hawken and Shapley, Nature Neurosci. 4 (2001), 409. Centre and surround: the variance that the best
    difference of two Gaussians of opposite signs explains, Rodieck, Vision Research 5 (1965), 583; it counts from a
    half on. For orientation and centre, chance is the 95th percentile of 400 normal random kernels of the same shape.

    Raises UserError for kernels of another shape or with fewer than 3 pixels a side.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 4 or kernel.shape[2] not in (1, 3) or min(kernel.shape[:2]) < 3:
        raise UserError(
            f"kernels of shape {kernel.shape}; expected (height, width, channels, units) with 1 or 3 channels and "
            "3 pixels a side or more"
        )
    measured = _measure(np.nan_to_num(kernel))
    least_orientation, least_centre = _chance(kernel.shape[:3])
    return KernelTuning(**measured, least_orientation=least_orientation, least_centre=least_centre)


def _measure(kernel: np.ndarray) -> dict[str, np.ndarray]:
    planes = list(_planes(kernel))
    responses = np.stack([_grating_responses(plane) for _, plane in planes])  # (axes, units, frequencies, angles)
    strongest = responses[:, :, 1:].max(axis=(2, 3)).argmax(axis=0)  # the axis of each unit
    units = np.arange(kernel.shape[-1])
    own = responses[strongest, units, 1:]  # without the frequency of zero, which has no orientation
    frequency, angle = np.unravel_index(own.reshape(len(units), -1).argmax(axis=1), own.shape[1:])
    curve = own.max(axis=1)  # (units, angles) at the frequency that suits each angle
    total = curve.sum(axis=1)
    resultant = np.abs(curve @ np.exp(2j * np.deg2rad(ANGLES)))
    colour_ratio, opposition = _colour(responses, [name for name, _ in planes])
    plane = np.stack([plane for _, plane in planes])[strongest, :, :, units]  # (units, height, width)
    return {
        "orientation": ANGLES[angle].astype(np.float64),
        "orientation_index": np.divide(resultant, total, out=np.zeros_like(total), where=total > 0),
        "frequency": _frequencies(kernel.shape[:2])[1:][frequency],
        "colour_ratio": colour_ratio,
        "opposition": opposition,
        "centre_surround": _centre_surround(plane),
    }


def _planes(kernel: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What the kernels do along each axis of colour, (height, width, units)."""
    if kernel.shape[2] == 1:
        yield "brightness", kernel[:, :, 0]
        return
    for name, axis in AXES.items():
        yield name, np.einsum("hwcu,c->hwu", kernel, np.array(axis) / np.linalg.norm(axis))


def _frequencies(size: tuple[int, int]) -> np.ndarray:
    return np.concatenate([[0.0], np.linspace(1 / (2 * max(size)), 0.5, FREQUENCIES)])


def _grating_responses(plane: np.ndarray) -> np.ndarray:
    """The amplitude of the answer to gratings, (units, frequencies, angles), of a plane (height, width, units)."""
    height, width = plane.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    radians = np.deg2rad(ANGLES)
    # Across stripes at an angle, measured counterclockwise from level, one moves along (-sin, cos) of it; rows go down.
    phase = -np.sin(radians) * columns[..., None] - np.cos(radians) * rows[..., None]
    waves = np.exp(2j * np.pi * _frequencies((height, width))[:, None] * phase[:, :, None])
    return np.abs(np.einsum("hwu,hwfa->ufa", plane, waves))


def _colour(responses: np.ndarray, axes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    largest = responses.max(axis=(2, 3))  # (axes, units), the even colour of frequency zero too
    units = largest.shape[1]
    if len(axes) == 1:
        return np.full(units, np.nan), np.full(units, "")
    brightness, colours = largest[0], largest[1:]
    ratio = np.divide(colours.max(axis=0), brightness, out=np.full(units, np.inf), where=brightness > 0)
    ratio[~largest.any(axis=0)] = np.nan
    return ratio, np.array(axes[1:])[colours.argmax(axis=0)]


def _centre_surround(planes: np.ndarray) -> np.ndarray:
    """The share of each plane (units, height, width) that a difference of Gaussians explains, (units,).

    Both Gaussians have one centre, and weights of opposite signs; centres and widths are tried in small steps. The
    surround must take away half or more of what the centre adds: otherwise the fit is an even patch, not a spot.
    """
    units = len(planes)
    flat = planes.reshape(units, -1)
    energy = (flat**2).sum(axis=1)
    best = np.zeros(units)
    for pair in _gaussian_pairs(planes.shape[1:]):
        weights = np.linalg.pinv(pair) @ flat.T  # (2, units)
        fitted = pair @ weights  # (pixels, units)
        explained = (fitted**2).sum(axis=0)
        above, below = np.maximum(fitted, 0).sum(axis=0), np.maximum(-fitted, 0).sum(axis=0)
        opposed = np.minimum(above, below) >= HALF * np.maximum(above, below)
        best = np.maximum(best, np.where(opposed, explained, 0))
    return np.divide(best, energy, out=np.zeros(units), where=energy > 0)


def _gaussian_pairs(size: tuple[int, int]) -> Iterator[np.ndarray]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    middles = [np.linspace(0.25, 0.75, 5) * (side - 1) for side in size]
    for row in middles[0]:
        for column in middles[1]:
            distance = (rows - row) ** 2 + (columns - column) ** 2
            for inner in (0.5, 0.8, 1.2):
                for ratio in (1.6, 2.5, 4.0):
                    widths = (inner, inner * ratio)
                    yield np.stack([np.exp(-distance / (2 * width**2)).ravel() for width in widths], axis=1)


@cache
def _chance(shape: tuple[int, int, int]) -> tuple[float, float]:
    """The orientation index, and the share of a centre and its surround, that random kernels stay below."""
    measured = _measure(np.random.default_rng(0).normal(size=(*shape, RANDOM)))
    least_orientation = float(np.percentile(measured["orientation_index"], SURE))
    return least_orientation, max(HALF, float(np.percentile(measured["centre_surround"], SURE)))


def _sorted(chosen: np.ndarray, by: np.ndarray | None) -> np.ndarray:
    units = np.flatnonzero(chosen)
    return units if by is None else units[np.argsort(by[units], kind="stable")]
