"""Runs Python scripts in forks of one process that has imported TensorFlow: python fork_server.py SOCKET

It serves until its standard input is closed, as it is when whoever started it ends.
Whoever connects sends its standard streams and, as JSON, what to run: `words` (as after `python`), `folder` and
`environment`, and `python`, which the script takes for its interpreter, and perhaps `process`, a file for the number of
the process. The answer is the exit code.
Only what others wrote is imported before a fork; a script imports our own modules as if it were the first to do so.
"""

import json
import os
import runpy
import select
import socket
import sys
import traceback
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402, F401
import matplotlib.pyplot  # noqa: E402, F401
import rich.progress  # noqa: E402, F401
import tensorflow  # noqa: E402, F401
import tensorflow_datasets  # noqa: E402, F401
from tensorboard.plugins.hparams import api  # noqa: E402, F401


def serve(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while server in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                code = run_for(connection)
                connection.sendall(str(code).encode())
                os._exit(0)  # nothing of the parent's is to be wound up
            connection.close()
            reap()


def reap() -> None:
    """Forget the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def run_for(connection: socket.socket) -> int:
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as reader:
        job = json.loads(reader.read())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode, closefd=False) for number, mode in enumerate("rww"))
    os.chdir(job["folder"])
    path = os.environ["PATH"]
    os.environ.clear()
    os.environ.update(job["environment"] | {"PATH": path})
    if "process" in job:
        Path(job["process"]).write_text(str(os.getpid()))
    sys.executable, sys.orig_argv = job["python"], [job["python"], *job["words"]]
    code = exit_code(job["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def exit_code(words: list[str]) -> int:
    """Runs a script, or after -m a module, as Python does from its command line."""
    try:
        if words[0] == "-m":
            sys.argv, sys.path[0] = words[1:], os.getcwd()
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = words, os.path.dirname(os.path.realpath(words[0]))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
