"""``e4 c2 protect-message`` and ``unprotect-message``: bytes in and out, in every form."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from e4.cli import main
from e4.errors import NotAuthentic
from tests.unit.cli.c2._fleet import URL, Asked

MESSAGE = bytes(range(256))


@pytest.fixture(autouse=True)
def _answers(remote: MagicMock) -> None:
    remote.protect_message.return_value = MESSAGE
    remote.unprotect_message.return_value = b"open\x1b[2J\n"


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    "words",
    [["--hex", "00ff"], ["--base64", "AP8="], ["--file", "data"], [], ["--hex", "-"], ["--base64", "-"]],
)
def test_where_the_bytes_come_from(
    ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    Path("data").write_bytes(b"\0\xff")
    given = {("--hex", "-"): b"00 ff\n", ("--base64", "-"): b"AP8=\n"}.get(tuple(words), b"\0\xff")
    stdin(monkeypatch, given)
    ask.ok("protect-message", "room", *words, "--print", "hex")
    remote.protect_message.assert_called_once_with("room", b"\0\xff")


def test_where_the_answer_goes(ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "protect-message", "room", "--hex", "00"
    assert ask.ok(*words, "--print", "hex") == f"{MESSAGE.hex()}\n"
    assert ask.ok(*words, "--print", "base64") == f"{base64.b64encode(MESSAGE).decode()}\n"
    assert ask.ok(*words, "--out", "m") == ""
    assert Path("m").read_bytes() == MESSAGE
    assert ask.json(*words) == {
        "topic": "room", "protected": True, "data": base64.b64encode(MESSAGE).decode(),
    }  # fmt: skip


def test_raw_bytes_in_a_pipe(
    remote: MagicMock, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("E4_C2_URL", URL)
    assert main(["c2", "protect-message", "room", "--hex", "00"]) == 0
    assert capfdbinary.readouterr().out == MESSAGE
    assert main(["c2", "unprotect-message", "room", "--hex", "00"]) == 0
    assert capfdbinary.readouterr().out == b"open\x1b[2J\n"


def test_a_terminal_is_spared(ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert ask.ok("protect-message", "room", "--hex", "00") == f"{base64.b64encode(MESSAGE).decode()}\n"
    assert ask.ok("unprotect-message", "room", "--hex", "00") == "open\\x1b[2J\\n\n"


def test_a_message_that_is_not_authentic(ask: Asked, remote: MagicMock) -> None:
    remote.unprotect_message.side_effect = NotAuthentic()
    ask("unprotect-message", "room", "--hex", "00").refused(1, "message is not authentic")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--hex", "0"], 2, "--hex is an even number of hex digits"),
        (["--base64", "A"], 2, "--base64 is not base64"),
        (["--base64", "ä"], 2, "--base64 is not base64"),
        (["--hex", "00", "--file", "x"], 2, "exclude each other"),
        (["--hex", "00", "--print", "x"], 2, "--print is raw, hex or base64"),
        (["--hex", "00", "--print", "hex", "--json"], 2, "exclude each other"),
        (["--file", "none"], 1, "none: No such file"),
        ([], 1, "there is nothing to protect"),
    ],
)
def test_wrong_input(
    ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, text: str
) -> None:
    stdin(monkeypatch, b"")
    ask("protect-message", "room", *words).refused(code, text)
    assert remote.method_calls == []
