"""An image as a spectrum: the parameters in which gradient ascent draws shapes rather than noise.

After Olah, Mordvintsev and Schubert, "Feature Visualization", https://distill.pub/2017/feature-visualization, and
their library Lucid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

# How natural colours vary together, from Lucid: columns are nearly luminance, blue to yellow, green to purple.
NATURAL_COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
START = 0.01  # standard deviation of the first spectrum: nearly grey
CONTRAST = 0.25


@dataclass(frozen=True)
class SpectralImage:
    """Images of one size and range of values, drawn by spectra (batch, channels, height, width, 2)."""

    size: tuple[int, int]  # height, width
    channels: int
    value_range: tuple[float, float]

    def start(self, seed: int, names: Sequence[int] | np.ndarray) -> np.ndarray:
        """A spectrum of seeded noise for each name, the same for a name whatever the others are."""
        shape = (self.channels, *self.size, 2)
        return np.stack(
            [START * np.random.default_rng((seed, name)).standard_normal(shape, np.float32) for name in names]
        )

    def paint(self, spectra: Any, shift: Any) -> Any:
        """Images (batch, height, width, channels), shifted by `shift` whole pixels (down, right), wrapping around."""
        down, right = (np.fft.fftfreq(side).astype(np.float32) for side in self.size)
        frequency = np.hypot(down[:, None], right[None])
        # Waves of equal steps would be noise: in nature a wave's strength falls with its frequency.
        scale = CONTRAST * np.sqrt(np.prod(self.size)) / np.maximum(frequency, 1 / max(self.size))
        real, imaginary = spectra[..., 0] * scale, spectra[..., 1] * scale
        # A shift of the image is a turn of each wave's phase.
        turn = -2 * np.pi * (down[:, None] * shift[0] + right[None] * shift[1])
        cosine, sine = ops.cos(turn), ops.sin(turn)
        waves, _ = ops.ifft2((real * cosine - imaginary * sine, real * sine + imaginary * cosine))
        colours = ops.matmul(ops.transpose(waves, (0, 2, 3, 1)), self._colours().T)
        low, high = self.value_range
        return low + (high - low) * ops.sigmoid(colours)

    def _colours(self) -> np.ndarray:
        if self.channels != 3:
            return np.eye(self.channels, dtype=np.float32)
        return NATURAL_COLOURS / np.linalg.norm(NATURAL_COLOURS, axis=0).max()
