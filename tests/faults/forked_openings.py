"""Opens hostile files in short-lived processes without importing TensorFlow anew in each: a parent that imports and
forks. `python forked_openings.py RUN GOOD FOLDER KIND` prints how each ended, as JSON lines.

KIND is "files" (the rows of hostile_files.py, on copies of RUN) or "models" (those of test_hostile_models.py, on copies
of the model GOOD). FOLDER becomes the working folder and the first place from which Python imports, as a checkout is.
"""

import contextlib
import importlib.abc
import io
import json
import os
import shutil
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

RUN, GOOD, FOLDER = (Path(word).resolve() for word in sys.argv[1:4])
TESTS = Path(__file__).resolve().parents[1]
PICTURES = TESTS / "saved_runs/pictures"
PLACES = ("runs", "model", "drawn", "outside")
TOGETHER, SLOW = 12, 200  # rows of a child, as a fork of so much memory takes time, and seconds after which it is ended


def imported() -> None:
    """Everything that a command imports, before the first fork."""
    import h5py  # noqa: F401
    import keras  # noqa: F401
    import PIL.Image  # noqa: F401
    import tensorflow as tf  # noqa: F401

    commands = ("evaluate", "visualize", "train", "gallery.saving", "gallery.evolution", "gallery.basics")
    reading = ("data.survey", "data.pipeline", "data.sources.folder", "models.tensors", "models.keras_file.reading")
    training = ("tensorboard", "checkpoint", "fit", "transfer", "devices")
    for name in (*commands, *reading, *(f"training.{name}" for name in training)):
        import_module(f"convlens.{name}")


imported()

sys.path.insert(0, str(TESTS.parent))

import convlens  # noqa: E402
from convlens.configs.cli import ending_well  # noqa: E402
from convlens.core.errors import UserError  # noqa: E402
from convlens.training import Run  # noqa: E402
from convlens.training.checkpoint import newest_checkpoint  # noqa: E402
from convlens.training.records import check_resumable  # noqa: E402

evaluate, visualize, train = (import_module(f"convlens.{name}") for name in ("evaluate", "visualize", "train"))
IMAGE = f"image={PICTURES / 'disc/00.png'}"


def read(path: Path) -> None:
    with ending_well("read"):
        run = Run.open(path)
        assert run.metrics or run.evaluation, "nothing to read"
        _ = run.evaluation


def checkpoint(path: Path) -> None:
    lines = []
    with ending_well("checkpoint"):
        try:
            folder = Run.open(path).checkpoints_dir
            state = newest_checkpoint(folder, lines.append, most=2**26)
            check_resumable(state.values, folder, ["KeepBest", "MetricsTable", "Clock"])
        except UserError as error:
            raise UserError(f"{error} {' '.join(lines)}") from None


COMMANDS = {
    "evaluate": lambda path: evaluate.main([f"run={path}", f"data.root={PICTURES}"]),
    "resume": lambda path: train.main([f"resume={path}", f"data.root={PICTURES}"]),
    "evolution": lambda path: visualize.main([f"run={path}", IMAGE, "figures=[evolution]", f"out={FOLDER}/drawn"]),
    "layers": lambda path: visualize.main([f"model={path}", IMAGE, "figures=[kernels]", "layers=[block1_conv1]"]),
    "draw": lambda path: visualize.main([f"model={path}", IMAGE, "figures=[kernels]", f"out={FOLDER}/drawn"]),
    "read": read,
    "checkpoint": checkpoint,
}


class Heard(importlib.abc.MetaPathFinder):
    """What a process looks for to import, opens, starts and sends."""

    FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.connect", "socket.bind",
                 "urllib.", "ftplib.", "http.", "pickle.", "ctypes.dlopen")  # fmt: skip

    def __init__(self):
        self.on = False
        self.clear()
        sys.addaudithook(self.hear)

    def clear(self):
        self.imports, self.opened, self.done = [], [], []

    def find_spec(self, name, path, target=None):
        if self.on:
            self.imports.append(name)

    def hear(self, event, arguments):
        if not self.on:
            return
        if event == "subprocess.Popen" and arguments[0] == "git":
            return  # asked for the version of this code
        if event.startswith(self.FORBIDDEN):
            self.done.append(f"{event}{arguments}"[:300])
        elif event == "open" and isinstance(arguments[0], str | bytes):
            self.opened.append(os.path.realpath(os.fsdecode(arguments[0])))
        elif event in ("os.remove", "os.rename", "os.rmdir", "os.truncate", "os.mkdir", "os.symlink", "os.link"):
            self.opened.append(os.path.realpath(os.fsdecode(arguments[0])))


