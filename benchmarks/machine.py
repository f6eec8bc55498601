"""The machine that a benchmark ran on, and the most that it can do: the ceiling."""

import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions, version
from pathlib import Path

from benchmarks.measuring import rate_of

PACKAGES = ("tensorflow", "keras", "jax", "torch", "numpy", "PIL")  # as they are imported
SIDE = 2048  # of the matrices


def machine() -> dict[str, object]:
    """Processor, how busy it was before, and versions; what a figure is worth depends on them."""
    installed = packages_distributions()  # tensorflow may be that of tensorflow-cpu
    packages = [installed[package][0] for package in PACKAGES if package in installed]
    return {
        **({"accelerator": accelerator()} if "keras" in sys.modules and accelerator() else {}),
        "processor": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} CPUs, {_processor()}",
        "load before": f"{os.getloadavg()[0]:.1f} processes wanted a CPU in the last minute",
        "system": platform.platform(),
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
        ),
    }


def ceiling(policy: str = "float32") -> Callable[[], float]:
    """To be called in turn with the rest: the rate of one large product of matrices, in FLOP a second.

    On the device of Keras' backend, in the type that its policy of precision computes in; matrices are larger on an
    accelerator, which small ones do not fill.
    """
    import keras

    dtype, side = keras.DTypePolicy(policy).compute_dtype, 8 * SIDE if accelerator() else SIDE
    a, b = (keras.random.normal((side, side), seed=seed, dtype=dtype) for seed in (0, 1))
    keras.ops.matmul(a, b)

    def turn() -> float:
        def products() -> float:
            for _ in range(4):
                product = keras.ops.matmul(a, b)
            float(keras.ops.convert_to_numpy(product[0, 0]))  # waits for the device
            return 4 * 2 * side**3

        return rate_of(products)

    turn()
    return turn


def accelerator() -> str | None:
    """What Keras' backend calls the device that it computes on; None: a CPU."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else None


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
