"""What units mean: arrays in, arrays out."""

from interpret.extraction import Extraction, extract, luminance
from interpret.kernels import NamedKernel, named_kernels, parse_kernel

__all__ = ["Extraction", "NamedKernel", "extract", "luminance", "named_kernels", "parse_kernel"]
