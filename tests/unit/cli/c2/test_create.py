"""``e4 c2 client create``: where the key comes from, and that only what must leave leaves."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from e4 import crypto
from e4.errors import Conflict, NotFound, PermissionDenied, Unavailable
from tests.unit.cli._run import PASSWORD, assert_no_secret
from tests.unit.cli.c2._fleet import Asked, client, client_details

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def _nobody_there(remote: MagicMock) -> None:
    remote.get_client.side_effect = NotFound()
    remote.new_client.side_effect = lambda ref, key: client(ref if isinstance(ref, str) else ref.hex())


def test_a_new_key_is_in_the_file_and_nowhere_else(ask: Asked, remote: MagicMock) -> None:
    out = ask.ok("client", "create", "alice", "--out", "alice.key")
    key = Path("alice.key").read_bytes()
    remote.new_client.assert_called_once_with("alice", key)
    assert len(key) == 32
    assert stat.S_IMODE(os.stat("alice.key").st_mode) == 0o600
    assert f"client alice registered, id {crypto.hash_id_alias('alice').hex()}" in out
    assert "key written to alice.key" in out
    assert_no_secret(out, key)


def test_of_a_new_pair_only_the_public_half_leaves(ask: Asked, remote: MagicMock) -> None:
    remote.get_crypto_mode.return_value = "pubkey"
    result = ask.json("client", "create", "alice", "--out", "alice.key")
    private, public = Path("alice.key").read_bytes(), Path("alice.key.pub").read_bytes()
    remote.new_client.assert_called_once_with("alice", public)
    assert crypto.ed25519_public_key(private) == public
    assert result["key_file"] == "alice.key"
    assert "key" not in result
    assert_no_secret(str(remote.mock_calls) + str(result), private, private[:32])


@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_a_key_is_printed_where_that_is_asked_for(ask: Asked, remote: MagicMock, mode: str) -> None:
    remote.get_crypto_mode.return_value = mode
    out = ask.ok("client", "create", "alice", "--print-key")
    printed = bytes.fromhex(out.split()[-1])
    sent = remote.new_client.call_args.args[1]
    assert sent == (printed if mode == "symkey" else crypto.ed25519_public_key(printed))
    assert len(ask.json("client", "create", "alice", "--print-key")["key"]) == 2 * len(printed)
    assert os.listdir() == []


def test_a_key_from_a_file(ask: Asked, remote: MagicMock) -> None:
    Path("bob.key").write_bytes(KEY)
    out = ask.ok("client", "create", "bob", "--key-file", "bob.key")
    remote.new_client.assert_called_once_with("bob", KEY)
    assert_no_secret(out, KEY)


def test_a_private_key_is_not_sent_for_a_public_one(ask: Asked, remote: MagicMock) -> None:
    remote.get_crypto_mode.return_value = "pubkey"
    private = crypto.random_ed25519_private_key()
    Path("bob.key").write_bytes(private)
    Path("bob.key.pub").write_bytes(crypto.ed25519_public_key(private))
    ask("client", "create", "bob", "--key-file", "bob.key").refused(1, "give bob.key.pub, the public one")
    remote.new_client.assert_not_called()
    ask.ok("client", "create", "bob", "--key-file", "bob.key.pub")
    remote.new_client.assert_called_once_with("bob", crypto.ed25519_public_key(private))


@pytest.mark.parametrize("source", ["file", "environment", "option"])
@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_a_key_from_a_password(
    ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch, mode: str, source: str
) -> None:
    remote.get_crypto_mode.return_value = mode
    Path("password").write_text(f"{PASSWORD}\n")
    words = {
        "file": ["--password-file", "password"],
        "option": ["--password", PASSWORD],
        "environment": ["--from-password"],
    }[source]
    if source == "environment":
        monkeypatch.setenv("E4_PASSWORD", PASSWORD)
    out = ask.ok("client", "create", "carol", *words)
    derived = crypto.derive_sym_key(PASSWORD)
    expected = derived if mode == "symkey" else crypto.ed25519_public_key(
        crypto.ed25519_private_key_from_password(PASSWORD)
    )  # fmt: skip
    remote.new_client.assert_called_once_with("carol", expected)
    assert_no_secret(out, PASSWORD.encode(), derived)


def test_a_client_by_its_id_alone(ask: Asked, remote: MagicMock) -> None:
    id = crypto.random_id()
    out = ask.ok("client", "create", "--id", id.hex().upper(), "--out", "device.key")
    remote.new_client.assert_called_once_with(id, Path("device.key").read_bytes())
    assert id.hex() in out


def test_a_client_that_is_there_is_replaced_only_if_asked(ask: Asked, remote: MagicMock) -> None:
    remote.get_client.side_effect = None
    remote.get_client.return_value = client_details()
    ask("client", "create", "alice", "--out", "k").refused(1, "the client alice exists already")
    remote.new_client.assert_not_called()
    assert not Path("k").exists()
    ask.ok("client", "create", "alice", "--out", "k", "--replace")
    remote.new_client.assert_called_once()


@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_no_file_stays_where_the_server_refuses(ask: Asked, remote: MagicMock, mode: str) -> None:
    remote.get_crypto_mode.return_value = mode
    for error in (PermissionDenied(), Conflict("no")):
        remote.new_client.side_effect = error
        ask("client", "create", "alice", "--out", "k").refused(1, str(error))
        assert os.listdir() == []


def test_the_file_stays_where_nobody_knows_whether_it_was_done(ask: Asked, remote: MagicMock) -> None:
    remote.new_client.side_effect = Unavailable("the connection was lost")
    ask("client", "create", "alice", "--out", "k").refused(1, "the connection was lost")
    assert Path("k").read_bytes() == remote.new_client.call_args.args[1]


def test_nothing_is_written_over(ask: Asked, remote: MagicMock) -> None:
    Path("k").write_text("precious")
    ask("client", "create", "alice", "--out", "k").refused(1, "k exists already: choose another name")
    assert Path("k").read_text() == "precious"
    remote.new_client.assert_not_called()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("alice", 2, "which key is not clear: give one of --key-file FILE, --from-password, or --out FILE"),
        ("alice --out k --key-file f", 2, "which key is not clear"),
        ("alice --out k --from-password", 2, "which key is not clear"),
        ("--out k", 2, "which client is not clear"),
        ("alice --id 00 --out k", 2, "which client is not clear"),
        ("--id 00 --out k", 2, "an id is 32 hex digits"),
        ("alice --out /", 2, "--out is the name of a file"),
        ("alice --key-file none", 1, "none does not exist: make it with 'e4 keygen symmetric --out none'"),
        ("alice --key-file short", 1, "short holds 31 bytes, not the 32"),
        ("alice --password short", 2, "password must be at least 16 bytes"),
        ("alice --from-password", 2, "no password: give --password-file"),
    ],
)
def test_wrong_input(ask: Asked, remote: MagicMock, words: str, code: int, text: str) -> None:
    Path("short").write_bytes(b"x" * 31)
    ask("client", "create", *words.split()).refused(code, text)
    assert os.listdir() == ["short"]
    remote.new_client.assert_not_called()
