"""What the commands print: tables for people, lines and JSON for programs. Knows no command.

On a terminal a list is a table with headings. In a pipe it is one line for each item, its columns
separated by tabs, without headings; with ``--json`` one JSON object on each line. Lists are written as
they come, and never kept whole.
"""

from __future__ import annotations

import datetime
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from e4.c2 import jsonform
from e4.cli._output import colours, print_json, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["details", "document", "done", "json_of", "listed", "time_of"]

T = TypeVar("T")

_FIRST = 200  # rows from which the columns get their widths
_NONE = "-"


def time_of(at: int | None) -> str:
    """A time in milliseconds since the epoch: on a terminal local, in a pipe RFC 3339; ``-`` for none."""
    if at is None:
        return _NONE
    if not sys.stdout.isatty():
        return jsonform.time_text(at)
    return datetime.datetime.fromtimestamp(at / 1000).strftime("%Y-%m-%d %H:%M:%S")


def json_of(value: Any) -> dict[str, Any]:
    """A value of `e4.c2.model` as `print_json` takes it."""
    return jsonform.to_json(value)


def listed(
    items: Iterable[T],
    columns: dict[str, Callable[[T], object]],
    as_json: bool,
    *,
    live: bool = False,
    none: str = "none",
) -> None:
    """Print a list.

    Args:
        items: values of `e4.c2.model`, or objects that JSON can hold.
        columns: heading and text of each; the text is made safe here.
        as_json: print JSON lines.
        live: print each item as it comes.
        none: what to tell a person where there is no item.
    """
    if as_json:
        for item in items:
            print_json(item if isinstance(item, dict) else json_of(item))
        return
    rows = ([shown(str(text(item))) for text in columns.values()] for item in items)
    if sys.stdout.isatty():
        _table(list(columns), rows, 1 if live else _FIRST, none)
        return
    for row in rows:
        # Escaped already, a tab among the rest: the columns stay as many as they are.
        sys.stdout.write("\t".join(row) + "\n")
        if live:
            sys.stdout.flush()


def details(facts: Sequence[tuple[str, object]]) -> None:
    """Print what is known of one thing, a fact on each line."""
    if not sys.stdout.isatty():
        for name, value in facts:
            print(f"{name}\t{shown(str(value))}")
        return
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print(f"{name:<{width}}  {shown(str(value))}")


def document(value: dict[str, Any]) -> None:
    """Print one JSON object."""
    print_json(value)


def done(text: str, as_json: bool, **members: object) -> None:
    """Print that a change was made.

    Args:
        text: for people; made safe here.
        as_json: print the members instead.
        members: what was done, to what.
    """
    if as_json:
        print_json(members)
    else:
        print(shown(text))


def _table(headings: list[str], rows: Iterator[list[str]], first: int, none: str) -> None:
    from rich.cells import cell_len

    console = _console()
    head = list(itertools.islice(rows, first))
    if not head:
        print(none)
        return
    widths = [max(cell_len(text) for text in column) for column in zip(headings, *head, strict=True)]
    console.print(_made(headings, widths, head, heading=True))
    while chunk := list(itertools.islice(rows, first)):
        console.print(_made(headings, widths, chunk, heading=False))


def _made(headings: list[str], widths: list[int], rows: list[list[str]], heading: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=heading, header_style="bold")
    for name, width in zip(headings, widths, strict=True):
        table.add_column(name, min_width=min(width, 40), overflow="fold")
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    return table


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, no_color=not colours(sys.stdout))
