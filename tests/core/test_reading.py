"""A file that somebody else made is read within limits, or refused in one line."""

import os
from pathlib import Path

import pytest

from convlens.core.errors import UserError
from convlens.core.reading import read_regular, refuse_links_outside


def test_a_file_within_its_limit_is_read_whole(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, most=100, expected="a hundred bytes") == b"x" * 100


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"x" * 101), "has more than 100 bytes"),
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
    ],
    ids=["too long", "missing", "folder", "fifo", "device", "link to itself"],
)
def test_what_is_no_such_file_is_refused_by_name_with_what_was_expected(tmp_path, make, reason):
    path = tmp_path / "line\nbreak"
    make(path)
    with pytest.raises(UserError, match=r"line\\nbreak.*; expected a hundred bytes\.") as refusal:
        read_regular(path, most=100, expected="a hundred bytes")
    assert reason in str(refusal.value)


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 2**36)
    with pytest.raises(UserError, match="has more than 100 bytes"):
        read_regular(path, most=100, expected="a hundred bytes")


def test_a_file_that_is_another_size_than_it_says_is_refused():
    with pytest.raises(UserError, match="changed while it was read"):
        read_regular(Path("/proc/self/status"), most=10**6, expected="a file of a disk")


@pytest.fixture
def folder(tmp_path):
    """Folders, files, and links that stay below it."""
    inside = tmp_path / "run"
    (inside / "a/b").mkdir(parents=True)
    (inside / "a/b/c").write_text("c")
    (inside / "up").symlink_to("a/b")
    (inside / "a/b/top").symlink_to("../..")
    (inside / "whole").symlink_to(inside / "a")
    (inside / "later").symlink_to("a/not yet there")
    (tmp_path / "run-beside").mkdir()
    return inside


def test_folders_files_and_links_that_stay_below_are_no_way_out(folder, tmp_path):
    refuse_links_outside(folder)
    (tmp_path / "link").symlink_to(folder)
    refuse_links_outside(tmp_path / "link")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("out", "/etc/hostname"),
        ("out", "../run-beside"),
        ("a/b/out", "../../.."),
        ("out", "/proc/self/root"),
        ("out", "../not yet there"),
        ("out", "a/../../run-beside/x"),
    ],
)
def test_a_link_that_leads_out_is_refused_by_name(folder, name, target):
    (folder / name).symlink_to(target)
    with pytest.raises(UserError, match="out is a link to .*, outside of .*run; copy its target there"):
        refuse_links_outside(folder)


def test_what_is_neither_a_file_nor_a_folder_is_refused_by_name(folder):
    os.mkfifo(folder / "a/b/pipe")
    with pytest.raises(UserError, match="pipe is not a regular file"):
        refuse_links_outside(folder)


def test_a_folder_of_more_names_than_are_looked_at_is_refused(folder):
    refuse_links_outside(folder, most=8)
    with pytest.raises(UserError, match="holds 7 files or more"):
        refuse_links_outside(folder, most=7)
