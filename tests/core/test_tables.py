"""Tables are readable in a terminal of any width."""

import io

import pytest
from rich.console import Console

from convlens.core.tables import print_table

ROWS = [["an uncommonly long class", "0.9375", "1,234"], ["[red]", "1.0000", "7"]]


def printed(width, rows=ROWS):
    console = Console(width=width, file=io.StringIO())
    print_table(console, ["class", "precision", "images"], rows, text=["class"], title="2 classes")
    return console.file.getvalue()


@pytest.mark.parametrize("width", [1, 5, 20, 30, 36, 40, 60, 200])
def test_nothing_is_left_out_however_narrow_the_terminal_is(width):
    shown = printed(width)
    together = "".join(shown.split())
    assert "…" not in shown and "[red]" in together
    if width >= 20:
        assert all(word in shown for word in ("0.9375", "1.0000", "1,234", "precision", "images"))
        assert max(map(len, shown.splitlines())) <= width


def test_a_table_has_lines_where_there_is_room_and_is_a_list_where_there_is_none():
    assert "│ an uncommonly long class │" in printed(60)
    assert "[red]\n  precision 1.0000\n  images 7\n" in printed(20)
