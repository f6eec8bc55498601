"""A file, a folder or a link is whole or absent, whatever happens while it is written."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from convlens.core.errors import UserError
from convlens.core.files import atomic_folder, atomic_symlink, atomic_write, outside_reason, unfinished_writes


def test_text_bytes_and_writers_arrive_as_given(tmp_path):
    atomic_write(tmp_path / "a.txt", "häuser\n")
    atomic_write(tmp_path / "b.bin", b"\0\1")
    atomic_write(tmp_path / "c.keras", lambda path: path.write_text(path.suffix))

    assert (tmp_path / "a.txt").read_text("utf-8") == "häuser\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\0\1"
    assert (tmp_path / "c.keras").read_text() == ".keras"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin", "c.keras"]


def test_a_writer_that_fails_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "model.keras"
    target.write_text("old")

    def fail(path):
        path.write_text("half of the n")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        atomic_write(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_with_the_missing_space_and_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "model.keras"
    target.write_text("old")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))

    def fill(path):
        path.write_text("half of the n")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"about 2\.5 MB are missing"):
        atomic_write(target, fill, size=3_500_000)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_process_killed_while_writing_leaves_the_old_or_the_new_file(tmp_path):
    target = tmp_path / "metrics.csv"
    whole = {b"a" * 1_000_000, b"b" * 1_000_000}
    writer = (
        "import itertools, sys; from pathlib import Path; from convlens.core.files import atomic_write\n"
        "for letter in itertools.cycle([b'a', b'b']):\n"
        "    atomic_write(Path(sys.argv[1]), letter * 1_000_000)\n"
    )
    survived = 0
    for attempt in range(5):
        process = subprocess.Popen([sys.executable, "-c", writer, str(target)])
        while not target.exists():
            time.sleep(0.01)
        time.sleep(0.03 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        survived += target.read_bytes() in whole
    assert survived == 5


def test_a_folder_appears_with_everything_in_it(tmp_path):
    def fill(folder):
        (folder / "inner").mkdir()
        (folder / "inner/a.txt").write_text("a")
        assert not (tmp_path / "made").exists()

    atomic_folder(tmp_path / "made", fill)
    assert (tmp_path / "made/inner/a.txt").read_text() == "a"
    assert list(tmp_path.iterdir()) == [tmp_path / "made"]


def test_a_folder_that_cannot_be_filled_leaves_nothing_and_tells_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))

    def fill(folder):
        (folder / "a.txt").write_text("half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"made was not written: about 2\.5 MB are missing"):
        atomic_folder(tmp_path / "made", fill, size=3_500_000)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_not_replaced(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made/old.txt").touch()
    with pytest.raises(OSError, match="not empty"):
        atomic_folder(tmp_path / "made", lambda folder: (folder / "new.txt").touch())
    assert list(tmp_path.rglob("*")) == [tmp_path / "made", tmp_path / "made/old.txt"]


@pytest.mark.parametrize("name", ["metrics.csv", "x" * 251 + ".png"])  # the longest name that a file may have
def test_what_a_killed_process_left_beside_a_file_is_found(tmp_path, name):
    def write(path):
        path.write_text("half of")
        (beside,) = unfinished_writes(tmp_path / name)
        assert beside == path and path.suffix == (tmp_path / name).suffix

    atomic_write(tmp_path / name, write)
    assert unfinished_writes(tmp_path / name) == []
    assert (tmp_path / name).read_text() == "half of"


def test_a_link_moves_on_in_one_step(tmp_path):
    atomic_symlink(tmp_path / "latest", "one")
    atomic_symlink(tmp_path / "latest", "two")
    assert os.readlink(tmp_path / "latest") == "two"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_that_cannot_take_its_place_leaves_nothing(tmp_path):
    (tmp_path / "latest").mkdir()
    with pytest.raises(UserError, match="latest cannot be written: Is a directory; move away what is there"):
        atomic_symlink(tmp_path / "latest", "one")
    assert list(tmp_path.iterdir()) == [tmp_path / "latest"]


def test_a_limit_of_the_size_of_files_is_told_and_keeps_the_old_file(tmp_path):
    path, previous = tmp_path / "model.keras", resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_bytes(b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, previous[1]))
    try:
        with pytest.raises(
            UserError, match=r"than the limit for one file, 1\.0 kB \(ulimit -f\); it takes about 5\.0 kB"
        ):
            atomic_write(path, b"\0" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_though_closing_the_file_fails_in_another_way(tmp_path):
    def write(path):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise ValueError("Can't close the ZIP file while there is an open writing handle on it")

    with pytest.raises(UserError, match=r"disk is full, .*model.keras was not written"):
        atomic_write(tmp_path / "model.keras", write, size=100)


def test_an_error_that_no_disk_is_the_reason_of_stays_what_it_is(tmp_path):
    def write(path):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        atomic_write(tmp_path / "model.keras", write, size=100)


def test_what_a_disk_refuses_is_one_line_with_the_name_that_the_file_was_to_have():
    refused = OSError(errno.EROFS, "Read-only file system", "runs/a/.0a1b2c3d.evaluation.json")
    assert outside_reason(refused) == "runs/a/evaluation.json: Read-only file system."
    assert outside_reason(OSError(errno.EIO, "Input/output error")) == "Input/output error."
    assert outside_reason(FileNotFoundError(errno.ENOENT, "No such file or directory", "a bug")) == ""
