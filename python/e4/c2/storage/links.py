"""The room of links: a target holds the public key of a source.

The links *of* a client are the sources linked to it: so deployed tools count and list them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, delete, func, literal, select

from e4.c2.model import Client
from e4.c2.storage import bulk
from e4.c2.storage.clients import CLIENT, Clients
from e4.c2.storage.room import Room, cursor_text, if_new
from e4.c2.storage.schema import clients, links

__all__ = ["Links"]

_l = links.c
_c = clients.c
_SOURCES: Select[Any] = select(*CLIENT).join(links, _l.source_row == _c.row)


class Links(Room):
    """Links, by rows of clients. Whoever changes one has locked both clients."""

    __slots__ = ()

    def add(self, source_row: int, target_row: int, at: int) -> bool:
        """Link a source to a target; False if it is."""
        columns = (_l.source_row, _l.target_row, _l.source_name, _l.created_at)
        source = select(_c.row, literal(target_row), _c.name, literal(at)).where(_c.row == source_row)
        insert = if_new(self._connection, links).from_select(columns, source).returning(_l.source_row)
        return self._connection.execute(insert).first() is not None

    def remove(self, source_row: int, target_row: int) -> bool:
        """End a link; False if there is none."""
        query = delete(links).where(_l.source_row == source_row, _l.target_row == target_row)
        return self._connection.execute(query).rowcount > 0

    def count(self, target_row: int) -> int:
        """How many sources are linked to a target."""
        query = select(func.count()).select_from(links).where(_l.target_row == target_row)
        return self._connection.execute(query).scalar_one()

    def count_targets(self, source_row: int) -> int:
        """How many targets a source is linked to."""
        query = select(func.count()).select_from(links).where(_l.source_row == source_row)
        return self._connection.execute(query).scalar_one()

    def sources_offset(self, target_row: int, offset: int, count: int) -> list[Client]:
        """`count` of a target's sources by name, after the first `offset`."""
        return self._clients(_sources_of(target_row).limit(count).offset(offset))

    def sources_page(self, target_row: int, after_name: str | None, limit: int) -> list[Client]:
        """The next of a target's sources by name."""
        query = _sources_of(target_row).limit(limit)
        if after_name is not None:
            query = query.where(_l.source_name > cursor_text(after_name))
        return self._clients(query)

    def source_names(self, target_rows: Iterable[int]) -> dict[int, list[str]]:
        """The names of many targets' sources, in order; targets without any are left out."""
        found: dict[int, list[str]] = {}
        for chunk in bulk.chunks(target_rows):
            query = select(_l.target_row, _l.source_name).where(self._among(_l.target_row, chunk))
            for row, name in self._connection.execute(query.order_by(_l.target_row, _l.source_name)):
                found.setdefault(row, []).append(name)
        return found

    def targets_after(self, source_row: int, after_row: int, limit: int) -> list[Client]:
        """The next of a source's targets by row, locked, and still linked; fewer than `limit`: the last."""
        found: list[Client] = []
        while len(found) < limit:
            query = select(_l.target_row).where(_l.source_row == source_row, _l.target_row > after_row)
            ask = limit - len(found)
            rows = list(self._connection.scalars(query.order_by(_l.target_row).limit(ask)))
            # Somebody may have ended a link while we waited for the client: look again.
            locked = Clients(self._connection).lock_rows(rows)
            linked = self._targets_among(source_row, rows)
            found += (client for client in locked if client.row in linked)
            if len(rows) < ask:
                break
            after_row = rows[-1]
        return found

    def _targets_among(self, source_row: int, rows: list[int]) -> set[int]:
        if not rows:
            return set()
        between = _l.target_row.between(rows[0], rows[-1])
        query = select(_l.target_row).where(_l.source_row == source_row, between)
        return set(self._connection.scalars(query))

    def _clients(self, query: Select[Any]) -> list[Client]:
        return [Client(*row) for row in self._connection.execute(query).all()]


def _sources_of(target_row: int) -> Select[Any]:
    return _SOURCES.where(_l.target_row == target_row).order_by(_l.source_name)
