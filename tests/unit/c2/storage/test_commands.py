"""The outbox: what is queued, made needless, sent or refused, and what is told of it."""

from __future__ import annotations

import pytest

from e4.c2.model import CommandKind, CommandState
from e4.c2.storage import NewCommand, Sent, Store, Transaction
from tests.unit.c2.storage._fill import (
    NOW,
    add_clients,
    add_topic,
    claimed,
    id_of,
    plain,
    remove_topic,
    set_topic_key,
)

SENT, QUEUED, FAILED, SUPERSEDED = (
    CommandState.SENT,
    CommandState.QUEUED,
    CommandState.FAILED,
    CommandState.SUPERSEDED,
)


def states(tx: Transaction) -> list[CommandState]:
    return [command.state for command in tx.commands.page(limit=100)]


def send_all(store: Store, timestamp: int, at: int = NOW) -> list[int]:
    with store.claim(100, at) as claim:
        sent = [Sent(out.command, timestamp, out.key_version) for out in claim.outgoing]
        with claim.write() as tx:
            assert not tx.commands.mark_sent(sent, at)
    return [command.id for command in sent]


def test_a_command_on_its_way(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        topic = add_topic(tx)
        assert tx.commands.pending() == (0, None)
        tx.commands.queue([set_topic_key(alice, topic)])
        (command,) = tx.commands.page(limit=10)
        assert (command.client, command.kind, command.subject) == (
            *("alice", CommandKind.SET_TOPIC_KEY),
            "plant/boiler",
        )
        assert (command.state, command.attempts, command.error) == (QUEUED, 0, "")
        assert (command.created_at, command.sent_at, command.timestamp) == (NOW, None, None)
        assert tx.commands.pending() == (1, NOW)
        assert tx.commands.count_pending_of(alice.id) == 1

        tx.commands.mark_failed([(command.id, "not authorized\0", NOW + 5)])
        failed = tx.commands.get(command.id)
        assert failed is not None
        assert (failed.state, failed.attempts, failed.error) == (FAILED, 1, "not authorized�")
        assert tx.commands.pending() == (1, NOW)

        assert tx.commands.mark_sent([Sent(command.id, 1_700_000_001, 1)], NOW + 9) == frozenset()
        sent = tx.commands.get(command.id)
        assert sent is not None
        assert (sent.state, sent.attempts, sent.error) == (SENT, 1, "")
        assert (sent.sent_at, sent.timestamp) == (NOW + 9, 1_700_000_001)
        assert tx.commands.pending() == (0, None)
        assert tx.commands.get(999) is None


def test_settled_commands_do_not_fail(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice), plain(alice)])
        first, second = tx.commands.page(limit=2)
        tx.commands.mark_sent([Sent(first.id, 1, 1)], NOW)
        tx.commands.mark_superseded([first.id, second.id], NOW)
        assert states(tx) == [SENT, SUPERSEDED]
        tx.commands.mark_failed([(first.id, "no", NOW), (second.id, "no", NOW)])
        assert states(tx) == [SENT, SUPERSEDED]
        superseded = tx.commands.get(second.id)
        assert superseded is not None
        assert superseded.sent_at is None


def test_one_superseded_on_its_way_ends_as_sent(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice)])
        assert tx.commands.supersede(at=NOW, clients=[alice.id]) == 1
        (command,) = tx.commands.page(limit=1)
        assert command.state == SUPERSEDED
        assert not tx.commands.mark_sent([Sent(command.id, 7, 1)], NOW)
        assert states(tx) == [SENT]


