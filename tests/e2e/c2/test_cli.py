"""``e4 c2`` against a server that runs: what an operator does, and what becomes of the devices."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e4 import crypto
from tests._broker import Brokers
from tests.e2e._c2_server import C2Server, C2Servers
from tests.e2e._cli import Cli, Live

pytestmark = [pytest.mark.mosquitto, pytest.mark.timeout(180)]

PASSWORD = "correct horse battery staple"


class Operator:
    """The command line of one operator, who is logged in."""

    def __init__(self, cli: Cli, server: C2Server) -> None:
        self.cli = cli
        self.server = server
        cli.env["XDG_CONFIG_HOME"] = str(cli.folder / "config")
        (cli.folder / "admin.token").write_text(server.token)
        self("login", "--url", server.url, "--ca", server.ca, "--token-file", "admin.token")

    def __call__(self, *arguments: object) -> str:
        """Run ``e4 c2`` with these; what it prints."""
        return self.cli.ok("c2", *arguments)

    def json(self, *arguments: object) -> Any:
        """The JSON document it prints."""
        return json.loads(self(*arguments, "--json"))

    def lines(self, *arguments: object) -> list[Any]:
        """The JSON lines it prints."""
        return [json.loads(line) for line in self(*arguments, "--json").splitlines()]

    def fails(self, code: int, text: str, *arguments: object) -> None:
        """Run ``e4 c2`` with these, which ends with this code and one line about it."""
        self.cli.fails(code, text, "c2", *arguments)

    def device(self, name: str, *arguments: object) -> Live:
        """An ``e4 client`` that is connected."""
        assert self.cli.broker is not None
        live = self.cli.live("--name", name, "--json", *arguments)
        live.event(event="connected")
        return live


@pytest.fixture
def operator(
    make_cli: Callable[..., Cli], mosquitto: Brokers, c2_server: C2Servers
) -> Iterator[Callable[..., Operator]]:
    """Makes an operator of a new server."""
    made: list[Operator] = []

    def make(**arguments: Any) -> Operator:
        broker = mosquitto()
        made.append(Operator(make_cli(broker), c2_server(broker, **arguments)))
        return made[-1]

    yield make
    for operator in made:
        operator.cli.assert_no_secret(operator.server.token.encode(), PASSWORD.encode())


def heard(device: Live, text: str) -> None:
    """A device has read a protected message."""
    device.event(event="message", protected=True, text=text)


def commanded(device: Live, times: int) -> None:
    """A device has applied so many commands."""
    device._until(
        lambda: sum(json.loads(line)["event"] == "command" for line in list(device.out)) >= times,
        f"{times} commands",
    )


def test_clients_talk_and_one_is_shut_out(operator: Callable[..., Operator]) -> None:
    c2 = operator()
    c2("client", "create", "alice", "--out", "alice.key")
    (c2.cli.folder / "bob.password").write_text(PASSWORD)
    c2("client", "create", "bob", "--password-file", "bob.password")
    c2("topic", "create", "house/room")
    alice = c2.device("alice", "--key-file", "alice.key")
    bob = c2.device("bob", "--password-file", "bob.password").send("subscribe house/room")
    bob.event(event="subscribed")
    for name in ("alice", "bob"):
        c2("attach", name, "house/room")
    for device in (alice, bob):
        commanded(device, 1)
    alice.send("e4msg house/room one")
    heard(bob, "one")

    assert "sent to 2 clients" in c2("topic", "rotate", "house/room", "--watch")
    for device in (alice, bob):
        commanded(device, 2)
    alice.send("e4msg house/room two")
    heard(bob, "two")

    c2("detach", "bob", "house/room")
    commanded(bob, 3)
    c2("topic", "rotate", "house/room", "--watch")
    commanded(alice, 3)
    alice.send("e4msg house/room three")
    bob.event(event="refused", topic="house/room")

    assert [client["name"] for client in c2.lines("client", "list", "--topic", "house/room")] == ["alice"]
    shown = c2.json("client", "show", "alice")
    assert shown["topic_names"] == ["house/room"]
    assert {command["state"] for command in shown["last_commands"]} == {"sent"}
    assert c2.json("count", "--client", "bob") == {"topics": 0, "links": 0}
    message = c2("protect-message", "house/room", "--hex", b"four".hex(), "--print", "hex").strip()
    assert c2("unprotect-message", "house/room", "--hex", message) == "four"
    key = (c2.cli.folder / "alice.key").read_bytes()
    c2.cli.assert_no_secret(key, crypto.derive_sym_key(PASSWORD))


def test_public_keys_and_new_ones(operator: Callable[..., Operator]) -> None:
    c2 = operator(mode="pubkey")
    c2("c2-public-key", "--out", "c2.pub")
    for name in ("alice", "bob"):
        c2("client", "create", name, "--out", f"{name}.key")
    c2("topic", "create", "room")
    alice, bob = (
        c2.device(name, "--pubkey", "--c2-pubkey", "c2.pub", "--key-file", f"{name}.key")
        for name in ("alice", "bob")
    )
    bob.send("subscribe room").event(event="subscribed")
    for name in ("alice", "bob"):
        c2("attach", name, "room")
    c2("client", "link", "alice", "--to", "bob")
    c2("client", "send-pubkey", "alice", "--to", "bob")
    commanded(alice, 1)
    commanded(bob, 2)
    alice.send("e4msg room one")
    heard(bob, "one")

    c2("client", "new-key", "alice")
    commanded(alice, 2)
    commanded(bob, 3)  # alice's new public key, by the link
    alice.send("e4msg room two")
    heard(bob, "two")

    assert "sent to 2 clients" in c2("new-c2-key", "--force", "--watch")
    commanded(alice, 3)
    commanded(bob, 4)
    c2("new-c2-key", "--confirm", "--yes")
    c2("client", "new-key", "alice", "--confirm", "--yes")
    c2("client", "reset-pubkeys", "bob", "--yes")
    commanded(bob, 5)
    alice.send("e4msg room three")
    bob.event(event="refused", topic="room")
    c2("client", "resync", "bob")
    commanded(bob, 9)
    alice.send("e4msg room four")
    heard(bob, "four")
    private = (c2.cli.folder / "alice.key").read_bytes()
    c2.cli.assert_no_secret(private, private[:32])


def test_tokens_and_the_audit(operator: Callable[..., Operator]) -> None:
    c2 = operator()
    c2("token", "create", "console", "--role", "viewer", "--out", "console.token")
    viewer = "--token-file", "console.token"
    assert c2("count", *viewer) == "clients\t0\ntopics\t0\n"
    c2.fails(1, "it takes a token that allows it", "topic", "create", "room", *viewer)
    c2("token", "revoke", "console", "--yes")
    (c2.cli.folder / "wrong.token").write_text("e4_wrong")
    for file in ("console.token", "wrong.token"):
        c2.fails(1, "log in with 'e4 c2 login', or give a token", "count", "--token-file", file)
    rows = {(row["operation"], row["outcome"]) for row in c2.lines("audit", "list")}
    assert {("new_token", "done"), ("new_topic", "PermissionDenied"), ("revoke_token", "done")} <= rows
    assert "is as it was written" in c2("audit", "verify")
    c2("logout")
    c2.fails(2, "log in with 'e4 c2 login'", "count")


def test_a_fleet_from_a_file_and_to_a_file(operator: Callable[..., Operator]) -> None:
    c2 = operator()
    folder = c2.cli.folder
    rows = [f"d{i:04},{crypto.random_key().hex()}" for i in range(2500)]
    (folder / "fleet.csv").write_text("\n".join(["name,key", *rows, "d9999,short", ""]))
    result = c2.cli.run("c2", "import", "clients", "fleet.csv")
    assert result.returncode == 1
    assert result.stdout == "2501 rows: 2500 new, 0 replaced, 0 unchanged, 1 refused\n"
    assert re.fullmatch(r"e4: line 250\d: key must be .*\n", result.stderr)
    c2("topic", "create", "room")
    members = [json.dumps({"client": f"d{i:04}", "topic": "room"}) for i in range(40)]
    (folder / "members.jsonl").write_text("\n".join(members))
    assert c2.json("import", "memberships", "members.jsonl")["created"] == 40
    assert len(c2.lines("client", "list")) == 2500
    assert [c["name"] for c in c2.lines("client", "list", "--prefix", "d249")] == [
        f"d249{i}" for i in range(10)
    ]
    assert len(c2.lines("client", "list", "--limit", "1001")) == 1001
    c2("export", "--memberships", "--out", "members.csv")
    assert "40 rows: 0 new, 0 replaced, 40 unchanged, 0 refused" in c2("import", "memberships", "members.csv")
    exported = [json.loads(line) for line in c2("export").splitlines()]
    assert sum("client" in line for line in exported) == 2500
    key = rows[0].partition(",")[2]
    assert key not in c2.cli.printed


def test_events_are_followed(operator: Callable[..., Operator]) -> None:
    c2 = operator()
    c2("topic", "create", "one")
    follower = Live(["c2", "events", "--follow", "--after", "0", "--json"], c2.cli.folder, c2.cli.env)
    try:
        follower.event(kind="topic.created", source="one")
        c2("topic", "create", "two")
        number = follower.event(kind="topic.created", source="two")["number"]
        follower.interrupt()
        assert follower.wait() == 130
    finally:
        follower.end()
    assert [event["source"] for event in c2.lines("events", "--kind", "topic")] == ["one", "two"]
    assert c2("events", "--after", number) == ""


def test_at_a_terminal(operator: Callable[..., Operator]) -> None:
    c2 = operator()
    for name in ("alice", "bob"):
        c2("client", "create", name, "--out", f"{name}.key")
    typist = c2.cli.typist("c2", "client", "list", columns=100)
    typist.exits(0)
    assert typist.screen.lines[0].split() == ["name", "id", "key", "created"]
    assert [line.split()[0] for line in typist.screen.lines[1:]] == ["alice", "bob"]
    for answer, code, left in (("n", 1, 2), ("y", 0, 1)):
        typist = c2.cli.typist("c2", "client", "remove", "bob", columns=100)
        typist.until(lambda lines: lines and lines[0].endswith("[y/N]"), "the question")
        typist.press(f"{answer}\r").exits(code)
        assert len(c2.lines("client", "list")) == left
    c2("topic", "create", "room")
    c2("attach", "alice", "room")
    typist = c2.cli.typist("c2", "topic", "rotate", "room", "--watch", columns=100)
    typist.exits(0)
    assert any("100%" in line and "1/1" in line for line in typist.screen.lines)


def test_a_server_that_is_not_there(make_cli: Callable[..., Cli], tmp_path: Path) -> None:
    cli = make_cli()
    cli.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    words = "--url", "https://127.0.0.1:9", "--timeout", "2"
    cli.fails(1, "nothing answers at https://127.0.0.1:9", "c2", "count", *words)
    cli.fails(1, "http:// is for this machine alone", "c2", "count", "--url", "http://c2.example")


def test_a_server_that_nobody_vouches_for(operator: Callable[..., Operator]) -> None:
    c2 = operator()
    c2("logout")
    c2.fails(1, "certificate", "count", "--url", c2.server.url, "--token-file", "admin.token")
