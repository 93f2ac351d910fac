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
from typing import Any, TypeVar

from e4.c2 import jsonform
from e4.cli._output import colours, painted, print_json, shown

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
    """Lines under headings. One that is longer than the terminal is wide goes on below, and is never cut."""
    from rich.cells import cell_len

    head = list(itertools.islice(rows, first))
    if not head:
        print(none)
        return
    # The last column needs no padding, and the columns of later rows start where those of the first do.
    widths = [max(map(cell_len, column)) for column in zip(headings, *head, strict=True)]
    widths[-1] = 0

    def line(texts: list[str]) -> str:
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(texts, widths, strict=True))
        return "  ".join(padded)

    heading = line(headings)
    print(painted(heading, "bold") if colours(sys.stdout) else heading)
    for row in itertools.chain(head, rows):
        print(line(row))
