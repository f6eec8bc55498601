"""Streams that somebody put in place of Python's own are left as they are."""

import io
import sys

import pytest

from convlens.core.streams import lasting_streams


@pytest.mark.parametrize("own", [io.StringIO(), io.TextIOWrapper(io.BytesIO())])
def test_a_stream_into_memory_stays_and_takes_what_is_printed(monkeypatch, own):
    monkeypatch.setattr(sys, "stdout", own)
    with lasting_streams():
        assert sys.stdout is own
        print("a line")
    assert sys.stdout is own
    own.seek(0)
    assert own.read() == "a line\n"
