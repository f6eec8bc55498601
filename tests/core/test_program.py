"""What is printed as a command can be typed as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from convlens.configs.composition import parse
from convlens.core import program

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = "import sys; from convlens.__main__ import main; main()"


def name_and_advice(words, folder, **environment):
    """The match of a message without a run: ("convlens evaluate", the command that trains one)."""
    done = subprocess.run(words, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    return re.fullmatch(r"(.*): There is no trained run in runs\. Train one with: (.*) experiment=cars\n", done.stderr)


@pytest.fixture
def elsewhere(tmp_path):
    """A working folder, and a way to the scripts through a folder whose name has a space."""
    (tmp_path / "work").mkdir()
    (tmp_path / "the clone").symlink_to(ROOT)
    return tmp_path / "work"


@pytest.mark.parametrize("typed", ["{root}/evaluate.py", "../the clone/evaluate.py", "./evaluate.py", "evaluate.py"])
def test_a_script_tells_of_scripts_where_it_lies_itself(typed, elsewhere):
    if "clone" not in typed and "root" not in typed:
        for name in ("train.py", "evaluate.py"):
            (elsewhere / name).symlink_to(ROOT / name)
    typed = typed.format(root=ROOT)
    name, train = name_and_advice([sys.executable, typed], elsewhere).groups()
    assert name == "evaluate.py"
    assert shlex.split(train)[1] == typed.replace("evaluate", "train")
    assert subprocess.run(f"{train} --help", shell=True, cwd=elsewhere, stdout=subprocess.DEVNULL).returncode == 0


def test_a_module_tells_of_the_module(elsewhere):
    name, train = name_and_advice([sys.executable, "-m", "convlens", "evaluate"], elsewhere).groups()
    assert name == "convlens evaluate"
    assert shlex.split(train)[1:] == ["-m", "convlens", "train"]
    assert subprocess.run(f"{train} --help", shell=True, cwd=elsewhere, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("on_path", [True, False])
def test_the_command_tells_of_itself_by_its_name_where_the_shell_finds_it(elsewhere, on_path):
    folder = elsewhere / "my bin"
    folder.mkdir()
    script = folder / "convlens"
    script.write_text(f"#!{sys.executable}\n{CONSOLE}\n")
    script.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}" if on_path else os.environ["PATH"]
    name, train = name_and_advice([script, "evaluate"], elsewhere, PATH=path).groups()
    assert name == "convlens evaluate"
    assert shlex.split(train) == ["convlens" if on_path else str(script), "train"]


def test_code_of_ones_own_is_told_of_the_command(elsewhere):
    code = (
        "from convlens import Run, UserError\ntry: Run.newest('runs')\n"
        "except UserError as error: sys.exit(f'mine: {error}') if error else 0\n"
    )
    done = subprocess.run([sys.executable, "-c", f"import sys\n{code}"], cwd=elsewhere, capture_output=True, text=True)
    assert "Train one with: convlens train experiment=cars" in done.stderr


@pytest.mark.parametrize("words", [["-m", "convlens", "train"], [str(ROOT / "train.py")], ["-c", CONSOLE, "train"]])
def test_a_sweep_starts_its_jobs_in_whatever_form_it_was_started(words, elsewhere):
    (elsewhere / "convlens").mkdir()  # as a user's own folder may be named
    (elsewhere / "convlens" / "__init__.py").touch()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", *words, "-m", "seed=0,1", "data=folder", "data.root=absent"]
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    name = "train.py" if "train.py" in words[0] else "convlens train"
    assert done.stderr == f"{name}: data.root=absent does not exist.\n" * 2
    assert "Job 2 of 2: seed=1" in done.stdout


def test_a_script_of_another_clone_than_the_one_installed_is_refused(elsewhere):
    (elsewhere / "core").mkdir()
    for name in ("train.py", "core/program.py"):
        (elsewhere / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "train.py", "experiment=cars"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"train.py belongs to another copy of convlens than the one that is installed, {ROOT};" in done.stderr


NAMES = [
    "runs/cars/latest",
    "my runs",
    "a,b",
    "it's",
    "[x]",
    "josé",
    "a=b",
    "a\\b",
    "ends in \\",
    "a\\'b",
    " a ",
    "a{b}",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_in_a_printed_command_comes_back_as_it_was(name):
    words = shlex.split(program.command_line("train", resume=name))
    assert words[:2] == ["convlens", "train"]
    assert parse(words[2:])[0].value() == name


def test_another_packages_program_is_a_module_where_the_shell_does_not_find_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    words = shlex.split(program.tool_line("tensorboard", "tensorboard.main", "--logdir", "my runs"))
    assert words[1:] == ["-m", "tensorboard.main", "--logdir", "my runs"]


def test_a_path_that_is_not_utf8_is_printed_so_that_a_shell_reads_its_bytes(tmp_path):
    path = os.fsdecode(b"caf\xe9's")
    typed = program.word("run", path)
    done = subprocess.run(["bash", "-c", f"printf %s {typed}"], capture_output=True)
    (override,) = parse([os.fsdecode(done.stdout)])
    assert override.value() == path and typed.isascii()
