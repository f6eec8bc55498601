"""Every method answers on every kind of model, on both backends alike, and leaves the model as it was."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

KINDS = ("functional", "sequential", "nested", "application", "reloaded")
METHODS = 17
SCRIPT = Path(__file__).with_name("attribution_matrix.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What both backends gave, each in a process of its own, the JAX one without TensorFlow."""
    folder = tmp_path_factory.mktemp("matrix")
    running = {}
    for backend in ("tensorflow", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        # Each function runs once here, so that time spent on making it fast is lost.
        environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        command = [sys.executable, str(SCRIPT), str(folder / f"{backend}.npz")]
        running[backend] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for backend, process in running.items():
        _, errors = process.communicate()
        assert process.returncode == 0, f"{backend}: {errors[-3000:]}"
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in running}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_answers_and_changes_nothing(results, kind, channels, backend):
    prefix = f"{kind}/{channels}/"
    arrays = {key.removeprefix(prefix): value for key, value in results[backend].items() if key.startswith(prefix)}
    assert not {key: str(value) for key, value in arrays.items() if key.endswith("error")}
    assert len(arrays) == METHODS + 1 and "unchanged" in arrays
    for name, array in arrays.items():
        assert array.dtype == np.float32 and np.isfinite(array).all() and array.any(), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_backends_agree(results, kind):
    for key, array in results["tensorflow"].items():
        if key.startswith(kind):
            # Ascent takes a step of full size also where the gradient is nearly zero, and there its sign is rounding.
            tolerance = 0.1 if "maximization" in key else 2e-3
            scale = np.abs(array).max()
            np.testing.assert_allclose(results["jax"][key] / scale, array / scale, atol=tolerance, err_msg=key)
