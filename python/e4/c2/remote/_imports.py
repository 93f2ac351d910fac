"""Importing rows: any number, in requests of a bounded size, each safe to send again.

A row that is imported again changes nothing, so a part whose answer was lost is simply sent once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Literal

from e4.c2.jsonform import from_json
from e4.c2.model import ImportProgress
from e4.c2.remote._transport import Transport
from e4.errors import InvalidRequest, Unavailable

__all__ = ["Format", "import_lines"]

Format = Literal["csv", "jsonl"]

_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
_PART = 1 << 20  # bytes; about 14,000 clients


def import_lines(
    transport: Transport, path: str, lines: Iterable[bytes], format: Format
) -> Iterator[ImportProgress]:
    """Send lines in parts, and tell after each how far the whole has come.

    Args:
        lines: with their line ends; in CSV the first names the columns.

    Raises:
        InvalidRequest: the server cannot read them; parts sent before stay imported.
    """
    lines = iter(lines)
    head = next(lines, b"") if format == "csv" else b""
    headers = {"content-type": _TYPES[format]}
    total = ImportProgress()
    offset = 0
    for count, part in _parts(head, lines, format):
        with transport.stream("POST", path, content=part, headers=headers) as answer:
            reported = _last(transport.read(answer))
        total = _sum(total, reported, offset)
        offset += count
        yield total


def _parts(head: bytes, lines: Iterator[bytes], format: Format) -> Iterator[tuple[int, bytes]]:
    """Lines in parts of about a mebibyte, each after the head; a quoted line break never ends a part."""
    part, size, count, quotes = [head], 0, 0, 0
    sent = False
    for line in lines:
        part.append(line if line.endswith(b"\n") else line + b"\n")
        size += len(line)
        count += 1
        quotes += line.count(b'"') if format == "csv" else 0
        if size >= _PART and quotes % 2 == 0:
            yield count, b"".join(part)
            part, size, count, sent = [head], 0, 0, True
    if count or not sent:
        yield count, b"".join(part)


def _last(data: bytes) -> ImportProgress:
    """The last report of an answer, with the refused rows of all."""
    reports = []
    errors: list[tuple[int, str]] = []
    try:
        for line in data.splitlines():
            reports.append(from_json(ImportProgress, json.loads(line)))
            errors.extend(reports[-1].errors)
    except ValueError:
        _refuse(data)
    if not reports:
        raise Unavailable("the server's answer to an import is empty")
    last = reports[-1]
    return ImportProgress(last.done, last.created, last.replaced, last.unchanged, last.refused, tuple(errors))


def _refuse(data: bytes) -> None:
    """Raise what an answer that began well ends with: a problem, or half a line."""
    try:
        problem = json.loads(data.splitlines()[-1])
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError, IndexError):
        raise Unavailable("the connection was lost during an import") from None
    raise InvalidRequest(detail)


def _sum(total: ImportProgress, part: ImportProgress, offset: int) -> ImportProgress:
    return ImportProgress(
        total.done + part.done,
        total.created + part.created,
        total.replaced + part.replaced,
        total.unchanged + part.unchanged,
        total.refused + part.refused,
        tuple((line + offset, text) for line, text in part.errors),
    )
