"""e4 keygen: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from e4 import crypto, keys
from tests.unit.cli._run import PASSWORD, Run, assert_no_secret

LENGTHS = {"symmetric": 32, "ed25519": 64, "curve25519": 32}


@pytest.mark.parametrize("kind", LENGTHS)
def test_a_key_is_written_for_its_owner_alone_and_never_printed(run: Run, tmp_path: Path, kind: str) -> None:
    result = run("keygen", kind, "--out", "my.key")
    path = tmp_path / "my.key"
    key = keys.read_key_file(path, LENGTHS[kind])
    assert (result.code, result.err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert_no_secret(result.out, key, key[:32])
    if kind == "symmetric":
        assert os.listdir(tmp_path) == ["my.key"]
        assert result.out == "key written to my.key\n"
        return
    public = crypto.ed25519_public_key(key) if kind == "ed25519" else crypto.curve25519_public_key(key)
    assert (tmp_path / "my.key.pub").read_bytes() == public
    assert result.out.splitlines() == [
        "private key written to my.key",
        "public key written to my.key.pub",
        f"public key {public.hex()}",
    ]


def test_two_keys_differ(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("keygen", "symmetric", "--out", name).code == 0
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("kind", LENGTHS)
def test_json_for_programs(run: Run, tmp_path: Path, kind: str) -> None:
    result = run("keygen", kind, "--out", tmp_path / "my.key", "--json")
    document = json.loads(result.out)
    assert result.out.count("\n") == 1
    public_file = tmp_path / "my.key.pub"
    assert document == {
        "kind": kind,
        "file": str(tmp_path / "my.key"),
        "public_file": None if kind == "symmetric" else str(public_file),
        "public_key": None if kind == "symmetric" else public_file.read_bytes().hex(),
    }


@pytest.mark.parametrize("kind", ["symmetric", "ed25519"])
@pytest.mark.parametrize("source", ["option", "file", "file with CRLF", "environment"])
def test_a_key_from_a_password(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, source: str
) -> None:
    options = ["--password", PASSWORD] if source == "option" else []
    if source.startswith("file"):
        end = "\r\n" if "CRLF" in source else "\n"
        Path("password").write_bytes(f"{PASSWORD}{end}a second line{end}".encode())
        options = ["--password-file", "password"]
    if source == "environment":
        monkeypatch.setenv("E4_PASSWORD", PASSWORD)
    result = run("keygen", kind, "--from-password", *options, "--out", "my.key")
    derive = crypto.derive_sym_key if kind == "symmetric" else crypto.ed25519_private_key_from_password
    assert result.code == 0
    assert (tmp_path / "my.key").read_bytes() == derive(PASSWORD)
    assert_no_secret(result.out + result.err, PASSWORD.encode(), crypto.derive_sym_key(PASSWORD))


def test_nothing_is_replaced_without_force(run: Run, tmp_path: Path) -> None:
    run("keygen", "symmetric", "--out", "my.key")
    before = (tmp_path / "my.key").read_bytes()
    run("keygen", "symmetric", "--out", "my.key").refused(1, "my.key exists already")
    assert (tmp_path / "my.key").read_bytes() == before
    assert run("keygen", "symmetric", "--out", "my.key", "--force").code == 0
    assert (tmp_path / "my.key").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "missing argument 'KIND': see 'e4 keygen --help'"),
        (["symmetric"], 2, "missing option '--out': see 'e4 keygen --help'"),
        (["rsa", "--out", "k"], 2, "there is no kind of key 'rsa': choose symmetric, ed25519 or curve25519"),
        (["symmetric", "--out", "k", "--forse"], 2, "no such option"),
        (["symmetric", "--out", ""], 2, "--out is the name of a file"),
        (["ed25519", "--out", "/"], 2, "--out is the name of a file"),
        (["ed25519", "--out", ".."], 2, "--out is the name of a file"),
        (["symmetric", "--out", "no/such/folder/k"], 1, "cannot write no/such/folder/k: No such file"),
        (["curve25519", "--from-password", "--out", "k"], 2, "is not derived from a password"),
        (["symmetric", "--password", "x" * 16, "--out", "k"], 2, "go with --from-password"),
        (
            ["symmetric", "--from-password", "--out", "k"],
            2,
            "no password: give --password-file, or set E4_PASSWORD",
        ),
        (["symmetric", "--from-password", "--password", "x" * 15, "--out", "k"], 2, "at least 16 bytes"),
        (["symmetric", "--from-password", "--password", "", "--out", "k"], 2, "at least 16 bytes"),
        (["symmetric", "--from-password", "--password-file", "none", "--out", "k"], 1, "none: No such file"),
        (
            ["symmetric", "--from-password", "--password", "x", "--password-file", "y", "--out", "k"],
            2,
            "exclude each other",
        ),
    ],
)
def test_wrong_input_has_its_error_and_writes_nothing(
    run: Run, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    run("keygen", *arguments).refused(code, text)
    assert os.listdir(tmp_path) == []


def test_a_password_file_that_is_no_text(run: Run) -> None:
    Path("password").write_bytes(b"\xff" * 20)
    run("keygen", "symmetric", "--from-password", "--password-file", "password", "--out", "k").refused(
        1, "password does not hold UTF-8 text"
    )


def test_stray_words_are_not_repeated_since_they_may_be_of_a_password(run: Run) -> None:
    result = run("keygen", "symmetric", "--out", "k", "horse", "battery")
    result.refused(2, "quote a text that holds spaces")
    assert_no_secret(result.err, b"horse", b"battery")
