"""Every command of the documents runs, on small things in place of a person's own, or says here why it does not."""

import ast
import json
import os
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from convlens.configs import Evaluate, Train, Visualize
from convlens.configs.composition import compose
from convlens.core.errors import UserError
from tests.commands import documents, stand_ins

ROOT = documents.ROOT
SCHEMAS = {"train": Train, "evaluate": Evaluate, "visualize": Visualize}

# A command that stands in a document and is not run, and why. A row that no document needs any more is to go.
NETWORK = "network"
TESTS = "minutes: .ci/run runs all tests"
MINUTES = "minutes: tests/benchmarks runs it with --quick"
NOT_RUN = {
    "pip install -e .": NETWORK,
    "pip install -e '.[dev]'": "network: .ci/run installs so",
    "pip install -e '.[gpu]'": "network, and a GPU",
    "pip install -e '.[jax]'": NETWORK,
    "pip install -e '.[bench]'": NETWORK,
    "pip install -e '.[dev]' && pytest -m 'not slow'": NETWORK,
    "pip install pre-commit && pre-commit install": NETWORK,
    "python -m sphinx --fail-on-warning -c docs . build/site": "tests/test_site.py builds it",
    "ruff format .": "changes files: .ci/run checks the format",
    "ruff check .": ".ci/run runs it",
    ".ci/types": ".ci/run runs it",
    "pip install pip-audit && pip-audit": NETWORK,
    "pytest": TESTS,
    "pytest -m 'not slow'": TESTS,
    "pytest -m fast tests/data": TESTS,
    "pytest -n auto --dist loadfile -m 'not slow'": TESTS,
    "pytest -n auto --dist loadfile -m slow": TESTS,
    "pytest tests/interpret tests/visualization tests/gallery tests/test_rooms.py": TESTS,
    "pytest tests/data tests/configs tests/test_rooms.py tests/training/test_opening_data.py": TESTS,
    "pytest tests/models tests/configs tests/faults/test_honest_models.py": TESTS,
    "pytest tests/data/test_augment.py tests/configs": TESTS,
    "pytest tests/training tests/configs": TESTS,
    "pytest -m slow tests/faults/test_exact_resume.py": TESTS,
    "tensorboard --logdir runs": "a server, which does not end",
    "tensorboard --logdir FOLDER": "a server, which does not end",
    "python -m benchmarks.training": MINUTES,
    "python -m benchmarks.training --net vgg --side 32 --batch 32 64 128": MINUTES,
    "python -m benchmarks.training --net resnet --side 32": MINUTES,
    "python -m benchmarks.training --net vgg --side 224 --batch 16": MINUTES,
    "KERAS_BACKEND=jax python -m benchmarks.training --net resnet vgg --side 224 --batch 128 --steps 20 "
    "--precision mixed_bfloat16 --peers compile": "a GPU",
    "KERAS_BACKEND=jax python -m benchmarks.speedrun --seeds 10": "a GPU, network",
    "KERAS_BACKEND=jax python -m benchmarks.speedrun --seeds 10 data=folder data.root=PHOTOS": "a GPU",
    "python -m benchmarks.input --turns 3": MINUTES,
    "python -m benchmarks.features": MINUTES,
    "python -m benchmarks.startup": MINUTES,
    "python -m benchmarks.figures": MINUTES,
    "python -m benchmarks.scale": MINUTES,
    "python -m benchmarks.safety": "minutes",
    "python -m benchmarks.small_data PHOTOS": "hours: tests/benchmarks runs a cell of it",
}

# Words before and after those that are typed, by script, so that it takes seconds: where a key comes twice, the later
# word counts.
FEW_STEPS = ["training.epochs=1", "training.limit_batches=1", "training.batch_size=8", "data.image_size=32"]
FEW_STEPS += ["training.tensorboard.enabled=false", "training.snapshots=0"]
SMALLER = {
    "train": ([], FEW_STEPS),
    "init_from": ([], [*FEW_STEPS, *stand_ins.TINY_NETWORK]),
    "evaluate": ([], []),
    "visualize": (["image=0", "images=8", "max_units=3"], []),
    "resume": ([], [f"data.root={stand_ins.SAVED_RUNS / 'pictures'}"]),
}
# Words that another one asks for, where a document speaks of one alone.
COMPANIONS = {
    "data=folder": "data.root=PHOTOS",
    "experiment=folder": "data.root=PHOTOS",
    "data=tfds": "data.name=beans",
    "kernel_name=ramp": "kernel=edge",
}

COMMANDS: dict[str, list[documents.Passage]] = {}
for _passage in documents.commands():
    COMMANDS.setdefault(_passage.text, []).append(_passage)
RUN = [command for command in COMMANDS if command not in NOT_RUN]