def test_supersede_selects(store: Store) -> None:
    def fill(tx: Transaction) -> None:
        tx.commands.queue(
            [
                set_topic_key(alice, one),
                remove_topic(alice, one),
                set_topic_key(alice, two),
                set_topic_key(bob, one),
                NewCommand(
                    bob.id,
                    bob.row,
                    CommandKind.SET_PUB_KEY,
                    NOW,
                    1,
                    source_row=alice.row,
                    source_id=alice.id,
                ),
                plain(bob),
            ]
        )

    topic_kinds = {CommandKind.SET_TOPIC_KEY, CommandKind.REMOVE_TOPIC}
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        one, two = add_topic(tx, "one"), add_topic(tx, "two")
    for number, (selectors, gone) in enumerate(
        [
            ({"clients": [alice.id]}, "xxx..."),
            ({"clients": [alice.id, bob.id], "topic_hash": one.hash}, "xx.x.."),
            ({"clients": [alice.id], "topic_hash": one.hash, "kinds": {CommandKind.SET_TOPIC_KEY}}, "x....."),
            ({"topic_hash": one.hash, "kinds": topic_kinds}, "xx.x.."),
            ({"topic_hash": two.hash}, "..x..."),
            ({"clients": [bob.id], "source_id": alice.id}, "....x."),
            ({"source_id": alice.id}, "....x."),
            ({"clients": [bob.id], "kinds": [CommandKind.RESET_TOPICS]}, ".....x"),
            ({"kinds": topic_kinds}, "xxxx.."),
            ({"clients": []}, "......"),
            ({"clients": [id_of("nobody")]}, "......"),
        ]
    ):
        with store.write() as tx:
            fill(tx)
            last = [command.id for command in tx.commands.page(limit=6, newest_first=True)][::-1]
            assert tx.commands.supersede(at=NOW, **selectors) == gone.count("x"), selectors
            found = [tx.commands.get(command).state for command in last]  # type: ignore[union-attr]
            assert "".join("x" if state == SUPERSEDED else "." for state in found) == gone, selectors
            tx.commands.supersede(at=NOW)
            assert tx.commands.pending() == (0, None), number


