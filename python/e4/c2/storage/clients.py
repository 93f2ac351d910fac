"""The room of clients. To lock is to wait until no other transaction has the same client locked.

Transactions that lock more than one thing take: topics, then clients by row, then the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select, update

from e4.c2.model import Client
from e4.c2.storage import bulk
from e4.c2.storage.room import Room, begins_with, cursor_text, locked, named, storable
from e4.c2.storage.schema import clients, links, memberships
from e4.c2.storage.values import NewClient

__all__ = ["CLIENT", "Clients"]

_c = clients.c
CLIENT = (_c.row, _c.id, _c.name, _c.by_id, _c.key_version, _c.c2_key_version, _c.created_at)
_SELECT: Select[Any] = select(*CLIENT)


class Clients(Room):
    """Clients: by name (text) or by id (16 bytes); pages are in the order of the names' bytes."""

    __slots__ = ()

    def reserve(self, count: int) -> list[int]:
        """Numbers for new rows, rising; never used before."""
        return self._reserve("clients", count)

    def insert(self, new: Sequence[NewClient]) -> None:
        """Insert clients.

        Raises:
            InvalidName: a name has a NUL.
        """
        for client in new:
            named(client.name)
        bulk.insert(self._connection, clients, NewClient._fields, new)

    def get(self, ref: str | bytes) -> Client | None:
        """The client of a name or id."""
        return self._one(_SELECT.where(_is(ref))) if _possible(ref) else None

    def lock(self, ref: str | bytes) -> Client | None:
        """The client of a name or id, locked."""
        return self._one(locked(_SELECT.where(_is(ref)))) if _possible(ref) else None

    def lock_many(self, refs: Iterable[str | bytes]) -> dict[str | bytes, Client]:
        """The clients of names and ids, locked in the order of their rows; those missing are left out."""
        wanted = {ref for ref in refs if _possible(ref)}
        rows: set[int] = set()
        for chunk in bulk.chunks(wanted):
            names = self._among(_c.name, [ref for ref in chunk if isinstance(ref, str)])
            ids = self._among(_c.id, [ref for ref in chunk if isinstance(ref, bytes)])
            for which in (names, ids):
                rows.update(self._connection.scalars(select(_c.row).where(which)))
        found: dict[str | bytes, Client] = {}
        for client in self.lock_rows(rows):
            for ref in (client.name, client.id):
                if ref in wanted:
                    found[ref] = client
        return found

    def lock_rows(self, rows: Iterable[int]) -> list[Client]:
        """The clients of rows, locked in order; those missing are left out."""
        found: list[Client] = []
        for chunk in bulk.chunks(sorted(rows)):
            found += self._all(locked(_SELECT.where(self._among(_c.row, chunk)).order_by(_c.row)))
        return found

    def existing(self, ids: Iterable[bytes]) -> dict[bytes, Client]:
        """Those of the ids that there are; not locked."""
        found: dict[bytes, Client] = {}
        for chunk in bulk.chunks(ids):
            found.update(
                (client.id, client) for client in self._all(_SELECT.where(self._among(_c.id, chunk)))
            )
        return found

    def by_rows(self, rows: Iterable[int]) -> dict[int, Client]:
        """The clients of rows; those missing are left out."""
        found: dict[int, Client] = {}
        for chunk in bulk.chunks(rows):
            found.update(
                (client.row, client) for client in self._all(_SELECT.where(self._among(_c.row, chunk)))
            )
        return found

    def set_key_version(self, row: int, version: int) -> None:
        """Set the newest version of a client's key."""
        self._connection.execute(update(clients).where(_c.row == row).values(key_version=version))

    def set_c2_key_version(self, rows: Iterable[int], version: int) -> None:
        """Set the version of C2's key that clients will hold."""
        for chunk in bulk.chunks(rows):
            self._connection.execute(
                update(clients).where(self._among(_c.row, chunk)).values(c2_key_version=version)
            )

    def set_name(self, row: int, name: str) -> None:
        """Give a client that was registered by id alone its name.

        Raises:
            InvalidName: it has a NUL.
        """
        named(name)
        run = self._connection.execute
        run(update(clients).where(_c.row == row).values(name=name, by_id=False))
        run(update(memberships).where(memberships.c.client_row == row).values(client_name=name))
        run(update(links).where(links.c.source_row == row).values(source_name=name))

    def delete(self, row: int) -> None:
        """Delete a client with its keys, memberships and links, in both directions."""
        self._connection.execute(delete(clients).where(_c.row == row))

    def count(self) -> int:
        """How many there are."""
        return self._connection.execute(select(func.count()).select_from(clients)).scalar_one()

    def offset(self, offset: int, count: int) -> list[Client]:
        """`count` of them by name, after the first `offset`."""
        return self._all(_SELECT.order_by(_c.name).limit(count).offset(offset))

    def page(self, after_name: str | None, limit: int, prefix: str = "") -> list[Client]:
        """The next by name, of those that begin with `prefix`.

        Raises:
            InvalidRequest: `after_name` cannot be a name.
        """
        if not storable(prefix):
            return []
        query = _SELECT.order_by(_c.name).limit(limit)
        if prefix:
            query = query.where(begins_with(_c.name, prefix))
        if after_name is not None:
            query = query.where(_c.name > cursor_text(after_name))
        return self._all(query)

    def below_c2_key_version(self, version: int, after_row: int, limit: int) -> list[Client]:
        """The next by row whose version of C2's key is below `version`, locked."""
        below = _c.c2_key_version < version
        return self._all(locked(_SELECT.where(below, _c.row > after_row).order_by(_c.row).limit(limit)))

    def count_below_c2_key_version(self, version: int) -> int:
        """How many clients have a version of C2's key below `version`."""
        below = _c.c2_key_version < version
        return self._connection.execute(select(func.count()).select_from(clients).where(below)).scalar_one()

    def iterate(self) -> Iterator[Client]:
        """All by name, in constant memory."""
        result = self._connection.execution_options(yield_per=1000).execute(_SELECT.order_by(_c.name))
        return (Client(*row) for row in result)

    def _one(self, query: Select[Any]) -> Client | None:
        row = self._connection.execute(query).first()
        return None if row is None else Client(*row)

    def _all(self, query: Select[Any]) -> list[Client]:
        return [Client(*row) for row in self._connection.execute(query).all()]


def _is(ref: str | bytes) -> ColumnElement[bool]:
    return _c.name == ref if isinstance(ref, str) else _c.id == ref


def _possible(ref: str | bytes) -> bool:
    return isinstance(ref, bytes) or storable(ref)
