"""A user's own experiment: a YAML file that lies anywhere, under the rules of those in configs/experiment/."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convlens.configs.plain_yaml import parse_plain, read_text
from convlens.core.errors import UserError, nearest, unknown

HEADER = "# @package _global_"
ENDINGS = (".yaml", ".yml")
_CHOICE = "file_of_the_user"  # what Hydra takes for the file's name, which may be anything


@dataclass(frozen=True)
class ExperimentFile:
    """A file that was checked and is ready to be composed.

    Attributes: path, as it was typed; text, what it says.
    """

    path: Path
    text: str

    @contextlib.contextmanager
    def choice(self) -> Iterator[list[str]]:
        """The words that make Hydra load this file, valid while the block runs."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "experiment", f"{_CHOICE}.yaml")
            copy.parent.mkdir()
            copy.write_text(self.text, encoding="utf-8")
            yield [f"experiment={_CHOICE}", f"hydra.searchpath=['file://{folder}']"]

    def named_in(self, line: str) -> str:
        """Hydra's message, with the name that the user typed instead of the temporary one."""
        return line.replace(f"'experiment/{_CHOICE}'", str(self.path))


def is_file_name(choice: object) -> bool:
    """Whether a choice of an experiment is a file, not one of ours."""
    text = str(choice)
    return text.endswith(ENDINGS) or os.sep in text


def read_experiment(path: Path, groups: Mapping[str, Sequence[str]]) -> ExperimentFile:
    """The user's experiment in a file.

    Args:
        path: as it was typed, from the working folder.
        groups: the groups that it may choose in, and their choices.

    Raises:
        UserError: there is no such file, it is not an experiment, or it chooses what does not exist.
    """
    if not path.exists():
        raise UserError(_missing(path, groups["experiment"]))
    text = read_text(path, "an experiment in YAML").removeprefix("\ufeff")
    values = parse_plain(text, str(path))
    if "hydra" in values:
        raise UserError(f"{path} has the key 'hydra'; an experiment cannot configure Hydra itself. Take it out.")
    # To YAML it is a comment, but without it Hydra would seek every key below `experiment.`
    if not re.match(rf"(\s*(#.*)?\n)*\s*{HEADER.replace(' ', ' *')} *$", text, re.MULTILINE):
        raise UserError(f"{path} does not begin with the line '{HEADER}'; put it at the top, as in every experiment.")
    _check_defaults(values.get("defaults", []), path, groups)
    return ExperimentFile(path, f"{HEADER}\n{text}")  # once more, since Hydra looks at the first line only


def _check_defaults(entries: object, path: Path, groups: Mapping[str, Sequence[str]]) -> None:
    """Raises `UserError` if the list of defaults does not start from an experiment, or chooses something unknown."""
    if not isinstance(entries, list):
        raise UserError(f"defaults in {path} is not a list; expected choices such as '- override /model: vgg'.")
    choices = [("experiment", entry) for entry in entries if isinstance(entry, str) and entry != "_self_"]
    for key, choice in [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]:
        group = str(key).split()[-1].lstrip("/")
        if group in groups and not re.fullmatch(r"override\s+/\w+", str(key)):
            raise UserError(f"'- {key}: {choice}' in {path} must be written '- override /{group}: {choice}'.")
        choices.append((group, choice))
    for group, choice in choices:
        if group not in groups:
            raise UserError(f"{unknown('group', group, groups)} It is in {path}.")
        if choice is not None and choice not in groups[group]:
            raise UserError(f"{unknown(group, choice, groups[group])} It is in {path}.")


def _missing(path: Path, ours: Sequence[str]) -> str:
    if path.stem in ours:
        return f"The experiment {path} does not exist. Did you mean experiment={path.stem}?"
    beside = [str(file) for ending in ENDINGS for file in path.parent.glob(f"*{ending}")]
    guess = nearest(str(path), beside) or nearest(path.stem, ours)
    return f"The experiment {path} does not exist." + (f" Did you mean experiment={guess}?" if guess else "")
