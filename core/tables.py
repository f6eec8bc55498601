"""A table in a terminal of any width."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 8  # columns of the terminal that text is folded into, at the least


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: Sequence[str],
    title: str | None = None,
    caption: str | None = None,
    marked: Sequence[bool] = (),
) -> None:
    """Prints a table; where the terminal is too narrow for its columns, each row as a list with a line a value.

    Args:
        headings: of the columns, the same number as values in a row.
        rows: what stands in the cells; never read as markup.
        text: the headings of columns that hold text, which may be folded; all others hold numbers, which may not.
        title: above the table.
        caption: below it.
        marked: which rows are bold.
    """
    styles = ["bold" if bold else "" for bold in marked] or [""] * len(rows)
    table = Table(title=title, caption=caption)
    for heading in headings:
        if heading in text:
            table.add_column(heading, overflow="fold", min_width=min(NARROWEST, _longest(headings, rows, heading)))
        else:
            table.add_column(heading, justify="right", no_wrap=True, min_width=_longest(headings, rows, heading))
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*map(Text, row), style=style)
    if console.measure(table, options=console.options.update(width=10_000)).minimum <= console.width:
        console.print(table)
        return
    for line in [title, *_listed(headings, rows), caption]:
        if line is not None:
            console.print(Text(line, overflow="fold"), soft_wrap=False)


def _longest(headings: Sequence[str], rows: Sequence[Sequence[str]], heading: str) -> int:
    column = headings.index(heading)
    return max(Text(cell).cell_len for cell in (heading, *(row[column] for row in rows)))


def _listed(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Each row as lines: its first value, after the values without a heading; the others below, with their headings."""
    lines = []
    for row in rows:
        marks = [value for heading, value in zip(headings, row, strict=True) if not heading and value]
        first, *others = [(heading, value) for heading, value in zip(headings, row, strict=True) if heading and value]
        lines += [" ".join([*marks, first[1]]), *(f"  {heading} {value}" for heading, value in others)]
    return lines
