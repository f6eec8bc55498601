"""How different the kernels of a layer are from each other, and in how many directions they look."""

from dataclasses import dataclass

import numpy as np

from convlens.core.errors import UserError
from convlens.interpret.unit_statistics import kernel_cosines


@dataclass(frozen=True)
class KernelSpectrum:
    """The kernels of a layer as one matrix, a column a unit."""

    shape: tuple[int, int]  # weights of a kernel, units
    singular_values: np.ndarray  # (min(shape),) largest first
    cosines: np.ndarray  # (units, units) between kernels

    @property
    def mean_abs_cosine(self) -> float:
        """Between different kernels: 0 where all are orthogonal, 1 where all are the same up to scale and sign."""
        units = len(self.cosines)
        off = np.abs(self.cosines).sum() - np.abs(np.diagonal(self.cosines)).sum()
        return float(off / (units * (units - 1))) if units > 1 else 0.0

    @property
    def effective_rank(self) -> float:
        """The number of equal singular values with the entropy of these: Roy and Vetterli, EUSIPCO 2007."""
        total = self.singular_values.sum()
        if not total:
            return 0.0
        shares = self.singular_values / total
        shares = shares[shares > 0]
        return float(np.exp(-np.sum(shares * np.log(shares))))


@dataclass(frozen=True)
class LayerSpectrum:
    """The spectrum of a layer's kernels, beside that of random ones of the same shape and variance."""

    layer: str
    learned: KernelSpectrum
    random: KernelSpectrum

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: singular values by the layer's name, "/" as ":", and with ":random" those of random ones."""
        name = self.layer.replace("/", ":")
        return {name: self.learned.singular_values, f"{name}:random": self.random.singular_values}


def layer_spectrum(layer: str, kernel: np.ndarray, seed: int = 0) -> LayerSpectrum:
    """What `kernel_spectrum` and `random_spectrum` give for a layer's kernels (height, width, inputs, units)."""
    return LayerSpectrum(layer, kernel_spectrum(kernel), random_spectrum(kernel, seed))


def kernel_spectrum(kernel: np.ndarray) -> KernelSpectrum:
    """The singular values and the orthogonality of a layer's kernels (height, width, inputs, units), flattened.

    Saxe, McClelland and Ganguli, https://arxiv.org/abs/1312.6120, for what singular values say about learning; Bansal,
    Chen and Wang, https://arxiv.org/abs/1810.09102, for the orthogonality of convolution kernels.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 4:
        raise UserError(f"kernel of shape {kernel.shape}; expected (height, width, inputs, units)")
    flat = kernel.reshape(-1, kernel.shape[-1])
    return KernelSpectrum(flat.shape, np.linalg.svd(flat, compute_uv=False), kernel_cosines(kernel))


def random_spectrum(kernel: np.ndarray, seed: int = 0) -> KernelSpectrum:
    """The `kernel_spectrum` of normal random weights of the same shape and variance, as a network that learned nothing
    has."""
    kernel = np.asarray(kernel)
    return kernel_spectrum(np.random.default_rng(seed).normal(0, kernel.std(), kernel.shape))
