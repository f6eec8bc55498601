"""Ordinary terminals: output that nobody reads any more, Ctrl-C at any moment, connections that end, narrow windows."""

import errno
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    *("data=folder", "data.root=photos", "model.filters=[4]", "model.head.dense=[]", "training.batch_size=8"),
    *("training.tensorboard.enabled=false", "training.snapshots=0"),
)


class Command:
    """A command that is running, in a fork of a process that has imported TensorFlow."""

    def __init__(self, server: str, folder: Path, words: tuple[str, ...], **streams: int):
        self.number = folder / f"process-{len(list(folder.glob('process-*')))}"
        self.out, self.err = (self.number.with_suffix(suffix) for suffix in (".out", ".err"))
        ends = [os.open(os.devnull, os.O_RDONLY)]
        for name, file in (("stdout", self.out), ("stderr", self.err)):
            ends.append(streams[name] if name in streams else os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        job = {"words": [str(ROOT / words[0]), *words[1:]], "folder": str(folder), "python": sys.executable}
        job |= {"environment": {**os.environ, "PYTHONUNBUFFERED": "1"}, "process": str(self.number)}
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(server)
        socket.send_fds(self.connection, [b"\0"], ends)
        self.connection.sendall(json.dumps(job).encode())
        self.connection.shutdown(socket.SHUT_WR)
        for end in ends:
            os.close(end)

    def signal(self, number: int) -> None:
        os.kill(int(self.number.read_text()), number)

    def code(self) -> int:
        return int(self.connection.makefile().read())

    def errors(self) -> str:
        return self.err.read_text() if self.err.exists() else ""


def wait_for(condition) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that within a minute")


@pytest.fixture
def start(fork_server, tmp_path):
    generator = np.random.default_rng(0)
    for name, level in (("night", 60), ("day", 190)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.clip(generator.normal(level, 30, (16, 16, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return lambda *words, **streams: Command(fork_server, tmp_path, words, **streams)


def logs(folder: Path) -> list[str]:
    return [line for file in folder.glob("runs/*/2*/train.log") for line in file.read_text().splitlines()]


@pytest.mark.parametrize("script", ["train.py", "own.py"])
def test_a_training_whose_reader_has_seen_enough_goes_on_into_its_log(script, start, tmp_path):
    (tmp_path / "own.py").write_text(
        "import sys, convlens\nprint('begins', flush=True)\nconvlens.train(sys.argv[1:])\n"
    )
    reading, writing = os.pipe()
    words = (script if script == "train.py" else str(tmp_path / script), *SMALL, "training.epochs=3")
    command = start(*words, stdout=writing)
    os.read(reading, 5)
    os.close(reading)
    assert command.code() == 0
    assert len(logs(tmp_path)) == 3 and list(tmp_path.glob("runs/*/2*/evaluation.json"))
    assert command.errors().count("Standard output") == 1
    assert "Training continues, its lines are in runs/folder/2" in command.errors()


def test_a_training_on_a_full_disks_streams_ends_well(start, tmp_path):
    full = os.open("/dev/full", os.O_WRONLY)
    command = start("train.py", *SMALL, "training.epochs=2", stdout=full, stderr=os.dup(full))
    assert command.code() == 0 and len(logs(tmp_path)) == 2


def test_a_terminal_that_ends_stops_a_training_as_sigterm_does(start, tmp_path):
    command = start("train.py", *SMALL, "training.epochs=100000")
    wait_for(lambda: logs(tmp_path))
    command.signal(signal.SIGHUP)
    command.signal(signal.SIGHUP)  # the system tells it, and the shell once more
    assert command.code() == 129 and "Traceback" not in command.errors()
    assert "Go on with: " in command.out.read_text()
    assert list(tmp_path.glob("runs/*/2*/checkpoints/*"))


def test_a_stop_after_the_last_epoch_is_not_swallowed(start, tmp_path):
    # The signal comes as soon as the last epoch's line is there: while it is saved, or while test images are scored.
    command = start("train.py", *SMALL, "training.epochs=2")
    wait_for(lambda: len(logs(tmp_path)) == 2)
    command.signal(signal.SIGTERM)
    assert command.code() == 143
    (run,) = tmp_path.glob("runs/*/2*")
    assert f"resume={run.relative_to(tmp_path)}" in command.out.read_text()
    assert "nothing is saved" not in command.out.read_text()
    assert start("train.py", f"resume={run}").code() == 0
    assert json.loads((run / "run.json").read_text())["finished"]


def test_a_training_whose_folder_is_deleted_ends_in_one_line_and_makes_no_new_one(start, tmp_path):
    command = start("train.py", *SMALL, "training.epochs=100000")
    wait_for(lambda: logs(tmp_path))
    (run,) = tmp_path.glob("runs/*/2*")
    while run.exists():  # a file may be made in it meanwhile
        shutil.rmtree(run, ignore_errors=True)
    assert command.code() == 2
    assert f"train.py: Run {run.relative_to(tmp_path)} is gone: " in command.errors().splitlines()[-1]
    assert "Traceback" not in command.errors() and not run.exists()


class Terminal:
    """A process whose terminal is a window of its own, as a person sees it and types into it."""

    def __init__(self, folder: Path, *words: str):
        self.window, inside = pty.openpty()
        termios.tcsetwinsize(inside, (30, 100))
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)
        self.shown = b""

    def look(self) -> bytes:
        """Everything that was shown so far; waits for more. At the end of the process there is no more."""
        try:
            self.shown += os.read(self.window, 65536)
        except OSError:  # nobody has the terminal any more
            self.process.wait()
        return self.shown

    def type(self, keys: bytes) -> None:
        os.write(self.window, keys)


@pytest.mark.usefixtures("start")  # for its photographs
def test_in_a_window_progress_is_shown_and_ctrl_c_stops_with_the_state_saved(tmp_path):
    words = (str(ROOT / "train.py"), *SMALL, "training.epochs=100000", "training.keep=last")
    terminal = Terminal(tmp_path, *words)
    while not logs(tmp_path) and terminal.process.returncode is None:
        terminal.look()
    terminal.type(b"\x03")
    while terminal.process.returncode is None:
        shown = terminal.look()
    assert terminal.process.returncode == 130
    assert b"Looking at the images" in shown and b"Traceback" not in shown
    assert b"Go on with: " in shown and list(tmp_path.glob("runs/*/2*/checkpoints/*"))
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l"), "the cursor stays hidden"


# Python runs a module of this name at its start; here it has Ctrl-C come in the middle of the imports.
CTRL_C = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("words", [[str(ROOT / "train.py")], ["-m", "convlens", "train"]])
@pytest.mark.parametrize("module", ["convlens.configs", "hydra"])
def test_ctrl_c_while_a_command_still_imports_is_one_line(words, module, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(CTRL_C)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "AT": module}
    command = [sys.executable, *words, *SMALL]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "\nStopped.\n")


@pytest.mark.parametrize(
    ("shell", "code", "message"),
    [
        (
            "{} --version >&-",
            0,
            "convlens: the printed lines are lost, since standard output cannot be written: it is closed.\n",
        ),
        ("{} --version 2>&-", 0, ""),
        ("{} --version > /dev/full", 1, f"cannot be written: {os.strerror(errno.ENOSPC)}.\n"),
        ("{} train trian 2> /dev/full", 2, ""),
        ("{} train trian >&- 2>&-", 2, ""),
        ("{} --help | head -1; exit ${{PIPESTATUS[0]}}", 0, ""),
    ],
)
def test_streams_that_are_closed_full_or_left_end_in_one_line_and_the_right_code(shell, code, message, tmp_path):
    command = shell.format(f"{sys.executable} -m convlens")
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.endswith(message) and done.stderr.count("\n") == message.count("\n")
