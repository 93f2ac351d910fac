"""``e4 c2 import`` and ``e4 c2 export``: many clients and memberships at once, as files."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from e4.c2.model import ImportProgress
from e4.cli._errors import FAILED, Failed, Usage
from e4.cli._options import JsonFlag
from e4.cli._output import print_json, shown
from e4.cli.c2._access import Access
from e4.cli.c2._group import Entry, add, make_group
from e4.cli.c2._progress import Progress
from e4.cli.c2._show import document, json_of

if TYPE_CHECKING:
    from typing import TextIO

    from e4.c2.remote import Remote

__all__ = ["register"]

Format = Literal["csv", "jsonl"]
_FORMATS: dict[str, Format] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}
_BLOCK = 1 << 20  # bytes

_HELP = """Register many clients, or give many of them topics' keys, from a file.

A row that is refused is reported, and the others go on. To import a file again changes nothing.

\b
Examples:
  e4 c2 import clients fleet.csv
  e4 c2 import memberships members.jsonl
"""

_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV whose first line names the columns, or JSON lines; '-': standard input.")
]
_FormatOption = Annotated[
    str | None,
    typer.Option("--format", metavar="csv|jsonl", help="What FILE is.", show_default="from its name"),
]


def _clients(access: Access, file: _File, form: _FormatOption = None, as_json: JsonFlag = False) -> None:
    _import(access, file, form, as_json, lambda remote, data, form: remote.import_clients_file(data, form))


def _memberships(access: Access, file: _File, form: _FormatOption = None, as_json: JsonFlag = False) -> None:
    _import(access, file, form, as_json, lambda remote, data, form: remote.import_memberships_file(data, form))


def _import(
    access: Access,
    file: Path,
    form: str | None,
    as_json: bool,
    read: Callable[[Remote, BinaryIO, Format], Iterator[ImportProgress]],
) -> None:
    wanted = _format(file, form)
    last = ImportProgress()
    with _opened(file) as data, access.remote() as remote:
        rows = None if str(file) == "-" else _rows(data, wanted)
        with Progress(f"rows of {file}", rows) as progress:
            for last in read(remote, data, wanted):
                for row, text in last.errors:
                    _refused(row, text, as_json, progress)
                progress.update(last.done)
    if as_json:
        members = json_of(last)
        del members["errors"]  # printed as they came
        document(members)
    else:
        print(
            f"{last.done} rows: {last.created} new, {last.replaced} replaced, "
            f"{last.unchanged} unchanged, {last.refused} refused"
        )
    if last.refused:
        raise typer.Exit(FAILED)


def _refused(row: int, text: str, as_json: bool, progress: Progress) -> None:
    if as_json:
        print_json({"row": row, "error": text})
    else:
        progress.note(f"e4: row {row}: {shown(text)}")


def _format(file: Path, form: str | None) -> Format:
    found = _FORMATS.get(form or file.suffix[1:].lower())
    if found is None:
        raise Usage("--format is csv or jsonl" if form else f"what {file} is, is not clear: give --format")
    return found


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
    else:
        with file.open("rb") as data:
            yield data


def _rows(data: BinaryIO, form: Format) -> int | None:
    """How many rows a file has, if that can be told; leaves it at its start."""
    if not data.seekable():
        return None
    count = 0
    while block := data.read(_BLOCK):
        count += block.count(b"\n")
    data.seek(0)
    return max(0, count - (form == "csv"))


def _export(
    access: Access,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to a new file.", show_default="standard output")
    ] = None,
    memberships: Annotated[
        bool,
        typer.Option("--memberships", help="Only who has which topic's key, as CSV for 'import memberships'."),
    ] = False,
) -> None:
    if out is not None and out.exists():
        raise Failed(f"{out} exists already: choose another name")
    with access.remote() as remote:
        objects = remote.export()
