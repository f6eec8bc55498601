"""What is meant for each backend is chosen by its name; any other backend is refused in one line."""

import os
import subprocess
import sys

import keras
import pytest

from convlens.core.backend import by_backend
from convlens.core.errors import UserError

ASKING = """
from convlens.core.errors import UserError
from convlens.training.devices import choose_devices

try:
    choose_devices(None, 16)
except UserError as refusal:
    print(refusal)
"""


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_what_is_meant_for_the_backend_is_chosen(name, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    assert by_backend(tensorflow=lambda: "tensorflow", jax=lambda: "jax")() == name


@pytest.mark.parametrize("name", ["torch", "numpy", "openvino"])
def test_another_backend_is_refused_by_name(name, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    with pytest.raises(UserError, match=f"Unknown Keras backend '{name}'.* tensorflow, jax.*Set KERAS_BACKEND"):
        by_backend(tensorflow=1, jax=2)


def test_another_backend_is_refused_where_a_script_of_the_user_trains():
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    done = subprocess.run([sys.executable, "-c", ASKING], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("Unknown Keras backend 'numpy'"), done.stderr
