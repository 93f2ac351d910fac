"""``e4 c2 import`` and ``e4 c2 export``: many clients and memberships at once, as files."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

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
    from e4.c2.remote import Remote

__all__ = ["register"]

Format = Literal["csv", "jsonl"]
_FORMATS: dict[str, Format] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}
_BLOCK = 1 << 20  # bytes

_HELP = """Register many clients, or give many of them topics' keys, from a file.

A line that is refused is reported, and the others go on. To import a file again changes nothing.

\b
Examples:
  e4 c2 import clients fleet.csv
  e4 c2 import memberships members.jsonl
"""

_File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="CSV whose first line names the columns, or JSON lines; '-': standard input."
    ),
]
_FormatOption = Annotated[
    str | None,
    typer.Option("--format", metavar="csv|jsonl", help="What FILE is.", show_default="from its name"),
]


def _clients(file: _File, form: _FormatOption = None, as_json: JsonFlag = False, *, access: Access) -> None:
    _import(access, file, form, as_json, lambda remote, data, form: remote.import_clients_file(data, form))


def _memberships(
    file: _File, form: _FormatOption = None, as_json: JsonFlag = False, *, access: Access
) -> None:
    _import(
        access, file, form, as_json, lambda remote, data, form: remote.import_memberships_file(data, form)
    )


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
                for line, text in last.errors:
                    _refused(line, text, as_json, progress)
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


def _refused(line: int, text: str, as_json: bool, progress: Progress) -> None:
    if as_json:
        print_json({"line": line, "error": text})
    else:
        progress.note(f"e4: line {line}: {shown(text)}")


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
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it to a new file.", show_default="standard output"),
    ] = None,
    memberships: Annotated[
        bool,
        typer.Option(
            "--memberships", help="Only who has which topic's key, as CSV for 'import memberships'."
        ),
    ] = False,
    *,
    access: Access,
) -> None:
    if out is not None and out.exists():
        raise Failed(f"{out} exists already: choose another name")
    with access.remote() as remote:
        objects = remote.export()
        if out is None:
            for line in _lines(objects, memberships):
                sys.stdout.write(line)
            return
        total = remote.info().clients
        count = 0
        with out.open("x", encoding="utf-8", newline="") as file, Progress("clients", total) as progress:
            for line in _lines(objects, memberships):
                file.write(line)
                count += line.startswith('{"client"')
                progress.update(count)


def _lines(objects: Iterable[dict[str, Any]], memberships: bool) -> Iterator[str]:
    """The lines of an export: everything as JSON, or the memberships as CSV."""
    if not memberships:
        for value in objects:
            yield json.dumps(value) + "\n"
        return
    yield "client,topic\r\n"
    row = io.StringIO()
    writer = csv.writer(row)
    for value in objects:
        client = value.get("client", {})
        for topic in client.get("topics", ()):
            writer.writerow([client["name"], topic])
        yield row.getvalue()
        row.seek(0)
        row.truncate()


_IMPORTS = (
    Entry(
        "clients",
        _clients,
        "Register the clients of a file.",
        "fleet.csv\nfleet.jsonl --json",
        "CSV has the columns 'name' (or 'id', in hex) and 'key'; JSON lines have these members. A key is in "
        "hex or base64: 32 bytes, in public-key mode those of the public key.",
    ),
    Entry(
        "memberships",
        _memberships,
        "Give the clients of a file the keys of its topics.",
        "members.csv\n- --format jsonl",
        "CSV has the columns 'client' and 'topic'; JSON lines have these members.",
    ),
)
_EXPORT = (
    Entry(
        "export",
        _export,
        "Write all clients with their topics and links, as JSON lines; no keys.",
        "--out fleet.jsonl\n--memberships --out members.csv",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = make_group(app, "import", "Register many clients or memberships, from a file.", _HELP)
    add(group, "e4 c2 import", _IMPORTS)
    add(app, "e4 c2", _EXPORT)
