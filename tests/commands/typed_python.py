"""What `python` and `convlens` are for a shell that runs the documents' commands: typed_python.py [-m] NAME [words]

Our own scripts run in a fork of a process that has imported TensorFlow (fork_server.py, at the socket FORK_SERVER), and
take more words from MORE_WORDS, a JSON table by the script's name of what comes before and after those that are typed,
so that they take seconds; all else, and what wants another backend, is run by REAL_PYTHON as it stands.
"""

import json
import os
import socket
import sys

SCRIPTS = ("train", "evaluate", "visualize")
GOING_ON = ("resume", "init_from")  # keys of train that name a run, which more words must fit


def main(words: list[str]) -> int:
    ours = script_of(words)
    before, after = json.loads(os.environ["MORE_WORDS"]).get(ours, ([], []))
    start = 3 if words[:2] == ["-m", "convlens"] else 1
    words = [*words[:start], *before, *words[start:], *after]
    environment = {name: value for name, value in os.environ.items() if name != "PATH"}
    if not ours or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        real = os.environ["REAL_PYTHON"]
        os.execve(real, [real, *words], environment | {"PATH": os.environ["REAL_PATH"]})
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.environ["FORK_SERVER"])
        socket.send_fds(server, [b"."], [0, 1, 2])
        job = {"words": words, "folder": os.getcwd(), "environment": environment, "python": os.environ["TYPED_PYTHON"]}
        server.sendall(json.dumps(job).encode())
        server.shutdown(socket.SHUT_WR)
        answer = server.recv(16)
    return int(answer) if answer else 70  # it ended without a word


def script_of(words: list[str]) -> str:
    """Which of our scripts the words start, or of train the key that names a run; `blocks` for the documents' Python;
    empty for anything else."""
    module = words[:2] == ["-m", "convlens"]
    name = (words[2:] if module else [os.path.basename(word).removesuffix(".py") for word in words])[:1]
    if name == ["train"]:
        return next((key for key in GOING_ON if any(word.startswith(f"{key}=") for word in words)), "train")
    if name and name[0] in (*SCRIPTS, "blocks"):
        return name[0]
    return "convlens" if module else ""


if __name__ == "__main__":
    sys.exit(main([word for word in sys.argv[1:] if word != "-P"]))
