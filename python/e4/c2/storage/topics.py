"""The room of topics. A transaction locks its topic before it locks clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, select, update

from e4.c2.model import Topic
from e4.c2.storage import bulk
from e4.c2.storage.room import Room, after, begins_with, cursor_text, locked, named, sort_key, storable
from e4.c2.storage.schema import topics
from e4.c2.storage.values import NewTopic

__all__ = ["TOPIC", "Topics"]

_t = topics.c
TOPIC = (_t.row, _t.name, _t.hash, _t.version, _t.created_at, _t.rotated_at)
_SELECT: Select[Any] = select(*TOPIC)


class Topics(Room):
    """Topics; pages are in the order of the names' bytes."""

    __slots__ = ()

    def reserve(self) -> int:
        """A number for a new row; never used before."""
        return self._reserve("topics", 1)[0]

    def insert(self, new: NewTopic) -> None:
        """Insert a topic."""
        values = new._asdict() | {"name": named(new.name), "sort": sort_key(new.name)}
        self._connection.execute(topics.insert().values(values))

    def get(self, name: str) -> Topic | None:
        """The topic of a name."""
        return self._one(_SELECT.where(_is(name))) if storable(name) else None

    def lock(self, name: str, *, share: bool = False) -> Topic | None:
        """The topic of a name, locked.

        Args:
            share: others may lock it so too, to queue its key for a client; nobody can rotate or remove it.
        """
        return self._one(locked(_SELECT.where(_is(name)), share=share)) if storable(name) else None

    def lock_many(self, names: Iterable[str], *, share: bool = False) -> dict[str, Topic]:
        """The topics of names, locked in the order of their rows; those missing are left out."""
        wanted = {name for name in names if storable(name)}
        rows: list[int] = []
        for chunk in bulk.chunks(wanted):
            sorts = {sort_key(name) for name in chunk}
            query = select(_t.row).where(self._among(_t.sort, sorts), self._among(_t.name, chunk))
            rows += self._connection.scalars(query)
        found: dict[str, Topic] = {}
        for chunk_of_rows in bulk.chunks(sorted(rows)):
            query = _SELECT.where(self._among(_t.row, chunk_of_rows)).order_by(_t.row)
            found.update((topic.name, topic) for topic in self._all(locked(query, share=share)))
        return found

    def by_rows(self, rows: Iterable[int]) -> dict[int, Topic]:
        """The topics of rows; those missing are left out."""
        found: dict[int, Topic] = {}
        for chunk in bulk.chunks(rows):
            found.update((topic.row, topic) for topic in self._all(_SELECT.where(self._among(_t.row, chunk))))
        return found

    def set_version(self, row: int, version: int, rotated_at: int) -> None:
        """Note that a topic has a new key."""
        self._connection.execute(
            update(topics).where(_t.row == row).values(version=version, rotated_at=rotated_at)
        )

    def delete(self, row: int) -> None:
        """Delete a topic with its keys and memberships."""
        self._connection.execute(delete(topics).where(_t.row == row))

    def count(self) -> int:
        """How many there are."""
        return self._connection.execute(select(func.count()).select_from(topics)).scalar_one()

    def offset(self, offset: int, count: int) -> list[Topic]:
        """`count` of them by name, after the first `offset`."""
        return self._all(_SELECT.order_by(_t.sort, _t.name).limit(count).offset(offset))

    def page(self, after_name: str | None, limit: int, prefix: str = "") -> list[Topic]:
        """The next by name, of those that begin with `prefix`.

        Raises:
            InvalidRequest: `after_name` cannot be a name.
        """
        if not storable(prefix):
            return []
        query = _SELECT.order_by(_t.sort, _t.name).limit(limit)
        if prefix:
            query = query.where(begins_with(_t.name, prefix), _t.sort >= sort_key(prefix))
            if (end := after(prefix)) is not None:
                query = query.where(_t.sort <= sort_key(end))
        if after_name is not None:
            query = query.where(*later(_t.sort, after_name))
        return self._all(query)

    def _one(self, query: Select[Any]) -> Topic | None:
        row = self._connection.execute(query).first()
        return None if row is None else Topic(*row)

    def _all(self, query: Select[Any]) -> list[Topic]:
        return [Topic(*row) for row in self._connection.execute(query).all()]


def later(sort: ColumnElement[bytes], after_name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Whether a topic's name comes after another."""
    return sort >= sort_key(cursor_text(after_name)), _t.name > after_name


def _is(name: str) -> ColumnElement[bool]:
    return and_(_t.sort == sort_key(name), _t.name == name)
