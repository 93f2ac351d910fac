"""Fills a database with clients, topics and commands that mean nothing."""

from __future__ import annotations

import hashlib

from e4.c2.model import Client, CommandKind, KeyState, Topic
from e4.c2.storage import NewClient, NewCommand, NewTopic, Outgoing, Store, Transaction

NOW = 1_700_000_000_000


def id_of(name: str) -> bytes:
    return hashlib.sha3_256(name.encode(errors="surrogatepass")).digest()[:16]


def add_clients(tx: Transaction, *names: str, c2: int = 0) -> list[Client]:
    """Clients with a first key each."""
    rows = tx.clients.reserve(len(names))
    tx.clients.insert(
        [NewClient(row, id_of(name), name, False, 1, c2, NOW) for row, name in zip(rows, names, strict=True)]
    )
    tx.keys.add_client_keys([(row, 1, KeyState.CURRENT, b"key 1 of %d" % row, None, NOW) for row in rows])
    found = tx.clients.by_rows(rows)
    return [found[row] for row in rows]


def add_topic(tx: Transaction, name: str = "plant/boiler") -> Topic:
    """A topic with a first key."""
    row = tx.topics.reserve()
    tx.topics.insert(NewTopic(row, name, id_of(name), 1, NOW, NOW))
    tx.keys.add_topic_key(row, 1, b"key 1 of topic %d" % row, NOW)
    topic = tx.topics.get(name)
    assert topic is not None
    return topic


def set_topic_key(client: Client, topic: Topic, job: int | None = None) -> NewCommand:
    return NewCommand(
        client.id,
        client.row,
        CommandKind.SET_TOPIC_KEY,
        NOW,
        client.key_version,
        topic_row=topic.row,
        topic_hash=topic.hash,
        job=job,
    )


def remove_topic(client: Client, topic: Topic) -> NewCommand:
    return set_topic_key(client, topic)._replace(kind=CommandKind.REMOVE_TOPIC)


def plain(client: Client, kind: CommandKind = CommandKind.RESET_TOPICS) -> NewCommand:
    return NewCommand(client.id, client.row, kind, NOW, client.key_version)


def claimed(store: Store, limit: int = 100, now: int = NOW) -> list[Outgoing]:
    """What can be claimed; it is released again."""
    with store.claim(limit, now) as claim:
        return claim.outgoing
