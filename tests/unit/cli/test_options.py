"""Options that commands share: brokers, ids, keys, groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from e4 import crypto, errors
from e4.cli._errors import Failed, Usage
from e4.cli._options import (
    Connection,
    parse_broker,
    read_client_id,
    read_key,
    read_public_key,
    with_groups,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", ("localhost", 1883)),
        ("localhost:1", ("localhost", 1)),
        ("broker.example:65535", ("broker.example", 65535)),
        ("192.0.2.1:8883", ("192.0.2.1", 8883)),
        ("[::1]", ("::1", 1883)),
        ("[::1]:8883", ("::1", 8883)),
    ],
)
def test_a_broker(text: str, expected: tuple[str, int]) -> None:
    assert parse_broker(text, 1883) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":1883", "host:", "host:0", "host:65536", "host:x", "host:-1", "::1", "[::1", "[]", "[]:1", "a:b:1",
     "mqtt://host", "host:1883/", "host:१"],
)  # fmt: skip
def test_what_is_no_broker(text: str) -> None:
    with pytest.raises(Usage, match=r"--broker is HOST or HOST:PORT"):
        parse_broker(text, 1883)


def test_the_port_follows_tls() -> None:
    assert Connection(broker="b").address() == ("b", 1883)
    assert Connection(broker="b", tls=True).address() == ("b", 8883)
    assert Connection(broker="b", ca=Path("ca.pem")).address() == ("b", 8883)
    assert Connection(broker="b", cert=Path("c.pem")).address() == ("b", 8883)
    assert Connection(broker="b:7", tls=True).address() == ("b", 7)


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        (Connection(broker=":"), "--broker is"),
        (Connection(mqtt_version="4"), r"--mqtt-version is 3\.1\.1 or 5"),
        (Connection(tls_key=Path("k")), "--key goes with --cert"),
        (Connection(mqtt_password_file=Path("p")), "--mqtt-password-file goes with --mqtt-user"),
    ],
)
def test_options_that_do_not_go_together(connection: Connection, text: str) -> None:
    with pytest.raises(Usage, match=text):
        connection.check()


def test_what_the_mqtt_clients_are_given(tmp_path: Path) -> None:
    from e4.mqtt import TLS

    password = tmp_path / "password"
    password.write_text("geheim\n")
    connection = Connection(
        broker="b", ca=Path("ca.pem"), mqtt_user="u", mqtt_password_file=password, mqtt_version="5"
    )
    assert connection.arguments() == {
        "host": "b",
        "port": 8883,
        "tls": TLS(Path("ca.pem")),
        "username": "u",
        "password": "geheim",
        "version": "5",
    }
    assert Connection().arguments()["tls"] is None


def test_a_client_by_name_or_by_id() -> None:
    id = crypto.hash_id_alias("alice")
    assert read_client_id("alice", None, "") == id
    assert read_client_id(None, id.hex(), "") == id
    assert read_client_id(None, id.hex().upper(), "") == id


@pytest.mark.parametrize(
    ("name", "id", "error", "text"),
    [
        (None, None, Usage, "give one of THESE"),
        ("alice", "00" * 16, Usage, "give one of THESE"),
        (None, "", Usage, "an id is 32 hex digits"),
        (None, "00" * 15, Usage, "an id is 32 hex digits"),
        (None, "0" * 31, Usage, "an id is 32 hex digits"),
        (None, "zz" * 16, Usage, "an id is 32 hex digits"),
        ("", None, errors.InvalidName, "1 to 255 bytes"),
        ("x" * 256, None, errors.InvalidName, "1 to 255 bytes"),
        ("\udcff", None, errors.InvalidName, "1 to 255 bytes"),
    ],
)
def test_no_client(name: str | None, id: str | None, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        read_client_id(name, id, "THESE")


def test_a_public_key_as_file_or_as_digits(tmp_path: Path) -> None:
    key = bytes(range(32))
    path = tmp_path / "a.pub"
    path.write_bytes(key)
    assert (
        read_public_key(str(path)) == read_public_key(key.hex()) == read_public_key(key.hex().upper()) == key
    )


def test_a_file_whose_name_looks_almost_like_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "g" * 64
    Path(name).write_bytes(bytes(32))
    assert read_public_key(name) == bytes(32)


def test_key_files_that_are_wrong(tmp_path: Path) -> None:
    none, short = tmp_path / "none", tmp_path / "short"
    short.write_bytes(b"x" * 31)
    with pytest.raises(Failed, match=r"none does not exist: make it with 'e4 keygen symmetric --out .*none'"):
        read_key(none, 32, "e4 keygen symmetric")
    with pytest.raises(errors.InvalidKey, match="holds 31 bytes, not the 32"):
        read_key(short, 32, "")
    with pytest.raises(Failed, match="give the file or the 64 hex digits"):
        read_public_key(str(none))
    with pytest.raises(errors.InvalidKey, match="holds 31 bytes, not the 32"):
        read_public_key(str(short))
    with pytest.raises(errors.StoreError, match="Is a directory"):
        read_key(tmp_path, 32, "")


@dataclass(frozen=True)
class _Inner:
    depth: Annotated[int, typer.Option("--depth")] = 1


@dataclass(frozen=True)
class _Outer:
    width: Annotated[int, typer.Option("--width")]
    inner: _Inner


def test_groups_are_options_of_the_command() -> None:
    seen: list[Any] = []

    def command(outer: _Outer, name: Annotated[str, typer.Option("--name")] = "n") -> None:
        seen.append((outer, name))

    # typer resolves a group's annotations in this module.
    command.__annotations__ = {
        "outer": _Outer,
        "name": Annotated[str, typer.Option("--name")],
        "return": None,
    }
    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_groups(command))
    get_command(app).main(["--width", "3", "--depth", "5"], standalone_mode=False)
    assert seen == [(_Outer(3, _Inner(5)), "n")]
