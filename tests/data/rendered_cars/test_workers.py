import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from convlens.data.rendered_cars import workers
from convlens.data.rendered_cars.workers import encoded, render_all

# No `if __name__ == "__main__"`: such a script must work too.
SCRIPT = """
from convlens.data.rendered_cars.workers import render_all
print("started", flush=True)
for picture in render_all(["sedan", "bus"], "train", {count}, 64):
    print("picture", flush=True)
"""


def running(pattern):
    """Process ids whose command line holds the text."""
    process_ids = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if pattern.encode() in file.read():
                        process_ids.append(int(entry))
            except OSError:
                pass  # it has just ended
    return process_ids


def test_pictures_come_in_order_and_are_those_of_render(monkeypatch):
    monkeypatch.setattr(workers, "_cores", lambda: 3)
    styles = ["van", "suv"]
    pictures = list(render_all(styles, "train", 7, 48))
    assert [picture["style"] for picture in pictures] == ["van", "suv"] * 3 + ["van"]
    for index, picture in enumerate(pictures):
        assert picture["image"] == encoded(styles[index % 2], f"train/{index}", 48)["image"]


def test_a_script_without_a_main_guard_runs_once():
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(count=3)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["started"] + ["picture"] * 3


def test_a_worker_that_dies_is_reported(monkeypatch):
    monkeypatch.setattr(workers, "_cores", lambda: 1)
    with pytest.raises(RuntimeError, match="ended early"):
        list(render_all(["no such style"], "train", 2, 48))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_ctrl_c_ends_the_workers_without_a_word_from_them():
    count = 1_000_003  # a mark in the workers' command line
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(count=count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while script.stdout.readline() != "picture\n":
        assert script.poll() is None
    assert running(f"{count}, ")
    os.killpg(script.pid, signal.SIGINT)  # as a terminal does: to all of the group in front
    _, errors = script.communicate(timeout=20)
    assert errors.count("KeyboardInterrupt") == 1
    deadline = time.monotonic() + 10
    while running(f"{count}, ") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(f"{count}, ")


@pytest.fixture
def crowded(tmp_path):
    """A folder in which files are named like modules of ours and of Python's own."""
    for name in ("data", "models", "json", "io", "pickle", "convlens", "rendered_cars", "workers"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name}.py of the current folder was imported')\n")
    return tmp_path


def test_workers_start_in_any_folder_whatever_its_files_are_called(crowded):
    command = [sys.executable, "-P", "-c", SCRIPT.format(count=3)]
    done = subprocess.run(command, cwd=crowded, capture_output=True, text=True)
    assert done.stdout.split() == ["started"] + ["picture"] * 3, done.stderr


def test_a_script_of_ones_own_has_workers_beside_files_that_are_called_as_ours(tmp_path):
    for name in ("data", "models"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name}.py of the current folder was imported')\n")
    (tmp_path / "script.py").write_text(SCRIPT.format(count=3))
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["started"] + ["picture"] * 3, done.stderr


def test_the_dataset_describes_and_draws_itself(tmp_path):
    command = [sys.executable, "-m", "convlens.data.rendered_cars"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "sedan" in done.stdout and "Contact sheet" in done.stdout, done.stderr
    assert Image.open(tmp_path / "rendered_cars.png").width > 600
