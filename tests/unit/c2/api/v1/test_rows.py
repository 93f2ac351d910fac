"""The rows of an import: CSV and JSON lines, however the bytes are cut."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.c2.api.http.v1.rows import CSV, JSON_LINES, client_rows, membership_rows
from e4.errors import InvalidRequest

KEY = bytes(range(32))
B64 = base64.b64encode(KEY).decode()
ID = bytes(range(16))


def read(data: str | bytes, media_type: str = CSV) -> list[tuple[object, ...]]:
    """The rows; errors as their texts."""
    raw = data.encode() if isinstance(data, str) else data
    return [
        (row[0], str(row[1])) if isinstance(row[1], Exception) else row
        for row in client_rows([raw], media_type)
    ]


def test_csv() -> None:
    assert read(f"name,key\na,{B64}\nb,{KEY.hex()}\n") == [(2, "a", KEY), (3, "b", KEY)]
    assert read(f"key,id\n{B64},{ID.hex()}\n") == [(2, ID, KEY)]
    assert read(f"id,name,key\n{ID.hex()},,{B64}\n,a,{B64}\n") == [(2, ID, KEY), (3, "a", KEY)]
    assert read(f" Name , Key ,comment\na,{B64},what for\n") == [(2, "a", KEY)]
    assert read(f"\ufeffname,key\r\na,{B64}\r\n") == [(2, "a", KEY)]
    assert read(f'name,key\n"a,""b""",{B64}') == [(2, 'a,"b"', KEY)]
    assert read("name,key\n") == []


def test_lines_count_also_where_a_name_has_several() -> None:
    data = f'name,key\n"a\nb",{B64}\n\nc,wrong\n'
    assert read(data) == [(2, "a\nb", KEY), (5, "key must be 32 bytes in base64 or hex")]


def test_json_lines() -> None:
    lines = [{"name": "a", "key": B64}, {"id": ID.hex(), "key": KEY.hex(), "comment": 5}]
    data = "\n\n".join(map(json.dumps, lines))
    assert read(data, JSON_LINES) == [(1, "a", KEY), (3, ID, KEY)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[]", "not a JSON object"),
        ("5", "not a JSON object"),
        ("{", "not a JSON object"),
        ("null", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ("1" * 5000, "not a JSON object"),
        ('{"name":5,"key":""}', "name, id, key must be strings"),
        ('{"name":null,"key":""}', "name, id, key must be strings"),
        ("{}", "id must be 16 bytes in hex"),
        ('{"name":"a","key":"x"}', "key must be 32 bytes in base64 or hex"),
        ('{"name":"a","key":"' + B64[:-1] + '"}', "key must be 32 bytes in base64 or hex"),
        ('{"id":"00","key":"' + B64 + '"}', "id must be 16 bytes in hex"),
    ],
)
def test_a_wrong_line_of_json_is_told_and_the_next_is_read(line: str, said: str) -> None:
    good = json.dumps({"name": "a", "key": B64})
    assert read(f"{line}\n{good}", JSON_LINES) == [(1, said), (2, "a", KEY)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a", "1 columns instead of 2"),
        (f"a,{B64},c", "3 columns instead of 2"),
        (f'"a"b,{B64}', "not valid CSV"),
        (f",{B64}", "id must be 16 bytes in hex"),
        ("a,x", "key must be 32 bytes in base64 or hex"),
        ("a," + "ü" * 32, "key must be 32 bytes in base64 or hex"),
        ("a," + "z" * 64, "key must be 32 bytes in base64 or hex"),
    ],
)
def test_a_wrong_line_of_csv_is_told_and_the_next_is_read(line: str, said: str) -> None:
    assert read(f"name,key\n{line}\nb,{B64}\n") == [(2, said), (3, "b", KEY)]


@pytest.mark.parametrize("data", ["", "\n", "name\n", "key\n", "a,b\n", '"name,key\n', "\0"])
def test_a_csv_without_its_columns(data: str) -> None:
    with pytest.raises(InvalidRequest, match="the first line must name the columns"):
        read(data)
    with pytest.raises(InvalidRequest, match="the columns client and topic"):
        list(membership_rows([data.encode()], CSV))


def test_an_endless_line() -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield bytes(1 << 16)

    for media_type in (CSV, JSON_LINES):
        with pytest.raises(InvalidRequest, match="longer than 1 MiB"):
            list(client_rows(endless(), media_type))


def test_memberships() -> None:
    assert list(membership_rows([b"topic,client\nt/1,a\n"], CSV)) == [(2, "a", "t/1")]
    assert list(membership_rows([b'{"client":"a","topic":"t/1"}'], JSON_LINES)) == [(1, "a", "t/1")]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.lists(st.integers(1, 40), max_size=30))
def test_what_is_written_is_read_however_it_is_cut(rows: list[tuple[str, str]], cuts: list[int]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("client", "topic"), *rows])
    lines = "".join(json.dumps({"client": c, "topic": t}, ensure_ascii=False) + "\n" for c, t in rows)
    for data, media_type in ((text.getvalue().encode(), CSV), (lines.encode(), JSON_LINES)):
        chunks, rest = [], data
        for cut in cuts:
            chunks.append(rest[:cut])
            rest = rest[cut:]
        assert [row[1:] for row in membership_rows([*chunks, rest], media_type)] == rows


@given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from([CSV, JSON_LINES]))
def test_any_bytes(chunks: list[bytes], media_type: str) -> None:
    try:
        for row in client_rows(chunks, media_type):
            assert row[0] >= 1
    except InvalidRequest:
        assert media_type == CSV
