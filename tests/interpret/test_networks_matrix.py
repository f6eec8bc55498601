"""Every question about whole networks, asked of every kind of model, 1 and 3 channels, on TensorFlow and on JAX."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("networks_matrix.py")
KINDS = ("functional", "sequential", "nested", "application", "reloaded")
METHODS = (
    "architecture",
    "similarity",
    "matched units",
    "answers",
    "neighbours",
    "embedding",
    "unchanged",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each backend gave, in a process of its own; both run at once."""
    folder = tmp_path_factory.mktemp("networks")
    running = {}
    for backend in ("tensorflow", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, str(SCRIPT), str(folder / f"{backend}.npz")]
        running[backend] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    by_backend = {}
    for backend, process in running.items():
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        with np.load(folder / f"{backend}.npz") as arrays:
            by_backend[backend] = dict(arrays)
    return by_backend


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_answers_every_question(results, kind, channels, backend):
    arrays = results[backend]
    failed = {
        key: str(value) for key, value in arrays.items() if key.startswith(f"{kind}/{channels}/") and "error" in key
    }
    assert not failed
    assert {f"{kind}/{channels}/{method}" for method in METHODS} <= set(arrays)


def test_both_backends_give_the_same_answers(results):
    for key, expected in results["tensorflow"].items():
        np.testing.assert_allclose(results["jax"][key], expected, rtol=1e-3, atol=1e-4, err_msg=key)
