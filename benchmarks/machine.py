"""The machine that a benchmark ran on, and the most that it can do: the ceiling."""

import importlib.util
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.measuring import rate_of

PACKAGES = ("tensorflow", "keras", "jax", "torch", "numpy", "pillow")
SIDE = 2048  # of the matrices


def machine() -> dict[str, object]:
    """Processor, how busy it was before, and versions; what a figure is worth depends on them."""
    found = [package for package in PACKAGES if importlib.util.find_spec(package if package != "pillow" else "PIL")]
    return {
        "processor": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} CPUs, {_processor()}",
        "load before": f"{os.getloadavg()[0]:.1f} processes wanted a CPU in the last minute",
        "system": platform.platform(),
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in found)]),
    }


def ceiling(side: int = SIDE) -> Callable[[], float]:
    """To be called in turn with the rest: the rate of one large product of float32 matrices, in FLOP a second."""
    import tensorflow as tf

    a, b = (tf.random.normal((side, side), seed=seed) for seed in (0, 1))
    tf.matmul(a, b)

    def turn() -> float:
        def products() -> float:
            for _ in range(4):
                tf.matmul(a, b).numpy()
            return 4 * 2 * side**3

        return rate_of(products)

    return turn


def copying(megabytes: int = 256) -> Callable[[], float]:
    """To be called in turn with the rest: the rate of a large copy in memory, in bytes a second."""
    import numpy as np

    source = np.ones(megabytes * 2**20, np.uint8)
    target = np.zeros_like(source)

    def turn() -> float:
        def copies() -> float:
            for _ in range(4):
                np.copyto(target, source)
            return 4 * source.nbytes

        return rate_of(copies)

    return turn


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()
