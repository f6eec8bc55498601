"""Locks end with their process; where there are none, nothing is written."""

import os
import subprocess
import sys

import pytest

from convlens.core.errors import UserError
from convlens.core.locks import lock

WITHOUT = "import sys; sys.modules['fcntl'] = None\n"  # as on Windows


def test_one_process_may_hold_a_lock_or_many_may_share_it(tmp_path):
    files = [os.open(tmp_path, os.O_RDONLY) for _ in range(3)]
    lock(files[0])
    with pytest.raises(BlockingIOError):
        lock(files[1])
    lock(files[0], shared=True)
    lock(files[1], shared=True)
    with pytest.raises(BlockingIOError):
        lock(files[2])
    for file in files:
        os.close(file)
    again = os.open(tmp_path, os.O_RDONLY)
    lock(again)
    os.close(again)


@pytest.mark.parametrize("words", [["train", "experiment=cars"], ["evaluate"], ["visualize", "kernel=edge"]])
def test_a_command_says_in_one_line_that_the_system_has_no_locks(words, tmp_path):
    code = f"{WITHOUT}sys.argv[1:] = {words}\nfrom convlens.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs Linux or macOS" in done.stderr and "WSL" in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_importing_works_where_the_system_has_no_locks():
    code = (
        f"{WITHOUT}import convlens, convlens.data.cache.pixel_file; convlens.Run, convlens.train, convlens.read_model"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_is_not_trained_in_where_it_cannot_be_locked(tmp_path, monkeypatch):
    from convlens.configs import Train
    from convlens.training import Run

    run = Run.create(tmp_path, "cars", Train())
    monkeypatch.setattr("convlens.core.locks.fcntl", None)
    with pytest.raises(UserError, match="needs Linux or macOS"), run.locked():
        pass
