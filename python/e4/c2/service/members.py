"""Operations on memberships: which clients have been given which topics' keys (C2, section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from e4.c2.model import Call, Client, EventKind, ImportProgress, Page, Topic
from e4.c2.service._change import Change
from e4.c2.service._checks import (
    Ref,
    check_topic,
    label,
    page_size,
    plain,
    read_name_cursor,
    read_ref,
    window,
)
from e4.c2.service._core import Core
from e4.c2.service._imports import MembershipRow, import_memberships
from e4.c2.service._reading import check_batch, find_client, find_topic, name_page

__all__ = ["Members"]

Pair = tuple[Ref, str]


class Members:
    """Giving clients topics and taking them away; reading who has what."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def new_topic_client(self, call: Call, client: Ref, topic: str) -> None:
        """Send a client a topic's key, and record that it is a member.

        Raises:
            NotFound: the client or the topic is not known.
        """
        with self._core.attempt(call, "new_topic_client", _label((client, topic))) as attempt:
            pairs = _read([(client, topic)])
            attempt.commit(lambda change: _add(change, pairs))

    def new_topic_clients(self, call: Call, pairs: Sequence[Pair]) -> None:
        """As `new_topic_client` for many pairs of client and topic; all or none."""
        with self._core.attempt(call, "new_topic_client", f"{len(pairs)} memberships") as attempt:
            check_batch(pairs)
            checked = _read(pairs)
            attempt.commit(lambda change: _add(change, checked), each=lambda _: list(map(_label, checked)))

    def remove_topic_client(self, call: Call, client: Ref, topic: str) -> None:
        """Send a client RemoveTopic, and end its membership.

        Raises:
            NotFound: the client or the topic is not known.
        """
        with self._core.attempt(call, "remove_topic_client", _label((client, topic))) as attempt:
            pairs = _read([(client, topic)])
            attempt.commit(lambda change: _remove(change, pairs))

    def remove_topic_clients(self, call: Call, pairs: Sequence[Pair]) -> None:
        """As `remove_topic_client` for many pairs of client and topic; all or none."""
        with self._core.attempt(call, "remove_topic_client", f"{len(pairs)} memberships") as attempt:
            check_batch(pairs)
            checked = _read(pairs)
            attempt.commit(lambda change: _remove(change, checked), each=lambda _: list(map(_label, checked)))

    def import_memberships(
        self, call: Call, rows: Iterable[MembershipRow], chunk: int = 1000
    ) -> Iterator[ImportProgress]:
        """As `new_topic_client` for any number, streaming; a row that is refused is left out and reported.

        Who is a member already is sent nothing.

        Args:
            call: who asks.
            rows: line number, client and topic; or line number and why the line could not be read.
            chunk: rows of one transaction.

        Returns:
            A report after each chunk. The import goes on as the reports are taken.
        """
        with self._core.attempt(call, "import_memberships"):
            check_batch(range(chunk))
        return import_memberships(self._core, call, rows, chunk)

    def count_topics_for_client(self, call: Call, client: Ref) -> int:
        """How many topics a client has. Raises `NotFound`."""
        ref = read_ref(client)
        with self._core.reading(call) as tx:
            return tx.members.count_of_client(find_client(tx, ref).row)

    def get_topics_for_client(self, call: Call, client: Ref, offset: int, count: int) -> list[Topic]:
        """Some of a client's topics by name; none where `count` is 0. Raises `NotFound`, `InvalidRequest`."""
        ref, (offset, count) = read_ref(client), window(offset, count)
        with self._core.reading(call) as tx:
            row = find_client(tx, ref).row
            return tx.members.topics_offset(row, offset, count) if count else []

    def page_topics_for_client(self, call: Call, client: Ref, cursor: str | None, limit: int) -> Page[Topic]:
        """A page of a client's topics by name; see `Clients.page_clients`."""
        ref, after, size = read_ref(client), read_name_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            return name_page(tx.members.topics_page(find_client(tx, ref).row, after, size + 1), size)

    def count_clients_for_topic(self, call: Call, topic: str) -> int:
        """How many clients a topic has. Raises `NotFound`."""
        check_topic(topic)
        with self._core.reading(call) as tx:
            return tx.members.count_of_topic(find_topic(tx, topic).row)

    def get_clients_for_topic(self, call: Call, topic: str, offset: int, count: int) -> list[Client]:
        """Some of a topic's clients by name; none where `count` is 0. Raises `NotFound`, `InvalidRequest`."""
        (offset, count), _ = window(offset, count), check_topic(topic)
        with self._core.reading(call) as tx:
            row = find_topic(tx, topic).row
            return tx.members.clients_offset(row, offset, count) if count else []

    def page_clients_for_topic(self, call: Call, topic: str, cursor: str | None, limit: int) -> Page[Client]:
        """A page of a topic's clients by name; see `Clients.page_clients`."""
        _, after, size = check_topic(topic), read_name_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            return name_page(tx.members.clients_page(find_topic(tx, topic).row, after, size + 1), size)


def _read(pairs: Sequence[Pair]) -> list[Pair]:
    return list(dict.fromkeys((read_ref(client), check_topic(topic)) for client, topic in pairs))


def _label(pair: Pair) -> str:
    return f"{label(pair[0])} {plain(pair[1])}"


def _lock(change: Change, pairs: Sequence[Pair]) -> list[tuple[Topic, list[Client]]]:
    """The topics with their clients, all locked; no topic is rotated or removed meanwhile."""
    topics = change.topics([topic for _, topic in pairs])
    clients = change.clients([client for client, _ in pairs])
    found: dict[str, dict[int, Client]] = {}
    for ref, name in pairs:
        found.setdefault(name, {})[clients[ref].row] = clients[ref]
    return [(topics[name], list(of_topic.values())) for name, of_topic in found.items()]


def _add(change: Change, pairs: Sequence[Pair]) -> None:
    for topic, clients in _lock(change, pairs):
        change.tx.members.add_many([(client.row, topic.row) for client in clients], change.now)
        change.set_topic_key(clients, topic)
        for client in clients:
            change.event(EventKind.MEMBERSHIP_ADDED, client.name, topic.name)


def _remove(change: Change, pairs: Sequence[Pair]) -> None:
    for topic, clients in _lock(change, pairs):
        change.tx.members.remove_many([(client.row, topic.row) for client in clients])
        change.remove_topic(clients, topic)
        for client in clients:
            change.event(EventKind.MEMBERSHIP_REMOVED, client.name, topic.name)
