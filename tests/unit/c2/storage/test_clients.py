"""Clients: found by name and id, locked, paged in the order of their names' bytes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from e4.c2.model import Client, KeyState
from e4.c2.storage import NewClient, Store, Transient
from e4.errors import InvalidName, InvalidRequest
from tests.unit.c2.storage._fill import NOW, add_clients, add_topic, id_of

NAMES = ["B", "a", "a/b", "ab", "b", "z\uffff", "z\U0001f600", "é", "\U0010ffff\U0010ffff"]


def names(clients: Iterable[Client]) -> list[str]:
    return [client.name for client in clients]


def test_by_name_and_by_id(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        for find in (tx.clients.get, tx.clients.lock):
            assert find("alice") == find(id_of("alice")) == alice
            assert find("carol") is find(id_of("carol")) is None
            assert find("bob\0") is find("\ud800") is None  # no database holds such a name
        assert tx.clients.existing([id_of("bob"), id_of("carol")]) == {id_of("bob"): bob}
        assert tx.clients.by_rows([bob.row, 999]) == {bob.row: bob}
    assert (alice.id, alice.by_id, alice.key_version, alice.created_at) == (id_of("alice"), False, 1, NOW)


def test_many_are_locked_at_once_in_the_order_of_rows(store: Store) -> None:
    many = [f"client-{number:04d}" for number in range(1200)]
    with store.write() as tx:
        clients = add_clients(tx, *many)
        refs: list[str | bytes] = [*reversed(many), id_of("client-0003"), "nobody", id_of("nobody"), "a\0"]
        found = tx.clients.lock_many(refs)
        assert found["client-0003"] == found[id_of("client-0003")] == clients[3]
        assert set(found) == {*many, id_of("client-0003")}
        assert tx.clients.lock_rows(reversed([client.row for client in clients])) == clients


def test_names_sort_by_their_bytes(store: Store) -> None:
    with store.write() as tx:
        add_clients(tx, *reversed(NAMES))
    in_order = sorted(NAMES, key=str.encode)
    with store.read() as tx:
        assert names(tx.clients.page(None, 100)) == in_order
        assert names(tx.clients.iterate()) == in_order
        assert names(tx.clients.offset(2, 3)) == in_order[2:5]
        assert names(tx.clients.offset(100, 3)) == []
        assert tx.clients.count() == len(NAMES)
        for position, name in enumerate(in_order):
            assert names(tx.clients.page(name, 2)) == in_order[position + 1 : position + 3]


@pytest.mark.parametrize(
    "prefix",
    ["a", "ab", "B", "z", "z\uffff", "é", "\U0010ffff", "\U0010ffff\U0010ffff", "%", "_", "a\0", "\ud800"],
)
def test_prefix(store: Store, prefix: str) -> None:
    with store.write() as tx:
        add_clients(tx, *NAMES, "a%", "a_")
    expected = sorted((n for n in [*NAMES, "a%", "a_"] if n.startswith(prefix)), key=str.encode)
    with store.read() as tx:
        assert names(tx.clients.page(None, 100, prefix)) == expected
        if expected:
            assert names(tx.clients.page(expected[0], 100, prefix)) == expected[1:]


@pytest.mark.parametrize("cursor", ["a\0", "\ud800"])
def test_a_cursor_that_is_no_name_is_refused(store: Store, cursor: str) -> None:
    with store.read() as tx, pytest.raises(InvalidRequest):
        tx.clients.page(cursor, 10)


def test_a_name_with_nul_is_refused(store: Store) -> None:
    with pytest.raises(InvalidName), store.write() as tx:
        add_clients(tx, "fine", "with\0nul")
    with store.read() as tx:
        assert tx.clients.count() == 0


def test_rows_are_never_used_again(store: Store) -> None:
    with store.write() as tx:
        first = add_clients(tx, "a", "b", "c")
        for client in first:
            tx.clients.delete(client.row)
    with store.write() as tx:
        second = add_clients(tx, "a", "b")
    assert min(client.row for client in second) > max(client.row for client in first)
    assert len({client.row for client in second}) == 2


def test_versions(store: Store) -> None:
    with store.write() as tx:
        alice, bob, carol = add_clients(tx, "alice", "bob", "carol", c2=1)
        tx.clients.set_key_version(alice.row, 7)
        tx.clients.set_c2_key_version([alice.row, carol.row], 2)
        assert tx.clients.count_below_c2_key_version(2) == 1
        assert tx.clients.count_below_c2_key_version(3) == 3
        assert names(tx.clients.below_c2_key_version(2, 0, 10)) == ["bob"]
        assert names(tx.clients.below_c2_key_version(3, 0, 2)) == ["alice", "bob"]
        assert names(tx.clients.below_c2_key_version(3, bob.row, 2)) == ["carol"]
        assert tx.clients.below_c2_key_version(3, carol.row, 2) == []
        again = tx.clients.get("alice")
        assert again is not None
        assert (again.key_version, again.c2_key_version) == (7, 2)


def test_a_client_known_by_id_gets_its_name(store: Store) -> None:
    identity = id_of("alice")
    with store.write() as tx:
        (row,) = tx.clients.reserve(1)
        tx.clients.insert([NewClient(row, identity, identity.hex(), True, 1, 0, NOW)])
        (target,) = add_clients(tx, "target")
        topic = add_topic(tx)
        tx.members.add_many([(row, topic.row)], NOW)
        tx.links.add(row, target.row, NOW)
        tx.clients.set_name(row, "alice")
    with store.read() as tx:
        alice = tx.clients.get(identity)
        assert alice is not None
        assert (alice.name, alice.by_id) == ("alice", False)
        # Pages of members and links go by the name too.
        assert tx.members.clients_page(topic.row, "al", 10) == [alice]
        assert tx.links.sources_page(target.row, "al", 10) == [alice]
    with pytest.raises(InvalidName), store.write() as tx:
        tx.clients.set_name(row, "a\0")


def test_delete_takes_keys_memberships_and_links_with_it(store: Store) -> None:
    with store.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        topic = add_topic(tx)
        tx.members.add_many([(alice.row, topic.row), (bob.row, topic.row)], NOW)
        tx.links.add(alice.row, bob.row, NOW)
        tx.links.add(bob.row, alice.row, NOW)
    with store.write() as tx:
        tx.clients.delete(alice.row)
    with store.read() as tx:
        assert tx.clients.get("alice") is None
        assert tx.keys.client_keys(alice.row) == []
        assert tx.members.clients_page(topic.row, None, 10) == [bob]
        assert tx.links.count(bob.row) == tx.links.count_targets(bob.row) == 0


def test_a_name_twice_may_be_tried_again(store: Store) -> None:
    with store.write() as tx:
        add_clients(tx, "alice")
    with pytest.raises(Transient), store.write() as tx:
        add_clients(tx, "bob", "alice")
    with store.read() as tx:
        assert names(tx.clients.page(None, 10)) == ["alice"]


@pytest.mark.parametrize("count", [49, 50, 3000])
def test_inserting_many(store: Store, count: int) -> None:
    many = [f"{number:05d}" for number in range(count)]
    with store.write() as tx:
        clients = add_clients(tx, *many)
    with store.read() as tx:
        assert tx.clients.page(None, count + 1) == clients
        (key,) = tx.keys.client_keys(clients[-1].row)
    assert (key.version, key.state, key.transit) == (1, KeyState.CURRENT, None)
    assert key.sealed == b"key 1 of %d" % clients[-1].row
