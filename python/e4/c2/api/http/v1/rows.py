"""The rows of an import, from bytes as they come: CSV or JSON lines, in constant memory.

A line that cannot be read is given as its number and the error, and the next one is read. Lines count from 1,
also the first of a CSV, which names the columns.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator

from e4.c2.api.http.v1.encodings import hex_id, key_bytes
from e4.errors import E4Error, InvalidRequest

__all__ = ["CSV", "JSON_LINES", "client_rows", "membership_rows"]

CSV = "text/csv"
JSON_LINES = "application/x-ndjson"

_LINE_MAX = 1 << 20  # characters; a topic's 65535 bytes can be six times as many in JSON

_Fields = tuple[int, tuple[str, ...]] | tuple[int, E4Error]


def client_rows(
    chunks: Iterable[bytes], media_type: str
) -> Iterator[tuple[int, str | bytes, bytes] | tuple[int, E4Error]]:
    """Rows with ``name``, or ``id`` in hex, and ``key`` in base64 or hex.

    Raises:
        InvalidRequest: a CSV whose first line does not name these columns, or an endless line.
    """
    for row in _rows(chunks, media_type, ("name", "id", "key")):
        number, fields = row
        if isinstance(fields, E4Error):
            yield number, fields
            continue
        name, id, key = fields
        try:
            yield number, name or hex_id(id), key_bytes(key)
        except E4Error as error:
            yield number, error


def membership_rows(
    chunks: Iterable[bytes], media_type: str
) -> Iterator[tuple[int, str, str] | tuple[int, E4Error]]:
    """Rows with ``client``, by name, and ``topic``. Raises as `client_rows` does."""
    for row in _rows(chunks, media_type, ("client", "topic")):
        number, fields = row
        if isinstance(fields, E4Error):
            yield number, fields
        else:
            yield number, *fields  # type: ignore[misc]  # as many as there are columns


def _rows(chunks: Iterable[bytes], media_type: str, columns: tuple[str, ...]) -> Iterator[_Fields]:
    lines = _lines(chunks)
    return _csv_rows(lines, columns) if media_type == CSV else _json_rows(lines, columns)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines with their ends. What is not UTF-8 becomes surrogates, which no name may hold."""
    rest = b""
    for chunk in chunks:
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield from (line + "\n" for line in whole.decode(errors="surrogateescape").split("\n"))
        if len(rest) > _LINE_MAX:
            raise InvalidRequest("a line is longer than 1 MiB")
    if rest:
        yield rest.decode(errors="surrogateescape")


def _csv_rows(lines: Iterator[str], columns: tuple[str, ...]) -> Iterator[_Fields]:
    reader = csv.reader(lines, strict=True)
    try:
        named = [name.strip().lower() for name in next(reader, [])]
    except csv.Error:
        named = []
    if named:
        named[0] = named[0].removeprefix("\ufeff")  # some programs begin a file so
    missing = [name for name in columns if name not in named]
    if missing and missing not in (["name"], ["id"]):
        wanted = " and ".join(columns[-2:]) + (" (or name instead of id)" if len(columns) > 2 else "")
        raise InvalidRequest(f"the first line must name the columns {wanted}")
    width = len(named)
    places = [named.index(name) if name in named else width for name in columns]
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error:
            yield number, InvalidRequest("not valid CSV")
            continue
        if fields is None:
            return
        if len(fields) == width:
            fields.append("")  # for the column that is not there
            yield number, tuple([fields[place] for place in places])
        elif fields:
            yield number, InvalidRequest(f"{len(fields)} columns instead of {width}")


def _json_rows(lines: Iterator[str], columns: tuple[str, ...]) -> Iterator[_Fields]:
    for number, line in enumerate(lines, start=1):
        try:
            data = json.loads(line)
            fields = tuple([data.get(name, "") for name in columns])
        except (ValueError, AttributeError, RecursionError):
            if not line.isspace():
                yield number, InvalidRequest("not a JSON object")
            continue
        if all(type(field) is str for field in fields):
            yield number, fields
        else:
            yield number, InvalidRequest(f"{', '.join(columns)} must be strings")
