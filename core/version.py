"""Which version of convlens this is."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def _read() -> str:
    """Of a clone, what its pyproject.toml says, since the day of its installation is past; else what was installed."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    try:
        return version("convlens")
    except PackageNotFoundError:
        return "unknown"


__version__ = _read()
