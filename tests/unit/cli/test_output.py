"""Text made safe for a terminal."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.cli._output import colours, painted, print_json, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", "hello"),
        ("grüße 你好 🙂", "grüße 你好 🙂"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x07\x00\x7f", "\\x1b[2J\\x07\\x00\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b31m", "\\x9b31m"),
        ('C:\\new "x"', 'C:\\new "x"'),
        (b"\xff\x00ok", "\\xff\\x00ok"),
        ("h\u00e9".encode(), "h\u00e9"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        (b"", ""),
    ],
)
def test_what_could_act_on_a_terminal_is_an_escape(text: str | bytes, expected: str) -> None:
    assert shown(text) == expected


@given(st.one_of(st.text(), st.binary()))
def test_anything_comes_out_as_one_printable_line(text: str | bytes) -> None:
    assert shown(text).isprintable()
    shown(text).encode()


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_only_in_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colours(Tty())
    assert not colours(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not colours(Tty())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours(Tty())
    assert painted("x", "red") == "\x1b[31mx\x1b[0m"


def test_json_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "grüße\n\udcff"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out) == {"name": "grüße\n\udcff"}
