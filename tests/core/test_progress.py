"""Bars are for a person who watches; what is printed meanwhile goes where the user sent it."""

import os
import pty
import subprocess
import sys

import pytest

CODE = """
from convlens.core.progress import progress_bar
with progress_bar("Drawing", 3) as progress:
    print("kernels.png", flush=True)
    progress(3)
"""


def printed_and_shown(*, terminal: bool) -> tuple[str, str]:
    """Stdout, which is a pipe, and stderr, which is a terminal or another pipe."""
    if not terminal:
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
        return done.stdout, done.stderr
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    return done.stdout, shown


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_printed_while_a_bar_is_shown_reaches_a_pipe(terminal):
    printed, shown = printed_and_shown(terminal=terminal)
    assert printed.splitlines()[0] == "kernels.png" and "kernels.png" not in shown
    assert ("Drawing" in shown) == terminal


def test_naming_a_bar_imports_nothing():
    code = "import convlens.core.progress, sys; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
