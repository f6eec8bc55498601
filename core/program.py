"""How the program was started, so that the commands it prints can be copied to a shell unchanged.

`python train.py ...`, `convlens train ...` and `python -m convlens train ...` start the same program. Commands
are printed in the form in which it was started; if it was called from Python, in the form `convlens train ...`.
"""

import json
import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from convlens.core.errors import UserError

INHERITED = "CONVLENS_PROGRAM"  # tells a job of a sweep how the sweep was started
_AS_IT_STANDS = re.compile(r"[\w./:%+@?*| -]*", re.ASCII)  # what a value may hold without Hydra's quotes
_SOURCE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Program:
    """A form of the program.

    Attributes:
        start: the words before a command: ("convlens",), ("python", "-m", "convlens") or ("python",).
        scripts: the folder of train.py and the others, as it was typed, where each command is a script; else None.
    """

    start: tuple[str, ...] = ("convlens",)
    scripts: str | None = None

    def words(self, command: str) -> tuple[str, ...]:
        """The words to type for a command."""
        return (*self.start, command if self.scripts is None else os.path.join(self.scripts, f"{command}.py"))


_program = Program()


def recognize() -> None:
    """Records how this process was started. Scripts and commands call it first."""
    global _program
    inherited = os.environ.get(INHERITED)
    if inherited:
        start, scripts = json.loads(inherited)
        _program = Program(tuple(start), scripts)
    elif _is_module():
        _program = Program((_python(), "-m", "convlens"))
    elif Path(sys.argv[0]).resolve().parent == _SOURCE:
        _program = Program((_python(),), os.path.dirname(sys.argv[0]))
    else:
        _program = Program((_name_on_path(sys.argv[0]),))


def check_copy() -> None:
    """Raises `UserError` where the script that was started lies in another clone than the package it imports."""
    folder = Path(sys.argv[0]).resolve().parent
    if folder != _SOURCE and (folder / "core" / Path(__file__).name).is_file():
        raise UserError(
            f"{sys.argv[0]} belongs to another copy of convlens than the one that is installed, {_SOURCE}; "
            f"run in its folder: pip install -e ."
        )


def command_line(command: str, **values: object) -> str:
    """A command ready to be typed into a shell, such as `convlens evaluate run=runs/cars/latest`."""
    return " ".join((shlex.join(_program.words(command)), *(word(key, value) for key, value in values.items())))


def word(key: str, value: object) -> str:
    """A key with its value as it is to be typed into a shell behind a command, such as `init_from=runs/cars/latest`.

    A list is written with commas, and in brackets where an item has to be quoted.
    """
    if isinstance(value, list) and not any(isinstance(item, list) for item in value):
        text = f"{key}={_listed(value)}"
    else:
        text = f"{key}={as_value(str(value))}"
    plain = "'" in text and not set(text) & set('"\\$`!') and not _is_no_text(text)
    return f'"{text}"' if plain else _quoted(text)


def _listed(items: list) -> str:
    plain = [str(item) for item in items]
    quoted = [as_value(item) for item in plain]
    return ",".join(plain) if plain == quoted else f"[{','.join(quoted)}]"


def tool_line(tool: str, module: str, *words: str) -> str:
    """A line that starts another package's program: by its name where the shell finds it, else as a module."""
    start = (tool,) if shutil.which(tool) else (_python(), "-m", module)
    return " ".join(map(_quoted, (*start, *words)))


def _is_no_text(name: str) -> bool:
    """Whether a file's name has bytes that are not UTF-8, which Python keeps as lone surrogates."""
    return any("\udc80" <= character <= "\udcff" for character in name)


def _quoted(word: str) -> str:
    """A word as a shell reads it; one with bytes that are no text in the form that bash, zsh and ksh have for them."""
    if not _is_no_text(word):
        return shlex.quote(word)
    shown = (chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(shown)}'"


def install_line(extra: str = "") -> str:
    """What installs this package's dependencies and those of an extra, where something is missing."""
    extra = f"[{extra}]" if extra else ""
    if not (_SOURCE / "pyproject.toml").is_file():
        return shlex.join(("pip", "install", f"convlens{extra}"))
    source = "." if _SOURCE == Path.cwd() else str(_SOURCE)
    return shlex.join(("pip", "install", "-e", f"{source}{extra}"))


def spoken_name(command: str) -> str:
    """The command's name in error messages: `train.py` or `convlens train`."""
    return f"convlens {command}" if _program.scripts is None else f"{command}.py"


def job(command: str) -> tuple[list[str], dict[str, str]]:
    """The first words of the command line of a process that runs a command as this one does, and its environment."""
    if _program.scripts is not None:
        words = [sys.executable, sys.argv[0]]
    else:
        # Only `python -m convlens` imports from the working folder, where a user's own modules lie.
        safe = [] if _is_module() and not sys.flags.safe_path else ["-P"]
        words = [sys.executable, *safe, "-m", "convlens", command]
    return words, {INHERITED: json.dumps([_program.start, _program.scripts])}


def _is_module() -> bool:
    return os.path.basename(sys.argv[0]) == "__main__.py"


def _python() -> str:
    """The interpreter as it was typed."""
    return _name_on_path(sys.orig_argv[0] or sys.executable or "python")


def _name_on_path(path: str) -> str:
    """A program's name where the shell finds this very file under it, else its path."""
    name = os.path.basename(path)
    found_path = shutil.which(name)
    return name if found_path and os.path.abspath(found_path) == os.path.abspath(path) else path


def as_value(text: str) -> str:
    """A value of a key in the quotes that Hydra needs for it, if any, and with what begins a reference as it stands."""
    if _AS_IT_STANDS.fullmatch(text) and text == text.strip():
        return text
    escaped = re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + (r"\'" if end[2] else ""), text)
    return "'" + re.sub(r"(?<!\\)\$\{", r"\\${", escaped) + "'"
