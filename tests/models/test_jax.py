"""The same behaviour on JAX, where TensorFlow is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
BLOCK_TENSORFLOW = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets", "tensorboard"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="this is already JAX")
def test_models_behave_the_same_on_jax_without_tensorflow():
    pytest.importorskip("jax")
    files = [f"tests/models/test_{name}.py" for name in ("inspection", "features", "convolutions", "batches")]
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            BLOCK_TENSORFLOW,
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "not ResNet50 and not MobileNetV3",
            *files,
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
