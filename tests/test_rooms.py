"""The packages keep to themselves: which may import which, and what stays light."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "core": set(),
    "configs": {"core"},
    "models": {"core"},
    "data": {"core", "configs"},
    "training": {"core", "configs", "data", "models"},
    "interpret": {"core", "models"},
    "visualization": {"core"},
    "gallery": {"core", "configs", "data", "interpret", "models", "training", "visualization"},
}
SCRIPTS = ("train", "fit", "evaluate", "visualize", "env")
# Where something must be said differently to each backend; TensorBoard's files are written by TensorFlow, and
# faster_layers.py has one operation of TensorFlow in place of Keras' own.
BACKEND_MODULES = ("training/devices.py", "training/tensorboard.py", "training/faster_layers.py", "models/tensors.py")


def imported_by(path: Path, *, when_typing: bool = True) -> set[str]:
    """The full names of the modules that a file imports, wherever in the file; without `when_typing`, at run time."""
    names, waiting = set(), [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not when_typing:
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def packages_in(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("convlens.")} & {*PACKAGES, *SCRIPTS}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_that_it_may_know(package):
    known = PACKAGES[package] | {package}
    for path in (ROOT / package).rglob("*.py"):
        # Figures name the results that they draw, and know nothing else of where these come from.
        named_only = package == "visualization"
        strangers = packages_in(imported_by(path, when_typing=not named_only)) - known
        assert not strangers, f"{path.relative_to(ROOT)} imports {strangers}"


def test_everything_is_imported_under_one_name():
    short = {*PACKAGES, *SCRIPTS}
    files = [*ROOT.glob("*.py")]
    for folder in (*PACKAGES, "tests", "benchmarks"):
        files += (ROOT / folder).rglob("*.py")
    for path in files:
        short_names = {name.split(".")[0] for name in imported_by(path)} & short
        assert not short_names, f"{path.relative_to(ROOT)} imports {short_names} without convlens."


@pytest.mark.parametrize("package", [package for package in PACKAGES if package != "configs"])
def test_nothing_below_the_scripts_imports_hydra(package):
    for path in (ROOT / package).rglob("*.py"):
        top = {name.split(".")[0] for name in imported_by(path)}
        assert not top & {"hydra", "omegaconf"}, path.relative_to(ROOT)


@pytest.mark.parametrize("package", ["core", "models", "interpret", "visualization", "training"])
def test_only_the_modules_for_it_name_a_backend(package):
    for path in (ROOT / package).rglob("*.py"):
        if str(path.relative_to(ROOT)) not in BACKEND_MODULES:
            top = {name.split(".")[0] for name in imported_by(path)}
            assert not top & {"tensorflow", "jax"}, path.relative_to(ROOT)


@pytest.mark.parametrize("name", ["convlens", *(f"convlens.{package}" for package in PACKAGES)])
def test_importing_a_package_imports_no_backend(name):
    code = f"import {name}, sys; print({{'tensorflow', 'keras', 'jax', 'torch'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


EVERY_MODULE_FIRST = """
import importlib, pkgutil, sys, types

package = importlib.import_module(sys.argv[1])
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")
print([name for name in package.__all__ if isinstance(getattr(package, name), types.ModuleType)])
"""


@pytest.mark.parametrize("package", ["", *sorted(path.parent.name for path in ROOT.glob("*/__init__.pyi"))])
def test_both_lists_of_a_stub_have_the_same_names(package):
    """`__all__` is for type checkers; what is imported above it is what the package gives."""
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text())
    imported = {name.asname for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names}
    (listed,) = (ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    assert len(listed) == len(set(listed)) and imported == set(listed), f"only in one list: {imported ^ set(listed)}"


@pytest.mark.parametrize("package", sorted(path.parent.name for path in ROOT.glob("*/__init__.pyi")))
def test_a_public_name_is_no_module_whichever_module_was_imported_first(package):
    """A function in a module of its own name would be lost to it, where the package's stub names another module."""
    command = [sys.executable, "-c", EVERY_MODULE_FIRST, f"convlens.{package}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")]
    assert sorted(listed) == sorted(["convlens", *(".".join(["convlens", *folder.parts]) for folder in folders)])
