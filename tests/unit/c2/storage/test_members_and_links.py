"""Memberships and links: added once, removed once, counted and paged by name, walked by row."""

from __future__ import annotations

import pytest

from e4.c2.storage import Store
from e4.errors import InvalidRequest
from tests.unit.c2.storage._fill import NOW, add_clients, add_topic


def test_members(store: Store) -> None:
    with store.write() as tx:
        alice, bob, carol = add_clients(tx, "alice", "bob", "carol")
        first, second = add_topic(tx, "first"), add_topic(tx, "second")
        assert tx.members.add_many([(alice.row, first.row)], NOW) == {(alice.row, first.row)}
        pairs = [(client.row, topic.row) for client in (alice, bob) for topic in (first, second)]
        assert tx.members.add_many([*pairs, *pairs], NOW) == set(pairs[1:])
        assert tx.members.existing([*pairs, (carol.row, first.row)]) == set(pairs)
        assert tx.members.among(first.row, [alice.row, carol.row]) == {alice.row}
        assert (tx.members.count_of_client(alice.row), tx.members.count_of_topic(first.row)) == (2, 2)
        assert tx.members.remove_many([(bob.row, first.row)]) == {(bob.row, first.row)}
        assert tx.members.remove_many(pairs[:3]) == {pairs[0], pairs[1]}
        assert tx.members.remove_all_of_client(bob.row) == 1
        assert tx.members.remove_all_of_client(bob.row) == 0
        assert tx.members.count_of_topic(second.row) == 0


def test_pages_of_members_go_by_name(store: Store) -> None:
    names = ["b", "B", "a/1", "a", "ä", "\U0001f600"]
    topics = ["t" * 300 + "2", "t" * 300 + "1", "s", "é"]
    with store.write() as tx:
        clients = add_clients(tx, *names)
        made = [add_topic(tx, name) for name in topics]
        tx.members.add_many([(client.row, made[0].row) for client in clients], NOW)
        tx.members.add_many([(clients[0].row, topic.row) for topic in made], NOW)
    clients.sort(key=lambda client: client.name.encode())
    made.sort(key=lambda topic: topic.name.encode())
    of_topic, of_client = next(t.row for t in made if t.name == topics[0]), clients[2].row
    assert clients[2].name == "a/1"
    of_client = next(client.row for client in clients if client.name == "b")
    with store.read() as tx:
        assert tx.members.clients_offset(of_topic, 1, 3) == clients[1:4]
        assert tx.members.clients_page(of_topic, None, 100) == clients
        assert tx.members.topics_offset(of_client, 1, 2) == made[1:3]
        assert tx.members.topics_page(of_client, None, 100) == made
        names_of = tx.members.topic_names([client.row for client in clients])
        assert names_of[of_client] == [topic.name for topic in made]
        assert len(names_of) == len(clients)
        for position, client in enumerate(clients):
            assert tx.members.clients_page(of_topic, client.name, 2) == clients[position + 1 : position + 3]
        for position, topic in enumerate(made):
            assert tx.members.topics_page(of_client, topic.name, 2) == made[position + 1 : position + 3]
        with pytest.raises(InvalidRequest):
            tx.members.clients_page(of_topic, "\0", 1)
        with pytest.raises(InvalidRequest):
            tx.members.topics_page(of_client, "\0", 1)


def test_members_are_walked_by_row(store: Store) -> None:
    with store.write() as tx:
        clients = add_clients(tx, *(f"{number}" for number in range(7)))
        topic = add_topic(tx)
        tx.members.add_many([(client.row, topic.row) for client in clients[1:]], NOW)
        assert tx.members.clients_after(topic.row, 0, 4) == clients[1:5]
        assert tx.members.clients_after(topic.row, clients[4].row, 4) == clients[5:]
        assert tx.members.clients_after(topic.row, clients[6].row, 4) == []


def test_many_members(store: Store) -> None:
    with store.write() as tx:
        clients = add_clients(tx, *(f"{number:04d}" for number in range(1300)))
        topic = add_topic(tx)
        pairs = {(client.row, topic.row) for client in clients}
        assert tx.members.add_many(pairs, NOW) == pairs
        assert tx.members.clients_after(topic.row, 0, 1300) == clients
        assert tx.members.remove_many(pairs) == pairs


def test_links(store: Store) -> None:
    with store.write() as tx:
        target, *sources = add_clients(tx, "target", "b", "B", "a")
        for source in sources:
            assert tx.links.add(source.row, target.row, NOW)
            assert not tx.links.add(source.row, target.row, NOW)
        assert tx.links.count(target.row) == 3
        assert tx.links.count(sources[0].row) == 0
        assert tx.links.count_targets(sources[0].row) == 1
        b, big_b, a = sources
        assert tx.links.sources_page(target.row, None, 10) == [big_b, a, b]
        assert tx.links.sources_page(target.row, "B", 1) == [a]
        assert tx.links.sources_offset(target.row, 1, 5) == [a, b]
        assert tx.links.source_names([target.row, b.row]) == {target.row: ["B", "a", "b"]}
        assert tx.links.remove(b.row, target.row)
        assert not tx.links.remove(b.row, target.row)
        assert tx.links.sources_page(target.row, None, 10) == [big_b, a]
        with pytest.raises(InvalidRequest):
            tx.links.sources_page(target.row, "\0", 1)


def test_targets_are_walked_by_row(store: Store) -> None:
    with store.write() as tx:
        source, *targets = add_clients(tx, "source", *(f"{number}" for number in range(5)))
        for target in targets:
            tx.links.add(source.row, target.row, NOW)
        assert tx.links.targets_after(source.row, 0, 3) == targets[:3]
        assert tx.links.targets_after(source.row, targets[2].row, 3) == targets[3:]
        assert tx.links.targets_after(source.row, targets[4].row, 3) == []
