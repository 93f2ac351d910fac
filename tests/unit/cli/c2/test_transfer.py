"""``e4 c2 import`` and ``e4 c2 export``."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import MagicMock

import pytest

from e4.c2.model import ImportProgress
from tests.unit.cli.c2._fleet import Asked

GOOD = [ImportProgress(1000, 1000), ImportProgress(1500, 1400, 60, 40)]
BAD = [
    ImportProgress(2, 1, refused=1, errors=((2, "key is \x1b not valid"),)),
    ImportProgress(3, 2, refused=1),
]


def reports(given: list[bytes], progress: list[ImportProgress]) -> Any:
    def read(data: BinaryIO, form: str) -> Iterator[ImportProgress]:
        given.append(form.encode() + b":" + data.read())
        yield from progress

    return read


@pytest.mark.parametrize("what", ["clients", "memberships"])
@pytest.mark.parametrize(
    ("name", "words", "form"),
    [
        ("f.csv", [], "csv"),
        ("f.CSV", [], "csv"),
        ("f.jsonl", [], "jsonl"),
        ("f.json", [], "jsonl"),
        ("f.txt", ["--format", "csv"], "csv"),
        ("-", ["--format", "jsonl"], "jsonl"),
    ],
)
def test_import(
    ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch, what: str, name: str, words: list[str],
    form: str,
) -> None:  # fmt: skip
    given: list[bytes] = []
    getattr(remote, f"import_{what}_file").side_effect = reports(given, GOOD)
    if name == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    else:
        Path(name).write_bytes(b"a\nb\n")
    out = ask.ok("import", what, name, *words)
    assert out == "1500 rows: 1400 new, 60 replaced, 40 unchanged, 0 refused\n"
    assert given == [form.encode() + b":a\nb\n"]


def test_rows_that_are_refused(ask: Asked, remote: MagicMock) -> None:
    Path("f.csv").write_text("name,key\n")
    remote.import_clients_file.side_effect = reports([], BAD)
    result = ask("import", "clients", "f.csv")
    assert (result.code, result.err) == (1, "e4: line 2: key is \\x1b not valid\n")
    assert result.out == "3 rows: 2 new, 0 replaced, 0 unchanged, 1 refused\n"
    result = ask("import", "clients", "f.csv", "--json")
    assert (result.code, result.err) == (1, "")
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {"line": 2, "error": "key is \x1b not valid"},
        {"done": 3, "created": 2, "replaced": 0, "unchanged": 0, "refused": 1},
    ]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("f.txt", 2, "what f.txt is, is not clear: give --format"),
        ("-", 2, "what - is, is not clear: give --format"),
        ("f.csv --format xml", 2, "--format is csv or jsonl"),
        ("none.csv", 1, "none.csv: No such file"),
    ],
)
def test_what_is_no_import(ask: Asked, remote: MagicMock, words: str, code: int, text: str) -> None:
    ask("import", "clients", *words.split()).refused(code, text)
    assert remote.method_calls == []


OBJECTS = [
    {"topic": {"name": "room", "version": 1}},
    {"client": {"name": "alice", "id": "00", "topics": ["room", 'a "b", c'], "links": ["bob"]}},
    {"client": {"name": "bob\x1b", "id": "01", "topics": [], "links": []}},
]


def test_export(ask: Asked, remote: MagicMock) -> None:
    remote.export.side_effect = lambda: iter(OBJECTS)
    out = ask.ok("export")
    assert [json.loads(line) for line in out.splitlines()] == OBJECTS
    assert out.isascii()
    assert ask.ok("export", "--out", "all.jsonl") == ""
    assert Path("all.jsonl").read_text() == out
    ask("export", "--out", "all.jsonl").refused(1, "all.jsonl exists already")


def test_memberships_are_exported_as_they_are_imported(ask: Asked, remote: MagicMock) -> None:
    remote.export.side_effect = lambda: iter(OBJECTS)
    ask.ok("export", "--memberships", "--out", "m.csv")
    assert Path("m.csv").read_bytes() == b'client,topic\r\nalice,room\r\nalice,"a ""b"", c"\r\n'
