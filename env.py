"""Tells what a report of a bug needs: versions, backend, devices and folders, also where the backend is broken."""

if __name__ == "__main__":
    from convlens.core.stopping import begin

    begin()  # before all other imports, in whose seconds Ctrl-C may come too

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from convlens.configs import Train
from convlens.configs.cli import ending_well
from convlens.core import program
from convlens.core.backend import choose_backend
from convlens.core.caching import cache_folder
from convlens.core.errors import UserError, one_line
from convlens.core.locks import require_locks
from convlens.core.version import __version__

PACKAGES = (
    *("keras", "tensorflow", "jax", "jaxlib", "tensorflow-datasets", "numpy", "ml_dtypes", "h5py", "pillow"),
    *("matplotlib", "hydra-core", "omegaconf", "pydantic", "lazy_loader", "rich", "tensorboard"),
)
SECONDS = 120  # within which a backend that works has been loaded, on the slowest of machines
_DEVICES = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from convlens.training.devices import all_devices, processors
devices = ", ".join(all_devices())
print(f"\\n{devices}; {processors()} processors")
"""


def main(words: Sequence[str] | None = None) -> None:
    """The command, which takes no keys."""
    program.recognize()
    with ending_well(program.spoken_name("env")):
        words = sys.argv[1:] if words is None else words
        if set(words) & {"--help", "-h"}:
            print(f"{__doc__}\n\nusage: {program.command_line('env')}")
        elif words:
            raise UserError(f"env takes no arguments, but got '{words[0]}'.")
        else:
            for name, value in report():
                print(one_line(f"{name:20} {value}"), flush=True)


def report() -> Iterator[tuple[str, str]]:
    """Names and values, line by line, as soon as each is known. Of the environment's variables, only three are read."""
    yield "convlens", f"{__version__}, in {_short(Path(__file__).parent)}"
    yield "Python", f"{platform.python_version()}, {_short(Path(sys.executable))}"
    yield "platform", platform.platform()
    for package in PACKAGES:
        yield package, _version(package)
    yield "backend", _backend()
    yield "devices", _devices()
    yield "file locks", _file_locks()
    for name, folder in _folders().items():
        yield name, f"{_short(folder)}{'' if folder.exists() else ', does not exist yet'}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _backend() -> str:
    written = os.environ.get("KERAS_BACKEND")
    try:
        return f"{choose_backend()}, {'as KERAS_BACKEND says' if written else 'KERAS_BACKEND is not set'}"
    except UserError as error:
        return f"none: {error}"


def _devices() -> str:
    """What the backend computes on, asked in a process of its own: a broken one may end it, or never answer."""
    command = [sys.executable, "-P", "-c", _DEVICES, json.dumps(sys.path)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"unknown: the backend did not load within {SECONDS} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode == 0:
        return lines[-1]
    return f"unknown: loading the backend ended with code {done.returncode}{': ' + lines[-1] if lines else ''}"


def _file_locks() -> str:
    try:
        require_locks()
        return "yes"
    except UserError as error:
        return f"none: {error}"


def _folders() -> dict[str, Path]:
    datasets = os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets")
    return {
        "working folder": Path.cwd(),
        "runs": Path.cwd() / Train().runs_dir,
        "cache": cache_folder(),
        "datasets of TFDS": Path(datasets),
    }


def _short(path: Path) -> str:
    """A path without the name of the user's own folder."""
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if path.is_relative_to(home) else str(path)


if __name__ == "__main__":
    main()
