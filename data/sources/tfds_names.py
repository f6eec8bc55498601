"""The names of TFDS datasets: what one may look like, and whether there is a dataset of that name.

Neither question needs TensorFlow, which takes seconds to import.
"""

import re
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
    """Raises `UserError` for a `data.name` that is neither in TFDS' list nor prepared in `data.data_dir`."""
    given = parse_name(config.name).name
    with quietly():
        import tensorflow_datasets as tfds

    data_dir = Path(config.data_dir or tfds.core.constants.DATA_DIR).expanduser()
    prepared = [entry.name for entry in data_dir.iterdir()] if data_dir.is_dir() else []
    known = tfds.list_builders(with_community_datasets=False)
    if given not in known + prepared and tfds.core.naming.camelcase_to_snakecase(given) not in known:
        raise UserError(unknown_name(config.name, known, prepared))


def unknown_name(given: str, known: list[str], prepared: list[str]) -> str:
    guess = nearest(re.split("[/:]", given)[0], known + prepared)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return (
        f"Unknown TFDS dataset in data.name '{given}'.{hint} TFDS knows {len(known)} of them: "
        "https://www.tensorflow.org/datasets/catalog"
    )
