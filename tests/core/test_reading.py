"""A file that somebody else made is read within limits, or refused in one line."""

import os

import pytest

from convlens.core.errors import UserError
from convlens.core.reading import read_regular


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
