"""The rooms keep to themselves: which may import which, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "configs": set(),
    "models": set(),
    "data": {"configs"},
    "training": {"configs", "data", "models"},
    "interpret": {"models"},
    "visualization": set(),
    "gallery": {"configs", "data", "interpret", "models", "training", "visualization"},
}


def imported_by(path: Path) -> set[str]:
    """The top-level names that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_that_it_may_know(room):
    known = ROOMS[room] | {room}
    for path in (ROOT / room).rglob("*.py"):
        strangers = imported_by(path) & set(ROOMS) - known
        assert not strangers, f"{path.relative_to(ROOT)} imports {strangers}"


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "configs"])
def test_nothing_below_the_scripts_imports_hydra(room):
    for path in (ROOT / room).rglob("*.py"):
        assert not imported_by(path) & {"hydra", "omegaconf"}, path.relative_to(ROOT)


@pytest.mark.parametrize("room", ["models", "interpret", "visualization", "training"])
def test_only_the_backend_module_of_a_room_names_a_backend(room):
    for path in (ROOT / room).rglob("*.py"):
        # TensorBoard's files are written by TensorFlow; fused.py is one operation of TensorFlow in place of Keras' own.
        if path.name not in ("backend.py", "tensorboard.py", "fused.py"):
            assert not imported_by(path) & {"tensorflow", "jax"}, path.relative_to(ROOT)


@pytest.mark.parametrize("room", ROOMS)
def test_importing_a_room_imports_neither_tensorflow_nor_keras(room):
    code = f"import {room}, sys; print('tensorflow' in sys.modules, 'keras' in sys.modules, 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False", "False"], done.stderr
