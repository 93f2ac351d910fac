"""The room of memberships: which clients have been given which topics' keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, literal, select

from e4.c2.model import Client, Topic
from e4.c2.storage import bulk
from e4.c2.storage.clients import CLIENT, Clients
from e4.c2.storage.room import Room, cursor_text, if_new
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
    """Memberships: of a client, topics by name; of a topic, clients by name."""

    __slots__ = ()

    def add(self, client_row: int, topic_row: int, at: int) -> bool:
        """Make a client a member; False if it is one."""
        return bool(self.add_many([(client_row, topic_row)], at))

    def add_many(self, pairs: Iterable[tuple[int, int]], at: int) -> set[tuple[int, int]]:
        """Make clients members of topics, given as pairs of rows; those that are new."""
        new: set[tuple[int, int]] = set()
        for chunk in bulk.chunks(dict.fromkeys(pairs)):
            missing = set(chunk) - self.existing(chunk)
            names = dict(self._connection.execute(_NAMES, {"rows": list({row for row, _ in missing})}).tuples())
            sorts = dict(self._connection.execute(_SORTS, {"rows": list({row for _, row in missing})}).tuples())
            bulk.insert(
                self._connection,
                memberships,
                _COLUMNS,
                [(row, topic, names[row], sorts[topic], at) for row, topic in chunk if (row, topic) in missing],
            )
            new |= missing
        return new

    def existing(self, pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of the pairs of rows, client and topic, that are members."""
        by_topic: dict[int, list[int]] = {}
        for client_row, topic_row in pairs:
            by_topic.setdefault(topic_row, []).append(client_row)
        if len(by_topic) <= 8:
            return {
                (client_row, topic_row)
                for topic_row, rows in by_topic.items()
                for client_row in self.among(topic_row, rows)
            }
        wanted = {(client_row, topic_row) for topic_row, rows in by_topic.items() for client_row in rows}
        found: set[tuple[int, int]] = set()
        for chunk in bulk.chunks(wanted):
            ...
        return found

    def among(self, topic_row: int, client_rows: Iterable[int]) -> set[int]:
        """Those of the clients, given by row, that are members of the topic."""
        found: set[int] = set()
        for chunk in bulk.chunks(client_rows):
            found.update(
                self._connection.scalars(
                    select(_m.client_row).where(_m.topic_row == topic_row, _m.client_row.in_(chunk))
                )
            )
        return found
