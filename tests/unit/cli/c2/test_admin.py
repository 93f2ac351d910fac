"""``e4 c2 token`` and ``e4 c2 audit``."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from e4.c2.model import AuditCheck, AuditRow, Page, Role, Token
from e4.errors import Conflict
from tests.unit.cli._run import assert_no_secret
from tests.unit.cli.c2._fleet import AT, AT_TEXT, Asked

SECRET = "e4c2_c2VjcmV0IHNlY3JldCBzZWNyZXQ"


def token(id: int = 3, name: str = "console") -> Token:
    return Token(id, name, Role.VIEWER, False, AT, None, None)


def test_a_token_shows_its_secret_once(ask: Asked, remote: MagicMock) -> None:
    remote.new_token.return_value = token(), SECRET
    out = ask.ok("token", "create", "console", "--role", "viewer")
    assert out == f"token 3 (console, viewer) made\nits secret, which is shown only now: {SECRET}\n"
    remote.new_token.assert_called_once_with("console", Role.VIEWER, protect=False, expires_at=None)
    assert ask.json("token", "create", "console", "--role", "viewer")["secret"] == SECRET


def test_a_token_in_a_file_is_not_shown(ask: Asked, remote: MagicMock) -> None:
    remote.new_token.return_value = token(), SECRET
    out = ask.ok("token", "create", "console", "--role", "viewer", "--out", "t")
    assert_no_secret(out, SECRET.encode())
    assert Path("t").read_text() == f"{SECRET}\n"
    assert stat.S_IMODE(os.stat("t").st_mode) == 0o600
    out = str(ask.json("token", "create", "console", "--role", "viewer", "--out", "u"))
    assert_no_secret(out, SECRET.encode())
    ask("token", "create", "console", "--role", "viewer", "--out", "t").refused(1, "t exists already")
    assert remote.new_token.call_count == 2


@pytest.mark.parametrize(
    ("text", "at"),
    [("90d", 1_790_000_000_000 + 90 * 86_400_000), ("2027-01-31T12:00:00Z", 1_801_396_800_000),
     ("2027-01-31T13:00:00+01:00", 1_801_396_800_000)],
)  # fmt: skip
def test_a_token_that_ends(
    ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch, text: str, at: int
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_790_000_000_000_000_000)
    remote.new_token.return_value = token(), SECRET
    ask.ok("token", "create", "g", "--role", "operator", "--protect", "--expires", text)
    remote.new_token.assert_called_once_with("g", Role.OPERATOR, protect=True, expires_at=at)


def test_list(ask: Asked, remote: MagicMock) -> None:
    remote.page_tokens.return_value = Page([token()])
    assert ask.ok("token", "list") == f"3\tconsole\tviewer\tno\t{AT_TEXT}\t-\t-\n"
    assert ask.lines("token", "list")[0]["role"] == "viewer"


def test_revoke_by_name_or_number(ask: Asked, remote: MagicMock) -> None:
    remote.tokens.side_effect = lambda: iter([token(3, "console"), token(4, "5"), token(5, "gateway")])
    for which, id in (("console", 3), ("3", 3), ("5", 4), ("gateway", 5)):
        assert "is ended" in ask.ok("token", "revoke", which, "--yes")
        remote.revoke_token.assert_called_with(id)
    remote.revoke_token.reset_mock()
    ask("token", "revoke", "console").refused(2, "End the token 3 (console)? Give --yes")
    ask("token", "revoke", "9", "--yes").refused(1, "there is no token 9: see 'e4 c2 token list'")
    remote.revoke_token.assert_not_called()


def test_audit(ask: Asked, remote: MagicMock) -> None:
    row = AuditRow(1, AT, "admin", "127.0.0.1", "r-1", "new_client", "alice\n", "done", bytes(32))
    remote.page_audit.return_value = Page([row])
    assert ask.ok("audit", "list") == (f"1\t{AT_TEXT}\tadmin\t127.0.0.1\tnew_client\talice\\n\tdone\tr-1\n")
    assert ask.lines("audit", "list", "--limit", 5)[0]["hash"] == "00" * 32
    remote.page_audit.assert_called_with(None, 5)


def test_an_audit_that_is_as_it_was(ask: Asked, remote: MagicMock) -> None:
    remote.verify_audit.return_value = AuditCheck(12, head=bytes(32))
    out = ask.ok("audit", "verify")
    assert "is as it was written: 12 rows" in out
    assert f"the hash of row 12 is {'00' * 32}" in out
    assert ask.json("audit", "verify") == {"rows": 12, "broken": None, "head": "00" * 32}


def test_an_audit_that_was_changed(ask: Asked, remote: MagicMock) -> None:
    remote.verify_audit.return_value = AuditCheck(4, 5)
    for words in ([], ["--json"]):
        result = ask("audit", "verify", *words)
        assert (result.code, result.err) == (1, "")
        assert "5" in result.out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("create a", 2, "missing option '--role'"),
        ("create a --role king", 2, "--role is viewer, operator, admin"),
        ("create a --role viewer --expires soon", 2, "--expires is a number of days as 90d"),
        ("create a --role viewer --expires 2020-01-01T00:00:00Z", 2, "--expires is in the past"),
        ("create a --role viewer --expires 2020-01-01", 2, "--expires is a number of days"),
        ("revoke", 2, "missing argument"),
    ],
)
def test_wrong_arguments(ask: Asked, remote: MagicMock, words: str, code: int, text: str) -> None:
    ask("token", *words.split()).refused(code, text)
    assert remote.method_calls == []


def test_a_name_that_is_taken(ask: Asked, remote: MagicMock) -> None:
    remote.new_token.side_effect = Conflict("there is a token console already")
    ask("token", "create", "console", "--role", "viewer", "--out", "t").refused(1, "console already")
    assert not Path("t").exists()
