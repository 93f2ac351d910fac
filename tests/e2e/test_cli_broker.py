"""e4 on a real broker, as processes: keys, messages, kept states, brokers that refuse or go away."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from collections.abc import Iterator

import pytest

from e4 import crypto
from tests._broker import until
from tests.e2e._cli import E4, Cli, Live
from tests.integration._peers import Plain

pytestmark = pytest.mark.mosquitto

PASSWORD = "a long password of alice"
APPLIED = "a command of C2 has been applied"


@pytest.fixture
def wire(cli: Cli) -> Iterator[Plain]:
    """Somebody who sees everything that passes through the broker."""
    assert cli.broker is not None
    plain = Plain(cli.broker, "#")
    yield plain
    plain.close()


def key_of(cli: Cli, name: str) -> bytes:
    return (cli.folder / name).read_bytes()


def on(wire: Plain, topic: str, count: int) -> list[bytes]:
    """What was published on a topic, once so many messages are there."""
    until(lambda: sum(m.topic == topic for m in wire.seen) >= count, what=f"{count} messages on {topic}")
    return [m.payload for m in wire.seen if m.topic == topic]


def symmetric(cli: Cli, name: str, *options: str) -> Live:
    """A client in symmetric-key mode; its key is in ``NAME.key``."""
    if not (cli.folder / f"{name}.key").exists():
        cli.ok("keygen", "symmetric", "--out", f"{name}.key")
    return cli.live("--name", name, "--key-file", f"{name}.key", *options).sees("connected")


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_the_story_in_symmetric_key_mode(cli: Cli, wire: Plain, version: str) -> None:
    mqtt = ("--mqtt-version", version)
    (cli.folder / "password").write_text(PASSWORD + "\n")
    alice = cli.live("--name", "alice", "--password-file", "password", *mqtt).sees("connected")
    bob, eve = symmetric(cli, "bob", *mqtt), symmetric(cli, "eve", *mqtt)
    for client in (bob, eve):
        client.send("subscribe room", "subscribe hall").sees("subscribed to hall")
    alice.send("e4msg room too early").complains("line 1: topic key not found")
    cli.ok("keygen", "symmetric", "--out", "room.key")
    room = ("--topic", "room", "--key-file", "room.key", *mqtt)
    out = cli.ok("command", "set-topic-key", "--to", "alice", "--password-file", "password", *room)
    assert out == (
        f"set-topic-key for alice published on e4/{crypto.hash_id_alias('alice').hex()}, "
        "acknowledged by the broker\n"
    )
    cli.ok("command", "set-topic-key", "--to", "bob", "--client-key", "bob.key", *room)
    alice.sees(APPLIED)
    bob.sees(APPLIED)
    alice.send("e4msg room hello bob").sees("sent to room")
    bob.sees("[room] hello bob")
    (protected,) = on(wire, "room", 1)
    eve.sees("[room] refused: topic key not found")
    assert len(protected) == 24 + len("hello bob")
    assert b"hello" not in protected
    alice.send("clearmsg room x", "clearmsg hall for all").complains("line 3: room has a key")
    for client in (bob, eve):
        client.sees("[hall] (clear) for all")
    assert on(wire, "hall", 1) == [b"for all"]
    cli.ok("command", "remove-topic", "--to", "bob", "--client-key", "bob.key", "--topic", "room", *mqtt)
    bob.sees(APPLIED, 2)
    alice.send("e4msg room again").sees("sent to room", 2)
    bob.sees("[room] refused: topic key not found")
    assert alice.finish() == 1  # two of its commands have failed
    assert bob.finish("exit") == eve.finish() == 0
    cli.assert_no_secret(PASSWORD.encode(), *(key_of(cli, f"{n}.key") for n in ("room", "bob", "eve")))


def test_the_story_in_public_key_mode(cli: Cli, wire: Plain) -> None:
    cli.ok("keygen", "curve25519", "--out", "c2.key")
    clients = {}
    for name in ("alice", "bob"):
        cli.ok("keygen", "ed25519", "--out", f"{name}.key")
        clients[name] = cli.live(
            "--name", name, "--pubkey", "--c2-pubkey", "c2.key.pub", "--key-file", f"{name}.key"
        ).sees("connected")
    alice, bob = clients["alice"], clients["bob"]
    public = key_of(cli, "alice.key.pub").hex()
    alice.send("print-key").sees(f"id {crypto.hash_id_alias('alice').hex()}  public key {public}")

    def command(to: str, name: str, *options: str) -> None:
        key = ("--c2-key", "c2.key", "--client-pubkey", f"{to}.key.pub")
        cli.ok("command", name, "--to", to, *key, *options)

    cli.ok("keygen", "symmetric", "--out", "room.key")
    for name in clients:
        command(name, "set-topic-key", "--topic", "room", "--key-file", "room.key")
        clients[name].sees(APPLIED)
    bob.send("subscribe room").sees("subscribed to room")
    alice.send("e4msg room who am I").sees("sent to room")
    bob.sees("[room] refused: public key not found")
    command("bob", "set-pub-key", "--of", "alice", "--pubkey", public)
    bob.sees(APPLIED, 2)
    alice.send("e4msg room it is me").sees("sent to room", 2)
    bob.sees("[room] it is me")
    assert [len(m) - 104 for m in on(wire, "room", 2)] == [len("who am I"), len("it is me")]
    # A new key pair: print-key shows the new public key, and the old one no longer counts.
    cli.ok("keygen", "ed25519", "--out", "new.key")
    command("alice", "set-id-key", "--key-file", "new.key")
    alice.sees(APPLIED, 2)
    alice.send("print-key", "e4msg room new").sees("sent to room", 3)
    assert any(key_of(cli, "new.key.pub").hex() in line for line in alice.out)
    bob.sees("[room] refused: signature is not valid")
    assert alice.finish() == bob.finish() == 0
    secrets = [key_of(cli, f"{n}.key") for n in ("c2", "alice", "bob", "new", "room")]
    cli.assert_no_secret(*secrets, *(s[:32] for s in secrets))


def test_the_state_is_kept_between_runs(cli: Cli) -> None:
    cli.ok("keygen", "symmetric", "--out", "room.key")
    alice = symmetric(cli, "alice")
    state = cli.folder / "state" / "e4" / "alice.json"
    alice.complains(f"e4: new client alice, kept in {state}")
    cli.ok(
        "command",
        "set-topic-key",
        "--to",
        "alice",
        "--client-key",
        "alice.key",
        "--topic",
        "room",
        "--key-file",
        "room.key",
        "--no-retain",
    )
    alice.sees(APPLIED)
    cli.fails(1, "is open in another client", "client", "--name", "alice")
    assert alice.finish() == 0
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    # No key and no password any more; the topic's key is still there.
    out = cli.ok("client", "--name", "alice", input="e4msg room hello\n")
    assert out.splitlines() == ["connected", "sent to room"]
    again = cli.run("client", "--name", "alice", "--password", PASSWORD)
    assert (again.returncode, again.stderr) == (
        0,
        "e4: the client exists already: the keys given are not used\n",
    )


def test_a_state_that_is_not_the_one_meant(cli: Cli) -> None:
    assert symmetric(cli, "alice", "--state", "alice.json").finish() == 0
    cli.ok("keygen", "curve25519", "--out", "c2.key")
    cli.ok("keygen", "ed25519", "--out", "bob.key")
    bob = ("--name", "bob", "--state", "bob.json")
    assert cli.live(*bob, "--pubkey", "--c2-pubkey", "c2.key.pub", "--key-file", "bob.key").finish() == 0
    cli.fails(1, "alice.json holds another client", "client", "--name", "bob", "--state", "alice.json")
    cli.fails(
        1,
        "holds alice in symmetric-key mode: leave out --pubkey",
        "client",
        "--name",
        "alice",
        "--pubkey",
        "--state",
        "alice.json",
    )
    cli.fails(1, "holds bob in public-key mode: add --pubkey", "client", *bob)
    assert cli.live(*bob, "--pubkey").finish() == 0
    before = (cli.folder / "alice.json").read_bytes().replace(b'"Key":"', b'"Key":"!')
    (cli.folder / "alice.json").write_bytes(before)
    cli.fails(
        1,
        "no valid state, and was left as it is: Key.keyData.Key",
        "client",
        "--name",
        "alice",
        "--state",
        "alice.json",
    )
    assert (cli.folder / "alice.json").read_bytes() == before


def test_a_command_sent_while_the_client_was_away_arrives_before_its_first_line_needs_it(cli: Cli) -> None:
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    cli.ok("keygen", "symmetric", "--out", "room.key")
    document = json.loads(
        cli.ok(
            "command",
            "set-topic-key",
            "--to-id",
            crypto.hash_id_alias("alice").hex(),
            "--client-key",
            "alice.key",
            "--topic",
            "room",
            "--key-file",
            "room.key",
            "--json",
        )
    )
    assert document == {
        "command": "set-topic-key",
        "client": None,
        "id": crypto.hash_id_alias("alice").hex(),
        "topic": crypto.topic_for_id(crypto.hash_id_alias("alice")),
        "published": True,
        "retain": True,
    }
    for _ in range(2):  # the second time the broker delivers it again, which is nobody's concern
        result = cli.run("client", "--name", "alice", "--key-file", "alice.key", input="e4msg room hello\n")
        assert result.returncode == 0, result.stderr
        assert "refused" not in result.stdout
        assert "sent to room" in result.stdout


def test_without_retain_the_broker_keeps_nothing(cli: Cli) -> None:
    assert cli.broker is not None
    key = ("--client-key", "alice.key")
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    cli.ok("command", "reset-topics", "--to", "alice", *key, "--no-retain")
    cli.ok("command", "reset-topics", "--to", "bob", *key)
    late = Plain(cli.broker, "e4/#")
    try:
        until(lambda: late.seen)
        assert [m.topic for m in late.seen if m.retain] == [crypto.topic_for_id(crypto.hash_id_alias("bob"))]
    finally:
        late.close()


def test_with_a_kept_session_no_command_is_missed(cli: Cli) -> None:
    options = ("--keep-session", "--mqtt-version", "5")
    assert symmetric(cli, "alice", *options).finish() == 0
    cli.ok("keygen", "symmetric", "--out", "room.key")
    for topic in ("room", "hall"):
        cli.ok(
            "command",
            "set-topic-key",
            "--to",
            "alice",
            "--client-key",
            "alice.key",
            "--topic",
            topic,
            "--key-file",
            "room.key",
        )
    out = cli.ok("client", "--name", "alice", *options, input="e4msg room a\ne4msg hall b\n")
    assert out.splitlines().count(APPLIED) == 2
    assert "sent to room" in out
    assert "sent to hall" in out


def test_json_for_programs(cli: Cli) -> None:
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    alice = cli.live("--name", "alice", "--key-file", "alice.key", "--json")
    alice.event(event="connected")
    alice.send("subscribe hall", "clearmsg hall grüße \x1b[2J", "dance")
    alice.event(event="subscribed", topic="hall")
    message = alice.event(event="message", topic="hall")
    assert message["text"] == base64.b64decode(message["payload"]).decode() == "grüße \x1b[2J"
    assert message["protected"] is False
    assert alice.event(event="error")["line"] == 3
    assert alice.finish() == 1
    assert not any("\x1b" in line for line in alice.out)


def test_interrupted_while_it_waits_for_a_line(cli: Cli) -> None:
    alice = symmetric(cli, "alice")
    alice.interrupt()
    assert alice.wait() == 130
    assert not any("Traceback" in line for line in alice.err)


def test_when_nobody_reads_its_output_any_more_it_ends(cli: Cli) -> None:
    assert cli.broker is not None
    alice = symmetric(cli, "alice").send("subscribe hall").sees("subscribed to hall")
    bob = subprocess.Popen(
        [
            *E4,
            "client",
            "--name",
            "bob",
            "--key-file",
            "alice.key",
            "--broker",
            f"localhost:{cli.broker.port}",
        ],
        cwd=cli.folder,
        env=cli.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert bob.stdin is not None
    assert bob.stdout is not None
    assert bob.stderr is not None
    try:
        bob.stdin.write(b"subscribe hall\n")
        bob.stdin.flush()
        assert [bob.stdout.readline() for _ in range(2)] == [b"connected\n", b"subscribed to hall\n"]
        bob.stdout.close()
        alice.send("clearmsg hall anybody there")
        assert bob.wait(20) == 1
        assert b"Traceback" not in bob.stderr.read()
    finally:
        bob.kill()
        bob.wait()
        bob.stdin.close()
        bob.stderr.close()
    assert alice.finish() == 0


def test_a_printed_command_works_when_sent_by_other_means(cli: Cli, wire: Plain) -> None:
    alice = symmetric(cli, "alice")
    cli.ok("keygen", "symmetric", "--out", "room.key")
    result = cli.run(
        "command",
        "set-topic-key",
        "--to",
        "alice",
        "--client-key",
        "alice.key",
        "--topic",
        "room",
        "--key-file",
        "room.key",
        "--print",
        "base64",
    )
    topic = crypto.topic_for_id(crypto.hash_id_alias("alice"))
    assert topic in result.stderr
    assert [m for m in wire.seen if m.topic == topic] == []
    wire.publish(topic, base64.b64decode(result.stdout))
    alice.sees(APPLIED)
    assert alice.finish("e4msg room it works") == 0


def test_verbose_logs_to_stderr_and_no_secret(cli: Cli) -> None:
    cli.ok("keygen", "symmetric", "--out", "alice.key")
    cli.ok("keygen", "symmetric", "--out", "room.key")
    cli.ok(
        "command",
        "set-topic-key",
        "--to",
        "alice",
        "--client-key",
        "alice.key",
        "--topic",
        "room",
        "--key-file",
        "room.key",
        "--verbose",
    )
    result = cli.run(
        "client",
        "--name",
        "alice",
        "--key-file",
        "alice.key",
        "--verbose",
        input="e4msg room attack at dawn\nsubscribe room\n",
    )
    assert result.returncode == 0, result.stderr
    assert "e4.mqtt" in result.stderr
    assert "e4.mqtt" not in result.stdout
    assert "attack at dawn" not in result.stderr
    cli.assert_no_secret(key_of(cli, "alice.key"), key_of(cli, "room.key"))


def test_files_are_left_nowhere_else(cli: Cli) -> None:
    assert symmetric(cli, "alice").finish("clearmsg hall some text") == 0
    here = {path.name for path in cli.folder.rglob("*") if path.is_file() and "mosquitto" not in str(path)}
    assert here == {"alice.key", "alice.json", "alice.json.lock"}
    assert not any(b"some text" in path.read_bytes() for path in (cli.folder / "state").rglob("*.*"))
