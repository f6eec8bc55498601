"""Streams that somebody put in place of Python's own are left as they are."""

import io
import os
import subprocess
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


@pytest.mark.parametrize(
    ("columns", "lines"), [("0", 2), ("00", 2), ("-1", 2), ("²", 2), ("", 2), ("abc", 2), ("30", 3)]
)
def test_into_a_window_of_no_columns_everything_is_printed(columns, lines):
    code = (
        "from convlens.core.streams import keep_streams; keep_streams()\n"
        "from rich.console import Console; Console().print('first second third fourth fifth\\nlast')"
    )
    environment = os.environ | {"COLUMNS": columns}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == lines
