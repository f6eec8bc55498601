"""The names of TFDS datasets: what one may look like, and whether there is a dataset of that name.

Neither question needs TensorFlow, which takes seconds to import.
"""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from convlens.configs import Data
from convlens.core.errors import UserError, nearest
from convlens.core.quiet import quietly

CONFIG = re.compile(r"(?=.*\w)[\w+.-]{1,100}", re.ASCII)  # with a letter or digit: '..' would be a path
VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){2}", re.ASCII)
_NAME = re.compile(
    rf"(?P<name>[a-zA-Z]\w{{0,99}})(/(?P<config>{CONFIG.pattern}))?(:(?P<version>(\d{{1,6}}|\*)(\.(\d{{1,6}}|\*)){{2}}))?",
    re.ASCII,
)


class DatasetName(NamedTuple):
    """The parts of a dataset's name; a version may have `*` for a number."""

    name: str
    config: str | None
    version: str | None


def parse_name(given: str) -> DatasetName:
    """The parts of 'name', 'name/config', 'name:version' or 'name/config:version'.

    Raises `UserError` for anything else: a namespace, a path, arguments, the name of a module.
    """
    match = _NAME.fullmatch(given)
    if not match:
        shown = given if len(given) <= 80 else f"{given[:80]}…"
        raise UserError(
            f"data.name '{shown}' is not the name of a TFDS dataset; expected name, name/config, name:1.0.0 or "
            "name/config:1.0.0, of letters, digits and '_' (a config also of '+', '-' and '.')."
        )
    return DatasetName(match["name"], match["config"], match["version"])


def check_name(config: Data) -> None:
    """Raises `UserError` if `data.name` is neither in TFDS' list nor prepared in `data.data_dir`."""
    given = parse_name(config.tfds_name).name
    with quietly():
        import tensorflow_datasets as tfds

    data_dir = Path(config.data_dir or tfds.core.constants.DATA_DIR).expanduser()
    known = tfds.list_builders(with_community_datasets=False)
    snake_case = tfds.core.naming.camelcase_to_snakecase(given)
    if not {given, snake_case} & {*known, *prepared_in(data_dir)}:
        raise UserError(unknown_name(config.tfds_name, known, data_dir))


def prepared_in(data_dir: Path) -> dict[str, list[str]]:
    """What lies prepared in a folder: the name of a dataset -> the names of its configurations and versions."""
    prepared: dict[str, list[str]] = {}
    for pattern in ("*/*/features.json", "*/*/*/features.json"):
        for path in sorted(data_dir.glob(pattern)):
            name, *config, version = path.parent.relative_to(data_dir).parts
            if VERSION.fullmatch(version):
                prepared.setdefault(name, []).append("/".join([name, *config]) + f":{version}")
    return prepared


def unknown_name(given: str, known: list[str], data_dir: Path) -> str:
    """The line for a dataset that is neither known to TFDS nor prepared: what to type instead, or to do before."""
    name, prepared = re.split("[/:]", given)[0], prepared_in(data_dir)
    if name in prepared:
        return f"data.name={given} is not prepared in {data_dir}, but {', '.join(prepared[name][:10])} is."
    if (data_dir / name).is_dir():
        return (
            f"data.name={given}: {data_dir / name} holds no prepared dataset, and TFDS knows none of that name. If it "
            f"is a builder of your own, {_how_to_build(name, data_dir)}"
        )
    guess = nearest(name, [*known, *prepared], likeness=0.6)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return (
        f"Unknown TFDS dataset in data.name '{given}'.{hint} TFDS knows {len(known)} datasets: "
        "https://www.tensorflow.org/datasets/catalog. If it is a builder of your own, "
        f"{_how_to_build(name, data_dir)}"
    )


def _how_to_build(name: str, data_dir: Path) -> str:
    """What prepares a dataset by code that only its author has; we never run it."""
    folder = data_dir.absolute()
    code = folder / name / f"{name}_dataset_builder.py"
    where = str(folder / name) if code.is_file() else "the folder of its code"
    line = f"prepare it in {where}: {shlex.join(('tfds', 'build', f'--data_dir={folder}'))}"
    if importlib.util.find_spec("apache_beam"):
        return line
    program = (
        f"from {name}.{name}_dataset_builder import Builder; Builder(data_dir={str(folder)!r}).download_and_prepare()"
    )
    above = str(folder) if code.is_file() else "the folder above"
    return (
        f"{line} (for which TFDS needs apache-beam), or without it in {above}: {shlex.join(('python', '-c', program))}"
    )