def kilobytes(field: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])


def opened(command: str, path: Path, heard: Heard) -> dict:
    """How a command ended, what it said, and what that cost."""
    import random

    from tests.faults.watching import keras_state

    before, state = random.getstate(), keras_state()
    streams = [io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2)]
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    baseline, began = kilobytes("VmRSS"), time.process_time()
    heard.on = True
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            COMMANDS[command](path)
            code = 0
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
            code = 1
    heard.on = False
    return {
        "code": code,
        "line": streams[1].buffer.getvalue().decode(errors="replace"),
        "seconds": time.process_time() - began,
        "megabytes": (kilobytes("VmHWM") - baseline) / 1024,
        "state": keras_state() == state and (code == 0 or command == "resume" or random.getstate() == before),
        "done": heard.done,
        "outside": [name for name in heard.opened if name.startswith(str(FOLDER / "outside"))],
        "imports": [name for name in heard.imports if not is_ours(name)],
    }


def is_ours(name: str) -> bool:
    """Whether a module is one of an installed package, or of this one, and no other that a folder at hand may hold."""
    top = name.split(".")[0]
    if top in ("antigravity", "payload", "runs"):
        return False
    spec = importlib.util.find_spec(top) if top not in sys.modules else sys.modules[top].__spec__
    origin = getattr(spec, "origin", None) or ""
    return not origin.startswith(str(FOLDER))


def in_a_child(rows: list, heard: Heard) -> None:
    """Opens some rows in one child, which prints how each ended."""
    child = os.fork()
    if child == 0:
        for name, command, make, words in rows:
            heard.clear()
            try:
                before = prepared()
                outcome = opened(command, make(), heard)
                outcome["changed"] = listed(FOLDER / "outside") != before
            except BaseException:
                outcome = {"code": "the test", "line": traceback.format_exc(), "changed": False}
            outcome |= {"name": name, "command": command, "words": words, "package": os.path.dirname(convlens.__file__)}
            outcome["beside"] = sorted({path.name for path in FOLDER.iterdir()} - {*PLACES})
            print(json.dumps(outcome), flush=True)
        os._exit(0)
    end = time.monotonic() + SLOW
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, 9)  # the row after the last one that was printed hangs
        time.sleep(0.05)


def prepared() -> list:
    """Clears away what the row before left, and gives what lies outside of the run."""
    for left in PLACES:
        shutil.rmtree(FOLDER / left, ignore_errors=True)
    (FOLDER / "outside/folder/.0a1b2c3d").mkdir(parents=True)
    for file in ("secret.txt", "log.txt", "folder/events.out", "folder/.0a1b2c3d/diary.txt"):
        (FOLDER / "outside" / file).write_text("a\nb\nc\n")
    return listed(FOLDER / "outside")


def rows_of_files():
    from tests.faults.hostile_files import HONEST, HOSTILE

    for name, command, harm, words in [*((*row, "") for row in HONEST), *HOSTILE]:

        def make(harm=harm):
            run = FOLDER / "runs/shared/20260101-000000-000-abcdef"
            shutil.copytree(RUN, run)
            harm(run)
            return run

        yield name, command, make, words


def rows_of_models():
    from tests.faults.hostile_models import unreadable
    from tests.faults.test_hostile_models import HOSTILE

    for number, (name, maker, words) in enumerate(HOSTILE):
        if "SHA-256" in words or maker is unreadable or "NUL" in name or "ends in" in words:
            continue  # asked for by code alone; a command line has no such names

        def make(maker=maker):
            folder = FOLDER / "model"
            folder.mkdir()
            return maker(folder, GOOD)

        yield name, "layers" if number % 3 else "draw", make, words


def main(kind: str) -> None:
    os.chdir(FOLDER)
    sys.path.insert(0, str(FOLDER))
    heard = Heard()
    sys.meta_path.insert(0, heard)
    rows = list(rows_of_files() if kind == "files" else rows_of_models())
    print(json.dumps({"rows": len(rows)}), flush=True)
    for start in range(0, len(rows), TOGETHER):
        in_a_child(rows[start : start + TOGETHER], heard)


def listed(folder: Path) -> list:
    return [(str(path), path.read_bytes() if path.is_file() else None) for path in sorted(folder.rglob("*"))]


if __name__ == "__main__":
    main(sys.argv[4])
