"""What every question answers on every kind of model, on both backends."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("matrix.py")


@pytest.fixture(scope="session")
def answers(made_once):
    """Gives the answers to a topic's questions: {"tensorflow": {"kind/channels/method": array}, "jax": ...}.

    Each backend answers every topic in one process, the JAX one without TensorFlow; both run at once.
    """

    def ask(folder: Path) -> None:
        running = {}
        for backend in ("tensorflow", "jax"):
            environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
            # Each function runs once here, so that time spent on making it fast is lost.
            environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
            command = [sys.executable, str(SCRIPT), str(folder / f"{backend}.npz")]
            running[backend] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for backend, process in running.items():
            _, errors = process.communicate()
            assert process.returncode == 0, f"{backend}: {errors[-3000:]}"

    folder = made_once("matrix", ask)
    answers = {backend: dict(np.load(folder / f"{backend}.npz")) for backend in ("tensorflow", "jax")}

    def answers_of(topic: str) -> dict[str, dict[str, np.ndarray]]:
        start = f"{topic}/"
        return {
            backend: {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
            for backend, arrays in answers.items()
        }

    return answers_of
