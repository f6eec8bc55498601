"""The command `convlens`, also as `python -m convlens`: trains, evaluates, draws."""

if __name__.endswith("__main__"):
    from convlens.core.stopping import begin

    begin()  # before all other imports, in whose seconds Ctrl-C may come too

import importlib
import shlex
import sys
from collections.abc import Sequence

import convlens
from convlens.configs.cli import ending_well
from convlens.core import program
from convlens.core.errors import UserError, unknown
from convlens.core.version import __version__

COMMANDS = {  # each is a module of that name with a function `main`
    "train": "train a network, or resume a run",
    "evaluate": "evaluate a run: accuracy, scores per class, calibration, confusion matrix",
    "visualize": "draw what a run or any .keras file learned, or what one kernel does",
    "env": "versions, backend, devices and folders, for a bug report",
}


def main() -> None:
    """Reads the command's name and leaves the rest to the command."""
    program.recognize()
    name, *words = sys.argv[1:] or [""]
    if name in COMMANDS:
        importlib.import_module(f"convlens.{name}").main(words)
        return
    with ending_well("convlens"):
        if name in ("--help", "-h"):
            print(help_text())
        elif name == "--version":
            print(f"convlens {__version__}")
        else:
            raise UserError(_mistake(name, words))


def help_text() -> str:
    """What `convlens --help` prints."""
    lines = [convlens.__doc__, "", f"usage: {program.command_line('COMMAND')} [key=value ...]", ""]
    lines += [f"  {name:12}{meaning}" for name, meaning in COMMANDS.items()]
    lines += ["", f"  {'--help, -h':12}this text; after a command: its keys and their defaults"]
    lines += [
        f"  {'--version':12}the version of convlens",
        "",
        f"Begin with: {program.command_line('train', experiment='cars')}",
    ]
    return "\n".join(lines)


def _mistake(name: str, words: Sequence[str]) -> str:
    if not name:
        return f"Which command? Choices: {', '.join(COMMANDS)}. More: {program.command_line('--help')}"
    if "=" in name:
        return f"A command comes before its keys, as in: {program.command_line('train')} {shlex.join([name, *words])}"
    return unknown("command", name, COMMANDS)


if __name__ == "__main__":
    main()
