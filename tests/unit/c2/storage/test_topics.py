"""Topics: names of up to 65535 bytes, in the order of their bytes, on both databases."""

from __future__ import annotations

import random

import pytest

from e4.c2.model import KeyState
from e4.c2.storage import NewTopic, Store, Transient
from e4.errors import InvalidName, InvalidRequest
from tests.unit.c2.storage._fill import NOW, add_topic, id_of

_random = random.Random(1)
_LONG = "".join(chr(_random.randrange(0x21, 0x7E)) for _ in range(65_000))
NAMES = [
    "B",
    "a",
    "a/b",
    "ab",
    "é/\U0001f600",
    _LONG,
    _LONG[:256],
    _LONG[:257],
    _LONG[:1000] + "x",
    _LONG[:-1],
]


def test_by_name_and_by_row(store: Store) -> None:
    with store.write() as tx:
        topic = add_topic(tx, "plant/boiler")
        for name in ("plant/boiler/", "plant", "plant/boiler\0", "\udfff"):
            assert tx.topics.get(name) is tx.topics.lock(name) is None
        assert tx.topics.lock("plant/boiler") == tx.topics.lock("plant/boiler", share=True) == topic
        assert tx.topics.by_rows([topic.row, 99]) == {topic.row: topic}


def test_long_names_sort_by_their_bytes(store: Store) -> None:
    with store.write() as tx:
        topics = {name: add_topic(tx, name) for name in NAMES}
    in_order = [topics[name] for name in sorted(NAMES, key=str.encode)]
    with store.read() as tx:
        assert tx.topics.page(None, 100) == in_order
        assert tx.topics.offset(3, 4) == in_order[3:7]
        assert tx.topics.count() == len(NAMES)
        for position, topic in enumerate(in_order):
            assert tx.topics.get(topic.name) == topic
            assert tx.topics.page(topic.name, 2) == in_order[position + 1 : position + 3]


@pytest.mark.parametrize("prefix", ["a", "é", _LONG[:10], _LONG[:256], _LONG[:257], _LONG, "c", "\0"])
def test_prefix(store: Store, prefix: str) -> None:
    with store.write() as tx:
        for name in NAMES:
            add_topic(tx, name)
    expected = sorted((name for name in NAMES if name.startswith(prefix)), key=str.encode)
    with store.read() as tx:
        assert [topic.name for topic in tx.topics.page(None, 100, prefix)] == expected


def test_what_cannot_be_a_name(store: Store) -> None:
    with store.read() as tx, pytest.raises(InvalidRequest):
        tx.topics.page("a\0", 10)
    with pytest.raises(InvalidName), store.write() as tx:
        tx.topics.insert(NewTopic(tx.topics.reserve(), "a\0", bytes(16), 1, NOW, NOW))


def test_rotate_and_delete(store: Store) -> None:
    with store.write() as tx:
        topic = add_topic(tx)
        for version in (2, 3):
            tx.keys.add_topic_key(topic.row, version, b"key %d" % version, NOW + version)
            tx.topics.set_version(topic.row, version, NOW + version)
    with store.read() as tx:
        rotated = tx.topics.get(topic.name)
        assert rotated is not None
        assert (rotated.version, rotated.rotated_at, rotated.created_at) == (3, NOW + 3, NOW)
        keys = tx.keys.topic_keys(topic.row)
        assert [(key.version, key.state, key.sealed) for key in keys] == [
            (2, KeyState.PREVIOUS, b"key 2"),
            (3, KeyState.CURRENT, b"key 3"),
        ]
    with store.write() as tx:
        tx.topics.delete(topic.row)
    with store.write() as tx:
        assert tx.topics.get(topic.name) is None
        assert tx.keys.topic_keys(topic.row) == []
        assert add_topic(tx).row > topic.row


def test_many_are_locked_in_the_order_of_rows(store: Store) -> None:
    with store.write() as tx:
        topics = [add_topic(tx, name) for name in ("c", "a", "b")]
        found = tx.topics.lock_many(["a", "b", "c", "d", "e\0"], share=True)
        assert list(found.values()) == topics


def test_a_topic_twice_may_be_tried_again(store: Store) -> None:
    with store.write() as tx:
        add_topic(tx)
    with pytest.raises(Transient), store.write() as tx:
        tx.topics.insert(NewTopic(tx.topics.reserve(), "plant/boiler", id_of("plant/boiler"), 1, NOW, NOW))
