"""What more than one package's tests need."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from filelock import FileLock

from tests.fast import is_fast

ROOT = Path(__file__).resolve().parents[1]
MEMORY_OF_A_PROCESS = 6 * 2**30  # bytes
NOT_BUILT_FROM = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", "runs", ".*_cache", ".hypothesis")

# Before TensorFlow or JAX is imported: they set it to 1 where nobody has, also for the processes that tests start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What is remembered of the tests' images stays with the tests, in this process and in those that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Makes what takes long once for all processes that tests run in (pytest -n): made_once(name, make) calls
    make(folder) in the first process that asks, and gives the folder to all of them."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    base = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, whole = base / f"once-{name}", base / f"once-{name}.whole"
        with FileLock(base / f"once-{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one who failed
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory):
    """The socket of a process that has imported TensorFlow, and runs scripts in forks of itself."""
    path = str(tmp_path_factory.mktemp("server") / "socket")
    words = [sys.executable, str(ROOT / "tests/commands/fork_server.py"), path]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # What nohup ignores for these tests, commands are to hear.
    with subprocess.Popen(words, **streams, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)) as process:
        assert process.stdout.readline() == "ready\n"
        yield path
        process.stdin.close()


@pytest.fixture(scope="session")
def run_script(fork_server):
    """Runs one of our scripts to its end, in a fork, so that its libraries need not be imported anew: run_script(words,
    folder, **environment) gives what `subprocess.run` does. What a script prints while it imports them is not seen."""

    def run(words: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
        job = {"words": [str(ROOT / words[0]), *words[1:]], "folder": str(folder), "python": sys.executable}
        job["environment"] = os.environ | environment
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err, socket.socket(socket.AF_UNIX) as connection:
            connection.connect(fork_server)
            with open(os.devnull) as nothing:
                socket.send_fds(connection, [b"\0"], [nothing.fileno(), out.fileno(), err.fileno()])
            connection.sendall(json.dumps(job).encode())
            connection.shutdown(socket.SHUT_WR)
            code = connection.makefile().read()
            out.seek(0)
            err.seek(0)
            assert code, err.read()  # it ended without a word
            return subprocess.CompletedProcess(words, int(code), out.read(), err.read())

    return run


@pytest.fixture(autouse=True)
def called_from_code(monkeypatch):
    """A command that a test calls within this process does not decide in which form later tests see commands."""
    from convlens.core import program

    monkeypatch.setattr(program, "_program", program.Program())


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """The file of a small model of ours, with every part that the hostile files change."""
    from convlens.configs import Model
    from convlens.models import build_model

    config = Model(filters=[4], head={"dense": [4], "dropout": 0.1})
    path = tmp_path_factory.mktemp("good") / "good.keras"
    build_model(config, (16, 16), 3, 3, seed=0).save(path)
    return path


@pytest.fixture(scope="session")
def cars_dir(made_once):
    """Where a few images of the embedded dataset are prepared under its published name."""
    from convlens.data.rendered_cars import RenderedCars

    def prepare(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for split, images in (("train", 8), ("validation", 8), ("test", 24)):
                patch.setattr(RenderedCars.builder_configs["64"], split, images)
            RenderedCars(config="64", data_dir=folder).download_and_prepare()

    return made_once("cars", prepare)


@pytest.fixture(scope="session")
def built(made_once):
    """The wheel and the source distribution, built from a copy: (wheel, sdist)."""

    def build(folder: Path) -> None:
        shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_BUILT_FROM))
        command = [sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(folder / "source")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    folder = made_once("built", build)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def pytest_collection_modifyitems(items):
    """What is marked slow may take an hour on a busy machine; what answers within seconds is marked fast."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))
        elif is_fast(item):
            item.add_marker("fast")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """The processes that -n auto asks for: one a processor, while each has memory for itself and what it starts."""
    from convlens.data.cache.memory import free_memory

    return max(1, min(len(os.sched_getaffinity(0)), free_memory() // MEMORY_OF_A_PROCESS))
