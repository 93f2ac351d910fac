"""Operations on topics (C2, section 2)."""

from __future__ import annotations

from e4 import crypto
from e4.c2.model import Call, EventKind, Job, JobKind, KeyInfo, Page, Topic, TopicDetails
from e4.c2.service._change import Change
from e4.c2.service._checks import (
    DEPLOYED_PAGE_MAX,
    check_topic,
    page_size,
    plain,
    read_name_cursor,
    window,
)
from e4.c2.service._core import Core
from e4.c2.service._expand import start
from e4.c2.service._reading import find_topic, name_page
from e4.c2.storage import NewTopic

__all__ = ["Topics"]


class Topics:
    """Making, rotating and removing topics; reading what there is of them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def new_topic(self, call: Call, topic: str) -> tuple[Topic, Job | None]:
        """Make a topic with a random key; or a new key for an existing one, sent to every member.

        Returns:
            The topic, and the job that sends the key; None for a new topic.

        Raises:
            InvalidTopic: not a topic name.
        """
        with self._core.attempt(call, "new_topic", topic) as attempt:
            check_topic(topic)

            def work(change: Change) -> tuple[Topic, Job | None]:
                found = change.tx.topics.lock(topic)
                return (_create(change, topic), None) if found is None else _rotate(change, found)

            return attempt.commit(work)

    def remove_topic(self, call: Call, topic: str) -> None:
        """Forget a topic, its keys and memberships. Members are sent nothing.

        Raises:
            NotFound: it is not known.
        """
        with self._core.attempt(call, "remove_topic", topic) as attempt:
            check_topic(topic)

            def work(change: Change) -> None:
                found = change.topic(topic)
                change.drop_topic_commands(found)
                change.tx.jobs.supersede_running(JobKind.TOPIC_KEY, found.row, change.now)
                change.tx.topics.delete(found.row)
                change.event(EventKind.TOPIC_REMOVED, plain(found.name))

            attempt.commit(work)

    def get_topic(self, call: Call, topic: str) -> TopicDetails:
        """All about a topic but its keys. Raises `NotFound`, `InvalidTopic`."""
        check_topic(topic)
        with self._core.reading(call) as tx:
            found = find_topic(tx, topic)
            return TopicDetails(
                found,
                tuple(KeyInfo(k.version, k.state, k.created_at) for k in tx.keys.topic_keys(found.row)),
                tx.members.count_of_topic(found.row),
                tx.jobs.newest_of(JobKind.TOPIC_KEY, found.row),
            )

    def count_topics(self, call: Call) -> int:
        """How many there are."""
        with self._core.reading(call) as tx:
            return tx.topics.count()

    def get_topics(self, call: Call, offset: int, count: int) -> list[Topic]:
        """Some topics by name, at most 100; none where `count` is 0. Raises `InvalidRequest`."""
        offset, count = window(offset, count, DEPLOYED_PAGE_MAX)
        with self._core.reading(call) as tx:
            return tx.topics.offset(offset, count) if count else []

    def page_topics(self, call: Call, cursor: str | None, limit: int, prefix: str = "") -> Page[Topic]:
        """A page of topics by name; see `Clients.page_clients`."""
        after, size = read_name_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            return name_page(tx.topics.page(after, size + 1, prefix), size)


def _create(change: Change, name: str) -> Topic:
    tx, now = change.tx, change.now
    row = tx.topics.reserve()
    new = NewTopic(row, name, crypto.hash_topic(name), 1, now, now)
    tx.topics.insert(new)
    sealed = change.vault.seal("topic_keys", row, 1, crypto.random_key())
    tx.keys.add_topic_key(row, 1, sealed, now)
    change.event(EventKind.TOPIC_CREATED, name)
    return Topic(*new)


def _rotate(change: Change, topic: Topic) -> tuple[Topic, Job]:
    tx, now = change.tx, change.now
    version = topic.version + 1
    sealed = change.vault.seal("topic_keys", topic.row, version, crypto.random_key())
    tx.keys.add_topic_key(topic.row, version, sealed, now)
    tx.topics.set_version(topic.row, version, now)
    change.event(EventKind.KEY_TOPIC_ROTATED, topic.name, str(version))
    total = tx.members.count_of_topic(topic.row)
    job = start(change, JobKind.TOPIC_KEY, topic.row, topic.name, version, total)
    return Topic(topic.row, topic.name, topic.hash, version, topic.created_at, now), job
