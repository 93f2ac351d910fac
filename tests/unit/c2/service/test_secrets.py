"""No secret is where it should not be: not in the database, and not in what the service says."""

from __future__ import annotations

import base64
import traceback
from pathlib import Path

import pytest

from e4.c2.model import Call, Role
from e4.c2.storage.copy import backup
from e4.errors import E4Error
from tests.unit.c2._world import CALL, PASSPHRASE, World, new_key


def forms(secret: bytes) -> list[bytes]:
    """How a secret might be written down."""
    return [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        repr(secret)[2:-1].encode(),
    ]


@pytest.fixture
def secrets(world: World, call: Call) -> list[bytes]:
    """Every secret of a world in which everything has been done once, some commands still waiting."""
    found = [PASSPHRASE.encode()]
    devices = []
    for name in ("alice", "bob"):
        secret, known = new_key(world.mode)
        devices.append(world.device(name, secret=secret))
        found.append(secret if world.mode == "symkey" else secret[:32])
        assert known
    for _ in range(3):
        world.service.topics.new_topic(call, "t")
        found.append(world.topic_key("t"))
    world.service.members.new_topic_clients(call, [("alice", "t"), ("bob", "t")])
    world.service.links.link_client(call, "alice", "bob")
    world.deliver_all()
    world.service.keys.new_client_keys(call, ["alice", "bob"])
    world.deliver_all()
    world.service.keys.new_client_key(call, "alice")
    if world.mode == "pubkey":
        world.service.keys.new_c2_key(call, True)
    world.service.clients.resync_client(call, "bob")
    _, token = world.service.tokens.new_token(call, "robot", Role.ADMIN, True)
    found.append(token.encode())
    with world.store.read() as tx:
        for client in tx.clients.iterate():
            for key in tx.keys.client_keys(client.row):
                if world.mode == "symkey":
                    found.append(world.vault.open_key("client_keys", client.row, key.version, key.sealed))
                elif key.transit is not None:
                    table = "client_keys.transit"
                    private = world.vault.open_key(table, client.row, key.version, key.transit)
                    found.append(private[:32])
        for c2_key in tx.keys.c2_keys():
            found.append(world.vault.open_key("c2_keys", c2_key.version, c2_key.version, c2_key.sealed))
    return list(dict.fromkeys(found))


def test_the_database_holds_none(world: World, secrets: list[bytes], tmp_path: Path) -> None:
    backup(world.store, tmp_path / "copy.db")
    content = (tmp_path / "copy.db").read_bytes()
    assert b"alice" in content
    assert len(secrets) > 5
    for secret in secrets:
        for form in forms(secret):
            assert form not in content


def test_what_is_told_shows_none(world: World, secrets: list[bytes], call: Call) -> None:
    service = world.service
    with world.store.claim(100, world.clock()) as claim, world.store.read() as tx:
        told = [
            service.clients.get_client(call, "alice"),
            service.clients.page_clients(call, None, 10),
            service.topics.get_topic(call, "t"),
            service.commands.page_commands(call, limit=100),
            service.jobs.page_jobs(call),
            service.events.read_events(call, 0),
            service.audit.page_audit(call, limit=1000),
            service.tokens.page_tokens(call),
            list(service.clients.export_clients(call)),
            claim.outgoing,
            [tx.keys.client_keys(row) for row in (1, 2)],
            tx.keys.c2_keys(),
            tx.vault.get(),
            world.vault,
            service,
        ]
    text = "\n".join(map(repr, told)).encode()
    for secret in secrets:
        for form in forms(secret):
            assert form not in text


def test_errors_show_none(world: World, secrets: list[bytes]) -> None:
    """Whatever refuses a key, a payload or a token does not repeat it."""
    service = world.service
    payload = b"a payload that stays out of every text"
    bad = [bytes(range(31)), bytes(range(33)), *secrets]
    texts: list[str] = []
    for key in bad:
        for attempt in (
            lambda key=key: service.clients.new_client(CALL, "x" * 256, key),
            lambda key=key: service.clients.new_client(CALL, "carol", key[:-1]),
            lambda key=key: service.messages.unprotect_message(CALL, "t", key),
            lambda key=key: world.vault.open_key("topic_keys", 1, 1, key),
        ):
            try:
                attempt()
            except E4Error as error:
                texts += traceback.format_exception_only(error)
    for topic in ("u", "#"):
        with pytest.raises(E4Error) as caught:
            service.messages.protect_message(CALL, topic, payload)
        texts.append(str(caught.value))
    assert texts
    text = "\n".join([*texts, repr(world.audit())]).encode()
    for secret in [payload, *bad]:
        for form in forms(secret):
            assert form not in text
