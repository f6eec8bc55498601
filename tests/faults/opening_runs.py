"""Opens hostile runs with every command: python opening_runs.py RUN FOLDER; prints how each ended, as JSON lines.

FOLDER becomes the working folder and the first place from which Python imports, as a checkout is. What the process
imports, makes and writes is heard by a hook from before the first command.
"""

import contextlib
import hashlib
import importlib.abc
import io
import json
import os
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import yaml

from convlens.training.sealed_json import dumped, sum_of

sys.path.insert(0, os.path.dirname(__file__))
from hostile_runs import HOSTILE, PAYLOAD  # noqa: E402

evaluate, visualize, train = (import_module(f"convlens.{name}") for name in ("evaluate", "visualize", "train"))
COMMANDS = {
    "evaluate": (evaluate, lambda run: [f"run={run}"]),
    "visualize": (visualize, lambda run: [f"run={run}", "image=0", "figures=feature_maps"]),
    "compare": (visualize, lambda run: [f"a={run}", f"b={run}", "figures=class_accuracy"]),
    "resume": (train, lambda run: [f"resume={run}"]),
}
OTHERS = 5  # every so many-th run is opened by the others than evaluate, too


class Imports(importlib.abc.MetaPathFinder):
    """Every name that is looked for to be imported."""

    def __init__(self):
        self.names = []

    def find_spec(self, name, path, target=None):
        self.names.append(name)


class Writes:
    """Folders that are made and files that are opened to be written."""

    def __init__(self):
        self.paths = []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (writing or event in ("os.mkdir", "os.symlink", "os.rename")) and isinstance(arguments[0], str):
            self.paths.append(os.path.abspath(arguments[0]))


def hostile(base: Path, folder: Path, data: dict, harm) -> Path:
    """A copy of a run with other keys of `data`, harmed, in which all sums are right."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("figures", "evaluation.json"))
    (folder / "payload.py").write_text(PAYLOAD)
    module = ".".join([*folder.parts[-3:], "payload"])
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for key, value in data.items():
        text = isinstance(value, str)
        config["data"][key] = value.replace("{run}", str(folder)).replace("{module}", module) if text else value
    config["training"]["deterministic"] = False  # asked for once a process
    text = yaml.safe_dump(config, sort_keys=False)
    (folder / "config.yaml").write_text(text)
    facts = json.loads((folder / "run.json").read_text())
    facts.pop("sha256", None)
    facts["finished"] = False
    facts.setdefault("sums", {})["config.yaml"] = [hashlib.sha256(text.encode()).hexdigest()]
    (folder / "run.json").write_text(dumped(facts | {"sha256": sum_of(facts)}))
    harm(folder)
    return folder


def run_command(command, words: list[str]) -> tuple[int, str]:
    """The exit code of a command, and what it said on stderr."""
    streams = [io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            command.main(words)
            code = 0
        except SystemExit as stop:
            code = stop.code
    return code, streams[1].buffer.getvalue().decode()


def main(base: Path, folder: Path) -> None:
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    imports, writes = Imports(), Writes()
    sys.meta_path.insert(0, imports)
    rows = [("to warm up", {"source": "folder"}, lambda run: None, ""), *HOSTILE]
    for number, (name, data, harm, words) in enumerate(rows):
        run = hostile(base, folder / "runs/shared/20260101-000000-000-abcdef", data, harm)
        before = sorted(run.rglob("*"))
        # All open a dataset in the same way.
        called_for = COMMANDS if number % OTHERS == 0 else ["evaluate"]
        for called in called_for:
            command, typed = COMMANDS[called]
            imports.names.clear()
            writes.paths.clear()
            began = time.process_time()
            code, line = run_command(command, typed(run))
            outcome = {"name": name, "command": called, "code": code, "line": line, "words": words}
            outcome["seconds"] = time.process_time() - began
            outcome["imported"] = [
                name for name in imports.names if name.split(".")[0] in ("runs", "shared", "payload")
            ]
            outcome["written"] = [
                path for path in writes.paths if not path.startswith(("/dev/", "/proc/", tempfile.gettempdir()))
            ]
            outcome["changed"] = [str(path) for path in sorted(set(run.rglob("*")) ^ set(before))]
            outcome["canary"] = list(map(str, folder.rglob("CANARY")))
            print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