class Workplace:
    """Runs commands as a shell would, two at a time, each in a folder of its own that is laid out for it."""

    def __init__(self, folder: Path, cars: Path):
        self.folder, self.templates, self.jobs = folder, folder / "templates", {}
        self.pool = ThreadPoolExecutor(2)
        for name in ("data", "bin", "templates", "matplotlib"):
            (folder / name).mkdir()
        stand_ins.write_datasets(folder / "data", cars)
        self._write_programs()
        self.environment = os.environ | {
            "PATH": str(folder / "bin"),
            "REAL_PATH": os.environ["PATH"],
            "REAL_PYTHON": sys.executable,
            "TYPED_PYTHON": str(folder / "bin" / "python"),
            "FORK_SERVER": str(folder / "socket"),
            "TFDS_DATA_DIR": str(folder / "data"),
            "MPLCONFIGDIR": str(folder / "matplotlib"),
            "MORE_WORDS": json.dumps(SMALLER),
        }
        command = [sys.executable, str(ROOT / "tests/commands/fork_server.py"), self.environment["FORK_SERVER"]]
        environment = self.environment | {"PATH": os.environ["PATH"]}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.server = subprocess.Popen(command, env=environment, text=True, **pipes)
        assert self.server.stdout.readline() == "ready\n"
        self._write_templates()

    def _write_programs(self) -> None:
        """The only programs that a document's command may start: any other one must stand in the table."""
        programs = self.folder / "bin"
        typed = f"{sys.executable} -S -E {ROOT / 'tests/commands/typed_python.py'}"
        for name, start in (("python", typed), ("convlens", f"{typed} -m convlens")):
            (programs / name).write_text(f'#!/bin/sh\nexec {start} "$@"\n')
            (programs / name).chmod(0o755)
        (programs / "rm").symlink_to(shutil.which("rm"))

    def _write_templates(self) -> None:
        (self.templates / "train.py").symlink_to(ROOT / "train.py")
        stand_ins.write_files(self.templates)
        for seed in (1, 0):
            words = ["experiment=cars", f"seed={seed}", *stand_ins.TINY_RUN]
            done = self.run(["python", "train.py", *words], self.templates, MORE_WORDS="{}")
            assert done.returncode == 0, done.stderr
        (self.templates / "train.py").unlink()
        stand_ins.name_runs(self.templates)

    def run(self, words: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
        environment = self.environment | {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")} | environment
        program = shutil.which(words[0], path=self.environment["PATH"]) or words[0]
        return subprocess.run(
            [program, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
        )

    def begin(self, commands: list[str]) -> None:
        """Have commands run, each once however often it is asked for."""
        for command in commands:
            if command not in self.jobs:
                self.jobs[command] = self.pool.submit(self._run_alone, command, self.folder / str(len(self.jobs)))

    def _run_alone(self, command: str, folder: Path) -> tuple[subprocess.CompletedProcess, Path, set[Path]]:
        stand_ins.lay_out(folder, self.templates, command)
        before = stand_ins.files_below(folder)
        done = self.run([shutil.which("bash"), "-c", command], folder)
        return done, folder, stand_ins.files_below(folder) - before

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.server.communicate()  # closes its input


@pytest.fixture(scope="module")
def workplace(request, cars_dir, tmp_path_factory):
    """Where commands run; what the chosen tests want to run is begun at once."""
    chosen = [item for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    workplace = Workplace(tmp_path_factory.mktemp("commands"), cars_dir)
    workplace.begin([item.callspec.params["command"] for item in chosen if "workplace" in item.fixturenames])
    yield workplace
    workplace.close()


def outcome(workplace, command):
    workplace.begin([command])
    return workplace.jobs[command].result()


@pytest.mark.parametrize("command", RUN)
def test_a_command_does_what_it_promises(workplace, command):
    done, folder, files = outcome(workplace, command)
    where = ", ".join(f"{passage.file}:{passage.line}" for passage in COMMANDS[command])
    assert done.returncode == 0, f"{where}: {command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert not missing(command, done.stdout, files), f"{where}: {command}"


def missing(command: str, printed: str, files: set[Path]) -> set[str]:
    """What a command should have written, and has not."""
    names = {path.name for path in files}
    script = re.search(r"(?:python|convlens) (train|evaluate|visualize)", command)
    if not script or "--help" in command:
        return set() if printed or command.startswith("rm ") else {"anything printed"}
    if script[1] == "visualize":
        pictures = {path.stem for path in files if path.suffix == ".png" and path.stem != "sprite"}  # of the projector
        wanted = {f"{stem}{suffix}" for stem in pictures for suffix in (".svg", ".npz")} | {"index.html"}
        return wanted - names if pictures else {"a picture"}
    wanted = {"train": {"model.keras", "evaluation.json"}, "evaluate": {"confusion_matrix_test.png"}}
    return wanted[script[1]] - names


@pytest.mark.parametrize("command", NOT_RUN)
def test_a_row_of_what_is_not_run_is_needed(command):
    assert command in COMMANDS, "no document has this command any more; take it out of NOT_RUN"


@pytest.mark.parametrize("command", [f"{row} --help" for row in NOT_RUN if "python -m benchmarks." in row])
def test_a_benchmark_that_is_not_run_has_the_options_that_it_is_given(workplace, command):
    done, _, _ = outcome(workplace, command)
    assert done.returncode == 0, done.stderr


def test_what_is_installed_and_tested_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for command in NOT_RUN for extra in re.findall(r"'\.\[(\w+)\]'", command)}
    assert named <= extras.keys()
    files = {path for command in NOT_RUN for path in re.findall(r"\btests/\S+", command)}
    assert all((ROOT / path).exists() for path in files)


def test_ci_runs_the_tests_with_the_commands_that_are_documented():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    for command in (row for row in NOT_RUN if row.startswith("pytest -n ")):
        assert any(line.startswith(command) for line in lines), command


def test_no_shell_takes_a_word_for_a_pattern():
    for passage in (*documents.commands(), *documents.words()):
        pattern = documents.unquoted_patterns(passage.text)
        assert not pattern, f"{passage}\nquote the word that holds {pattern}"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_hands_on_every_word_as_it_stands(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    lines = sorted({passage.text for passage in (*documents.commands(), *documents.words())})
    lines = [line for line in lines if "&&" not in line]
    script = "".join(f"printf '%s\\0' {line}; printf '\\1'\n" for line in lines)
    (tmp_path / "a").touch()  # a pattern that fits it would become it
    home = os.environ | {"HOME": "~"}  # which a shell then puts in place of ~
    done = subprocess.run([shell, "-c", script], cwd=tmp_path, env=home, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for line, words in zip(lines, done.stdout.split("\1"), strict=False):
        assert words.split("\0")[:-1] == shlex.split(line), line


def literals(path):
    """The text between quotes in a module, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]


def test_the_program_tells_nobody_to_type_what_a_shell_takes_for_a_pattern():
    not_to_be_typed = ("hydra.searchpath=",)
    for path in (path for path in ROOT.rglob("*.py") if not {"tests", "benchmarks"} & set(path.parts)):
        for text in filter(lambda value: isinstance(value, str), literals(path)):
            match = re.search(r"(?<!['\w.])[a-z_.]+=[\[{].*", text)
            assert not match or match[0].startswith(not_to_be_typed), f"{path}: {text}"


def test_whatever_a_document_names_exists():
    for path in (*documents.MARKDOWN, ROOT / "CHANGELOG.md"):
        text = path.read_text(encoding="utf-8")
        linked = {path.parent / link for link in re.findall(r"\]\(([^):#]+)(?:#[\w-]+)?\)", text)}
        named = {ROOT / file for file in re.findall(r"`([\w/.]+/\w+\.(?:py|md|yaml)|\w+\.py)`", text)}
        assert [str(file) for file in linked | named if not file.exists()] == [], path
        for name in re.findall(r"`(convlens\.[\w.]+)`", text):
            assert pydoc.locate(name), f"{path}: there is no {name}"


def test_a_module_that_code_names_by_its_path_exists():
    packages = [folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()]
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            named = re.findall(rf"\b(?:{'|'.join(packages)})/[\w/]+\.py\b", path.read_text(encoding="utf-8"))
            assert [name for name in named if not (ROOT / name).exists()] == [], path


def test_no_command_stands_in_a_block_of_output():
    assert [str(passage) for passage in documents.commands_in_output()] == []


def test_words_that_stand_alone_are_understood():
    for text, passage in {passage.text: passage for passage in documents.words()}.items():
        listed = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, text=True, check=True)
        words = [word + "null" if word.endswith("=") else word for word in listed.stdout.split("\0")[:-1]]
        words += [COMPANIONS[word] for word in words if word in COMPANIONS]
        refusals = {script: refusal(script, words) for script in SCHEMAS}
        assert "" in refusals.values(), f"{passage}: {refusals}"


def refusal(script: str, words: list[str]) -> str:
    """Why a script does not take the words; empty where it does. A key without a value has only to exist."""
    try:
        compose(script, SCHEMAS[script], words)
    except UserError as error:
        only_named = all(word.endswith("=null") for word in words) and "Unknown key" not in str(error)
        return "" if only_named else str(error)
    return ""


@pytest.mark.parametrize("command", [f"python tests/commands/blocks.py {file}" for file in documents.python_blocks()])
def test_the_python_of_a_document_runs(workplace, command):
    done, _, _ = outcome(workplace, command)
    assert done.returncode == 0, done.stderr


def test_a_document_is_read_line_by_line():
    text = "Type `python a.py\nx=1` or `a=[1,2]`.\n\n```bash\n# no command\npython b.py \\\n  'y=#2'  # why\n```\n"
    text += "\n```text\nruns/\n```\n"
    read = documents.document(text, "a.md")
    assert [*documents.block_commands(read)] == [documents.Passage("python b.py 'y=#2'", "a.md", 6)]
    assert [*documents.spans(read, documents.COMMAND.match)] == [documents.Passage("python a.py x=1", "a.md", 1)]
    (words,) = documents.spans(read, documents.WORDS.fullmatch)
    assert words == documents.Passage("a=[1,2]", "a.md", 2) and documents.unquoted_patterns(words.text) == "["
    assert not documents.unquoted_patterns("""python c.py 'a=[1]' b="{2}" \\*""")
    with pytest.raises(ValueError, match="a.md:2: a block must say what it holds"):
        documents.document("\n```\npython a.py\n```\n", "a.md")
