"""The room of events: numbered in the order of commits, without holes.

Appending takes the lock of the log until the transaction ends, so it comes last in one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update

from e4.c2.model import Event, EventKind
from e4.c2.storage import bulk
from e4.c2.storage.room import Room
from e4.c2.storage.schema import events, log

__all__ = ["Events"]

_e = events.c
_COLUMNS = ("number", "kind", "source", "target", "at")


class Events(Room):
    """Events. A reader that has seen a number has seen, or can see, all below."""

    __slots__ = ()

    def append(self, new: Sequence[tuple[EventKind, str, str]], at: int) -> None:
        """Append events, as (kind, source, target); the last thing in a transaction but the audit."""
        if not new:
            return
        number = update(log).values(event=log.c.event + len(new)).returning(log.c.event)
        first = self._connection.execute(number).scalar_one() - len(new) + 1
        rows = [(first + i, kind.value, source, target, at) for i, (kind, source, target) in enumerate(new)]
        bulk.insert(self._connection, events, _COLUMNS, rows)

    def after(self, number: int, limit: int) -> list[Event]:
        """The next events after a number."""
        query = select(_e.number, _e.kind, _e.source, _e.target, _e.at).where(_e.number > number)
        rows = self._connection.execute(query.order_by(_e.number).limit(limit))
        return [Event(number, EventKind(kind), *rest) for number, kind, *rest in rows]

    def last(self) -> int:
        """The number of the newest event ever; 0 before the first."""
        number: int = self._connection.execute(select(log.c.event)).scalar_one()
        return number

    def first(self) -> int:
        """The number of the oldest event that is kept; if none is, that of the next one."""
        oldest = self._connection.execute(select(func.min(_e.number))).scalar_one()
        return self.last() + 1 if oldest is None else oldest

    def prune(self, before: int, limit: int = 10_000) -> int:
        """Delete events of before a time; looks at the oldest `limit`. Returns how many were deleted."""
        oldest = select(_e.number, _e.at).order_by(_e.number).limit(limit).subquery()
        old = select(oldest.c.number).where(oldest.c.at < before)
        return self._connection.execute(delete(events).where(_e.number.in_(old))).rowcount
