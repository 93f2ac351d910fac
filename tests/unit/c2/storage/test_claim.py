"""A claim: the beginning of some clients' queues, in order, with all that it takes to send it."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import pytest

from e4.c2.model import CommandKind, KeyState
from e4.c2.storage import NewCommand, Outgoing, Sent, Store, StoredVault
from tests.unit.c2.storage._fill import NOW, add_clients, add_topic, claimed, plain, set_topic_key

VAULT = StoredVault("symkey", bytes(16), NOW, bytes(16), 3, 65536, 4, bytes(80))


def test_nothing(store: Store) -> None:
    assert claimed(store) == []
    with store.claim(10, NOW) as claim, claim.write() as tx:
        assert tx.commands.pending() == (0, None)


def test_a_topic_key_is_the_newest(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        topic = add_topic(tx)
        tx.commands.queue([set_topic_key(alice, topic, job=3), set_topic_key(bob, topic)])
        tx.keys.add_topic_key(topic.row, 2, b"key 2", NOW)
        tx.topics.set_version(topic.row, 2, NOW)
    first, second = claimed(store)
    assert (first.client, first.client_id, first.client_row, first.kind) == (
        *("alice", alice.id, alice.row),
        CommandKind.SET_TOPIC_KEY,
    )
    assert (first.key_version, first.client_key) == (1, b"key 1 of %d" % alice.row)
    assert (first.topic, first.topic_row, first.topic_hash) == ("plant/boiler", topic.row, topic.hash)
    assert (first.topic_version, first.topic_key) == (2, b"key 2")
    assert (first.source, first.source_row, first.source_key, first.new_key) == ("", None, None, None)
    assert (first.attempts, first.job, first.last_timestamp) == (0, 3, None)
    assert (second.client, second.topic_key, second.job) == ("bob", b"key 2", None)
    assert "key" not in repr(first).replace("key_version", "")


def test_a_public_key_is_the_newest(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob", c2=4)
        tx.keys.add_client_keys([(bob.row, 2, KeyState.PENDING, b"bob 2", b"private", NOW)])
        tx.clients.set_key_version(bob.row, 2)
        tx.commands.queue(
            [
                NewCommand(
                    *(alice.id, alice.row, CommandKind.SET_PUB_KEY, NOW, 1, 4),
                    source_row=bob.row,
                    source_id=bob.id,
                )
            ]
        )
    (out,) = claimed(store)
    assert (out.source, out.source_row, out.source_id, out.source_version, out.source_key) == (
        *("bob", bob.row, bob.id),
        *(2, b"bob 2"),
    )
    assert out.c2_key_version == 4


@pytest.mark.parametrize(("mode", "key"), [("symkey", b"new"), ("pubkey", b"private")])
def test_a_new_client_key_is_by_mode(store: Store, mode: str, key: bytes) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.vault.put(StoredVault(mode, *(getattr(VAULT, name) for name in VAULT.__slots__[1:])))  # type: ignore[arg-type]
        tx.keys.add_client_keys([(alice.row, 2, KeyState.PENDING, b"new", b"private", NOW)])
        tx.commands.queue([plain(alice, CommandKind.SET_ID_KEY)._replace(new_version=2), plain(alice)])
    first, second = claimed(store)
    assert (first.key_version, first.new_version, first.new_key) == (1, 2, key)
    assert second.new_key is None
    with store.write() as tx:
        tx.keys.activate_client_key(alice.row, 2)
    first, _ = claimed(store)
    assert first.new_key == (b"new" if mode == "symkey" else None)


def test_what_is_gone_is_none(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        topic = add_topic(tx)
        tx.commands.queue(
            [
                set_topic_key(alice, topic),
                NewCommand(
                    alice.id, alice.row, CommandKind.SET_PUB_KEY, NOW, 1, source_row=bob.row, source_id=bob.id
                ),
                plain(bob, CommandKind.CLEAR_RETAINED),
            ]
        )
        tx.topics.delete(topic.row)
        tx.clients.delete(bob.row)
    topic_key, public_key, clear = claimed(store)
    assert (topic_key.topic, topic_key.topic_version, topic_key.topic_key) == ("", None, None)
    assert (public_key.source, public_key.source_version, public_key.source_key) == ("", None, None)
    assert (clear.client, clear.client_id, clear.client_key) == (bob.id.hex(), bob.id, None)


def test_the_newest_timestamp_of_a_client(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        tx.commands.queue([plain(alice), plain(alice), plain(alice), plain(bob)])
        first, second, *_ = (command.id for command in tx.commands.page(limit=9))
        tx.commands.mark_sent([Sent(first, 1_700_000_009, 1), Sent(second, 1_700_000_003, 1)], NOW)
    assert [out.last_timestamp for out in claimed(store)] == [1_700_000_009, None]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_each_client_has_the_beginning_of_its_queue(store: Store, limit: int) -> None:
    chance = random.Random(limit)
    with store.write() as tx:
        clients = {client.name: client for client in add_clients(tx, *"abcdefgh")}
        tx.commands.queue([plain(chance.choice(list(clients.values()))) for _ in range(60)])
        commands = tx.commands.page(limit=100)
        chance.shuffle(commands)
        sent, retried, waiting = commands[:10], commands[10:20], commands[20:30]
        tx.commands.mark_sent([Sent(command.id, 5, 1) for command in sent], NOW)
        tx.commands.mark_failed([(command.id, "no", NOW - 1) for command in retried])
        tx.commands.mark_failed([(command.id, "no", NOW + 1) for command in waiting])
    queues: dict[bytes, list[int]] = defaultdict(list)
    for command in sorted(commands[10:], key=lambda command: command.id):
        queues[clients[command.client].id].append(command.id)
    may_go = {client: _before(queue, {command.id for command in waiting}) for client, queue in queues.items()}
    while outgoing := _send(store, limit):
        assert len(outgoing) <= limit
        assert [out.command for out in outgoing] == sorted(out.command for out in outgoing)
        for out in outgoing:
            assert out.command == may_go[out.client_id].pop(0)
    assert not any(may_go.values())


def _before(queue: list[int], stops: set[int]) -> list[int]:
    return list(itertools.takewhile(lambda command: command not in stops, queue))


def _send(store: Store, limit: int) -> list[Outgoing]:
    with store.claim(limit, NOW) as claim, claim.write() as tx:
        assert not tx.commands.mark_sent([Sent(out.command, 6, 1) for out in claim.outgoing], NOW)
    return claim.outgoing


def test_a_failed_head_holds_its_queue_back_and_no_other(store: Store) -> None:
    with store.write() as tx:
        clients = add_clients(tx, *(f"{number:03d}" for number in range(200)))
        tx.commands.queue([plain(client) for client in clients for _ in range(3)])
        heads = {client.name: 0 for client in clients}
        for command in reversed(tx.commands.page(limit=600)):
            heads[command.client] = command.id
        tx.commands.mark_failed([(heads[client.name], "no", NOW + 60_000) for client in clients[:190]])
    assert {out.client for out in claimed(store, 15)} == {client.name for client in clients[190:195]}
    assert len(claimed(store, 1000)) == 30
    assert len(claimed(store, 1000, NOW + 60_000)) == 600


def test_retries_and_new_commands_both_get_their_share(store: Store) -> None:
    with store.write() as tx:
        failing = add_clients(tx, *(f"failing {number}" for number in range(20)))
        tx.commands.queue([plain(client) for client in failing])
        tx.commands.mark_failed([(command.id, "no", NOW - 1) for command in tx.commands.page(limit=20)])
        fresh = add_clients(tx, *(f"fresh {number}" for number in range(20)))
        tx.commands.queue([plain(client) for client in fresh])
    names = [out.client for out in claimed(store, 8)]
    assert sum(name.startswith("failing") for name in names) == 2
    assert sum(name.startswith("fresh") for name in names) == 6
    assert len(claimed(store, 100)) == 40


def test_one_client_may_fill_a_claim(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        tx.commands.queue([plain(alice) for _ in range(50)] + [plain(bob)])
    assert [out.client for out in claimed(store, 10)] == ["alice"] * 10
    assert len(claimed(store, 51)) == 51


def test_a_claim_without_a_result_changes_nothing(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice)])
    before = claimed(store)

    def fail() -> None:
        with store.claim(10, NOW) as claim:
            claim.check()
            with claim.write() as tx:
                tx.commands.mark_sent([Sent(claim.outgoing[0].command, 5, 1)], NOW)
                raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [out.command for out in claimed(store)] == [out.command for out in before]
    with store.read() as tx:
        assert tx.commands.pending() == (1, NOW)


def test_operations_go_on_beside_a_claim(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice)])
    with store.claim(10, NOW) as claim:
        with store.write() as tx:
            locked = tx.clients.lock("alice")
            assert locked == alice
            tx.commands.queue([plain(alice, CommandKind.RESET_PUB_KEYS)])
        assert store.advance_clock(1_700_000_000) == 1_700_000_000
        with claim.write() as tx:
            tx.commands.mark_sent([Sent(out.command, 1_700_000_000, 1) for out in claim.outgoing], NOW)
    assert [out.kind for out in claimed(store)] == [CommandKind.RESET_PUB_KEYS]


def test_the_clock_of_delivery_never_goes_back(store: Store, database_url: str) -> None:
    assert store.clock() == 0
    assert store.advance_clock(100) == 100
    assert store.advance_clock(99) == 100
    assert store.advance_clock(100) == 100
    other = Store.open(database_url)
    try:
        assert other.clock() == 100
        assert other.advance_clock(10_000) == 10_000
        assert other.advance_clock(5) == 10_000
    finally:
        other.close()
    assert store.clock() == 10_000
