"""The room of memberships: which clients have been given which topics' keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, select, tuple_

from e4.c2.model import Client, Topic
from e4.c2.storage import bulk
from e4.c2.storage.clients import CLIENT, Clients
from e4.c2.storage.lists import pairs
from e4.c2.storage.room import Room, cursor_text
from e4.c2.storage.schema import clients, memberships, topics
from e4.c2.storage.topics import TOPIC, later

__all__ = ["Members"]

_m = memberships.c
_c = clients.c
_t = topics.c
_COLUMNS = ("client_row", "topic_row", "client_name", "topic_sort", "created_at")
_TOPICS: Select[Any] = select(*TOPIC).join(memberships, _m.topic_row == _t.row)
_CLIENTS: Select[Any] = select(*CLIENT).join(memberships, _m.client_row == _c.row)


class Members(Room):
    """Memberships, by rows of clients and topics. Whoever changes a client's has locked the client."""

    __slots__ = ()

    def add_many(self, rows: Iterable[tuple[int, int]], at: int) -> set[tuple[int, int]]:
        """Make clients members of topics, given as pairs of rows (client, topic); those that are new."""
        new: set[tuple[int, int]] = set()
        for chunk in bulk.chunks(dict.fromkeys(rows)):
            there = self.existing(chunk)
            missing = [pair for pair in chunk if pair not in there]
            if not missing:
                continue
            names = self._texts(
                select(_c.row, _c.name).where(self._among(_c.row, {pair[0] for pair in missing}))
            )
            sorts = self._texts(
                select(_t.row, _t.sort).where(self._among(_t.row, {pair[1] for pair in missing}))
            )
            values = [(client, topic, names[client], sorts[topic], at) for client, topic in missing]
            bulk.insert(self._connection, memberships, _COLUMNS, values)
            new.update(missing)
        return new

    def remove_many(self, rows: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """End memberships, given as pairs of rows (client, topic); those that there were."""
        gone: set[tuple[int, int]] = set()
        for chunk in bulk.chunks(dict.fromkeys(rows)):
            given = pairs(self._connection, chunk)
            these = tuple_(_m.client_row, _m.topic_row).in_(select(given.c.first, given.c.second))
            query = delete(memberships).where(these).returning(_m.client_row, _m.topic_row)
            gone.update((client, topic) for client, topic in self._connection.execute(query).all())
        return gone

    def remove_all_of_client(self, client_row: int) -> int:
        """End all memberships of a client; how many there were."""
        return self._connection.execute(delete(memberships).where(_m.client_row == client_row)).rowcount

    def existing(self, rows: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of the pairs of rows (client, topic) that are memberships."""
        found: set[tuple[int, int]] = set()
        for chunk in bulk.chunks(rows):
            given = pairs(self._connection, chunk)
            same = (_m.client_row == given.c.first) & (_m.topic_row == given.c.second)
            query = select(_m.client_row, _m.topic_row).select_from(given).join(memberships, same)
            found.update((client, topic) for client, topic in self._connection.execute(query).all())
        return found

    def among(self, topic_row: int, client_rows: Iterable[int]) -> set[int]:
        """Those of the clients that are members of a topic."""
        found: set[int] = set()
        for chunk in bulk.chunks(client_rows):
            of_topic = select(_m.client_row).where(
                _m.topic_row == topic_row, self._among(_m.client_row, chunk)
            )
            found.update(self._connection.scalars(of_topic))
        return found

    def count_of_client(self, client_row: int) -> int:
        """How many topics a client has."""
        return self._count(_m.client_row == client_row)

    def count_of_topic(self, topic_row: int) -> int:
        """How many clients a topic has."""
        return self._count(_m.topic_row == topic_row)

    def topics_offset(self, client_row: int, offset: int, count: int) -> list[Topic]:
        """`count` of a client's topics by name, after the first `offset`."""
        return self._topics(_topics_of(client_row).limit(count).offset(offset))

    def topics_page(self, client_row: int, after_name: str | None, limit: int) -> list[Topic]:
        """The next of a client's topics by name."""
        query = _topics_of(client_row).limit(limit)
        if after_name is not None:
            query = query.where(*later(_m.topic_sort, after_name))
        return self._topics(query)

    def clients_offset(self, topic_row: int, offset: int, count: int) -> list[Client]:
        """`count` of a topic's clients by name, after the first `offset`."""
        return self._clients(_clients_of(topic_row).limit(count).offset(offset))

    def clients_page(self, topic_row: int, after_name: str | None, limit: int) -> list[Client]:
        """The next of a topic's clients by name."""
        query = _clients_of(topic_row).limit(limit)
        if after_name is not None:
            query = query.where(_m.client_name > cursor_text(after_name))
        return self._clients(query)

    def clients_after(self, topic_row: int, after_client_row: int, limit: int) -> list[Client]:
        """The next of a topic's clients by row, locked and still members; fewer than `limit`: the last."""
        found: list[Client] = []
        while len(found) < limit:
            query = select(_m.client_row).where(_m.topic_row == topic_row, _m.client_row > after_client_row)
            ask = limit - len(found)
            rows = list(self._connection.scalars(query.order_by(_m.client_row).limit(ask)))
            # Somebody may have ended a membership while we waited for the client: look again.
            clients_locked = Clients(self._connection).lock_rows(rows)
            members = self.among(topic_row, rows)
            found += (client for client in clients_locked if client.row in members)
            if len(rows) < ask:
                break
            after_client_row = rows[-1]
        return found

    def topic_names(self, client_rows: Iterable[int]) -> dict[int, list[str]]:
        """The names of many clients' topics, in order; clients without any are left out."""
        found: dict[int, list[str]] = {}
        for chunk in bulk.chunks(client_rows):
            query = select(_m.client_row, _t.name).join(topics, _t.row == _m.topic_row)
            query = query.where(self._among(_m.client_row, chunk)).order_by(
                _m.client_row, _m.topic_sort, _t.name
            )
            for row, name in self._connection.execute(query):
                found.setdefault(row, []).append(name)
        return found

    def _count(self, of: Any) -> int:
        query = select(func.count()).select_from(memberships).where(of)
        return self._connection.execute(query).scalar_one()

    def _texts(self, query: Select[Any]) -> dict[int, Any]:
        rows: Sequence[Any] = self._connection.execute(query).all()
        return dict(rows)

    def _topics(self, query: Select[Any]) -> list[Topic]:
        return [Topic(*row) for row in self._connection.execute(query).all()]

    def _clients(self, query: Select[Any]) -> list[Client]:
        return [Client(*row) for row in self._connection.execute(query).all()]


def _topics_of(client_row: int) -> Select[Any]:
    return _TOPICS.where(_m.client_row == client_row).order_by(_m.topic_sort, _t.name)


def _clients_of(topic_row: int) -> Select[Any]:
    return _CLIENTS.where(_m.topic_row == topic_row).order_by(_m.client_name)