def test_pages(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        topic = add_topic(tx)
        tx.commands.queue([plain(alice), plain(bob), set_topic_key(alice, topic, job=5), plain(alice)])
        a1, b1, a2, a3 = (command.id for command in tx.commands.page(limit=10))
        tx.commands.mark_failed([(a3, "no", NOW)])
        tx.commands.mark_superseded([b1], NOW)

        def page(**selectors: object) -> list[int]:
            return [command.id for command in tx.commands.page(**({"limit": 10} | selectors))]  # type: ignore[arg-type]

        assert page(limit=2) == [a1, b1]
        assert page(after_id=b1) == [a2, a3]
        assert page(newest_first=True, limit=2) == [a3, a2]
        assert page(newest_first=True, after_id=a2) == [b1, a1]
        assert page(client=alice.id) == [a1, a2, a3]
        assert page(client=alice.id, newest_first=True, limit=1) == [a3]
        assert page(client=alice.id, state=QUEUED) == [a1, a2]
        assert page(state=FAILED) == [a3]
        assert page(state=SUPERSEDED) == [b1]
        assert page(state=SENT) == []
        assert page(job=5) == [a2]
        assert page(job=6) == []


def test_a_removed_client_is_called_by_its_id(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        topic = add_topic(tx)
        about_bob = NewCommand(
            *(alice.id, alice.row, CommandKind.SET_PUB_KEY, NOW, 1), source_row=bob.row, source_id=bob.id
        )
        tx.commands.queue([set_topic_key(alice, topic), about_bob])
        assert [command.subject for command in tx.commands.page(limit=2)] == ["plant/boiler", "bob"]
        tx.topics.delete(topic.row)
        tx.clients.delete(alice.row)
        tx.clients.delete(bob.row)
        add_clients(tx, "alice")  # another one, whose commands these are not
        for command in tx.commands.page(limit=2):
            assert (command.client, command.subject) == (alice.id.hex(), "")
        assert len(tx.commands.page(client=alice.id, limit=9)) == 2


def test_what_waits_for_its_next_try(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        tx.commands.queue([plain(alice), plain(bob), plain(alice)])
        a1, b1, a2 = (command.id for command in tx.commands.page(limit=10))
        tx.commands.mark_failed([(a1, "no", NOW + 100)])
        tx.commands.queue([plain(alice), plain(bob)])
    ids = {out.command: out.client for out in claimed(store)}
    assert set(ids.values()) == {"bob"}
    assert b1 in ids
    assert len(claimed(store, now=NOW + 99)) == 2
    with store.claim(100, NOW + 100) as claim:
        of_alice = [out.command for out in claim.outgoing if out.client == "alice"]
    assert of_alice[:2] == [a1, a2]
    assert len(of_alice) == 3
    with store.write() as tx:
        assert tx.commands.retry_now() == 3
        assert tx.commands.retry_now() == 0
    assert len(claimed(store)) == 5


def test_key_given_by_other_means_while_commands_wait(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice), plain(alice)])
    with store.claim(1, NOW) as claim:
        (out,) = claim.outgoing
        assert out.key_version == 1
        with store.write() as tx:
            tx.keys.add_client_keys([(alice.row, 2, "current", b"given", None, NOW)])  # type: ignore[list-item]
            tx.clients.set_key_version(alice.row, 2)
            tx.commands.move_key_version(alice.id, 2)
        with claim.write() as tx:
            # It went out under the first key, which the client does not have any more: it must go again.
            assert tx.commands.mark_sent([Sent(out.command, 7, out.key_version)], NOW) == {out.command}
    with store.claim(100, NOW) as claim:
        assert [(o.command, o.key_version, o.client_key) for o in claim.outgoing] == [
            (out.command, 2, b"given"),
            (out.command + 1, 2, b"given"),
        ]
        with claim.write() as tx:
            assert not tx.commands.mark_sent([Sent(o.command, 8, o.key_version) for o in claim.outgoing], NOW)
            assert states(tx) == [SENT, SENT]


def test_pending_id_keys(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        new = plain(alice, CommandKind.SET_ID_KEY)._replace(new_version=2)
        tx.commands.queue([new, new, new._replace(new_version=3), plain(alice)])
        assert tx.commands.pending_id_keys(alice.id, 2) == 2
        first = tx.commands.page(limit=1)[0]
        tx.commands.mark_sent([Sent(first.id, 1, 1)], NOW)
        assert tx.commands.pending_id_keys(alice.id, 2) == 1
        assert tx.commands.pending_id_keys(alice.id, 4) == 0
        assert tx.commands.pending_c2_keys() == 0
        tx.commands.queue([plain(alice, CommandKind.SET_C2_KEY)])
        assert tx.commands.pending_c2_keys() == 1


def test_marking_nothing(store: Store) -> None:
    with store.write() as tx:
        tx.commands.queue([])
        assert tx.commands.mark_sent([], NOW) == frozenset()
        tx.commands.mark_failed([])
        tx.commands.mark_superseded([], NOW)


def test_prune(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        tx.commands.queue([plain(alice) for _ in range(5)] + [plain(bob)])
        ids = [command.id for command in tx.commands.page(limit=10)]
        tx.commands.mark_sent([Sent(ids[0], 1, 1), Sent(ids[1], 1, 1)], NOW + 1)
        tx.commands.mark_superseded([ids[2]], NOW + 1)
        tx.commands.mark_sent([Sent(ids[3], 1, 1)], NOW + 2)
        assert tx.commands.prune(NOW + 1, 10) == 0
        assert tx.commands.prune(NOW + 2, 1) == 1
        assert tx.commands.prune(NOW + 2, 10) == 2
        assert [command.id for command in tx.commands.page(limit=10)] == ids[3:]
        assert tx.commands.mark_sent([Sent(ids[0], 1, 1)], NOW) == {ids[0]}  # is gone


@pytest.mark.parametrize("count", [3, 700])
def test_many(store: Store, count: int) -> None:
    with store.write() as tx:
        clients = add_clients(tx, *(f"{number:04d}" for number in range(count)))
        tx.commands.queue([plain(client) for client in clients])
        tx.commands.queue([plain(client) for client in reversed(clients)])
        assert tx.commands.pending() == (2 * count, NOW)
        commands = tx.commands.page(limit=2 * count)
        assert [command.client for command in commands] == [
            *(client.name for client in clients),
            *(client.name for client in reversed(clients)),
        ]
        sent = [Sent(command.id, 5, 1) for command in commands[:count]]
        assert not tx.commands.mark_sent(sent, NOW)
        assert tx.commands.supersede(at=NOW, clients=[client.id for client in clients]) == count
        tx.commands.mark_superseded([command.id for command in commands], NOW)
        assert states(tx).count(SENT) == min(100, count)
