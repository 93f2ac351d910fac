"""e4 and brokers that are away, do not answer, or ask for users, passwords and certificates."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests._broker import Broker, Brokers, require, until
from tests._certificates import Authority
from tests.e2e._cli import Cli, Live
from tests.integration._peers import Plain

pytestmark = pytest.mark.mosquitto


def symmetric(cli: Cli, name: str, *options: str) -> Live:
    """A client in symmetric-key mode; its key is in ``NAME.key``."""
    cli.ok("keygen", "symmetric", "--out", f"{name}.key")
    return cli.live("--name", name, "--key-file", f"{name}.key", *options).sees("connected")


def test_a_message_waits_for_a_broker_that_is_away(cli: Cli) -> None:
    assert cli.broker is not None
    alice = symmetric(cli, "alice", "--timeout", "1")
    cli.broker.kill()
    alice.sees(f"the connection to 127.0.0.1:{cli.broker.port} is lost; trying again")
    alice.send("clearmsg hall patience").sees(
        "not acknowledged yet: goes to hall in clear when the broker answers"
    )
    cli.broker.start()
    plain = Plain(cli.broker, "hall")
    try:
        until(lambda: [m.payload for m in plain.seen] == [b"patience"])
    finally:
        plain.close()
    alice.sees("connected", 2)
    assert alice.finish() == 0


def test_a_message_that_never_arrives_is_a_failure(cli: Cli) -> None:
    assert cli.broker is not None
    alice = symmetric(cli, "alice", "--timeout", "0.5")
    cli.broker.kill()
    assert alice.finish("clearmsg hall hi") == 1
    alice.complains("closed with 1 message")


def test_a_broker_that_is_not_there(make_cli: Callable[..., Cli]) -> None:
    cli = make_cli()
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    broker = ("--broker", f"127.0.0.1:{Broker(cli.folder).port}", "--timeout", "1")
    text = "Connection refused: check that the broker runs there, or give another with --broker"
    cli.fails(1, text, "command", "reset-topics", "--to", "alice", "--client-key", "alice.key", *broker)
    result = cli.run("client", "--name", "alice", "--key-file", "alice.key", *broker)
    assert result.returncode == 1
    assert result.stdout == ""
    assert text in result.stderr.splitlines()[-1]


def test_a_broker_that_does_not_answer(cli: Cli) -> None:
    assert cli.broker is not None
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    cli.broker.pause()
    key = ("--to", "alice", "--client-key", "alice.key", "--timeout", "1")
    cli.fails(
        1,
        "does not answer: check the broker, or give it longer with --timeout",
        "command",
        "reset-topics",
        *key,
    )


def test_users_and_passwords_of_the_broker(
    make_cli: Callable[..., Cli], mosquitto: Brokers, tmp_path: Path
) -> None:
    file = tmp_path / "passwords"
    subprocess.run([require("mosquitto_passwd"), "-c", "-b", file, "c2", "secret of c2"], check=True)
    acl = tmp_path / "acl"
    acl.write_text("user c2\ntopic readwrite e4/#\n")
    cli = make_cli(mosquitto(f"password_file {file}", f"acl_file {acl}", "allow_anonymous false"))
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    for name, text in {"right": "secret of c2", "wrong": "another"}.items():
        (tmp_path / name).write_text(f"{text}\n")
    command = ("command", "reset-topics", "--to", "alice", "--client-key", "alice.key")
    for version, reason in (("3.1.1", "Not authorized"), ("5", "Not authorized")):
        mqtt = ("--mqtt-version", version)
        user = ("--mqtt-user", "c2", "--mqtt-password-file")
        cli.fails(1, f"refuses the connection: {reason}", *command, *mqtt)
        cli.fails(1, f"refuses the connection: {reason}", *command, *mqtt, *user, "wrong")
        cli.ok(*command, *mqtt, *user, "right")
        client = cli.live("--name", "alice", "--key-file", "alice.key", *mqtt, *user, "right").sees(
            "connected"
        )
        client.send("clearmsg hall hi")
        if version == "5":  # with 3.1.1 the broker cannot say that it refuses a message
            client.complains("line 1: the broker refused the message on hall: Not authorized")
            assert client.finish() == 1
        else:
            assert client.finish() == 0
        result = cli.run("client", "--name", "alice", *mqtt, *user, "wrong")
        assert result.returncode == 1
        assert "refused the connection" in result.stderr
    # A command on a topic that this user may not publish on: MQTT 5 says so.
    acl.write_text("user c2\ntopic read e4/#\n")
    assert cli.broker is not None
    cli.broker.restart()
    cli.fails(1, "refuses the command: Not authorized", *command, "--mqtt-version", "5", *user, "right")
    cli.assert_no_secret(b"secret of c2")


def test_tls(make_cli: Callable[..., Cli], mosquitto: Brokers, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    certificate, key = authority.issue("broker")
    cli = make_cli(
        mosquitto(
            f"cafile {authority.file}",
            f"certfile {certificate}",
            f"keyfile {key}",
            "require_certificate true",
        )
    )
    mine = authority.issue("alice-tls")
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    command = ("command", "reset-topics", "--to", "alice", "--client-key", "alice.key", "--timeout", "5")
    identity = ("--cert", mine[0], "--key", mine[1])
    cli.ok(*command, "--ca", authority.file, *identity)
    client = cli.live("--name", "alice", "--key-file", "alice.key", "--ca", authority.file, *identity)
    assert client.sees("connected").finish() == 0
    cli.fails(1, "is not accepted", *command, "--ca", other.file, *identity)
    cli.fails(1, "is not accepted", *command, "--tls", *identity)
    cli.fails(1, "", *command, "--ca", authority.file)
    cli.fails(1, "", *command)
    cli.fails(1, "cannot read certificates from none.pem", *command, "--ca", "none.pem")
    cli.fails(1, "cannot read the certificate", *command, "--ca", authority.file, "--cert", authority.file)
