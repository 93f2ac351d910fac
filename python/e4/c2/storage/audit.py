"""The room of the audit: rows numbered without holes, each with a hash over the one before.

Appending takes the lock of the log until the transaction ends, so it comes last in one. What the hash is
made of is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Select, select, update

from e4.c2.model import AuditRow
from e4.c2.storage.room import Room, loose_text
from e4.c2.storage.schema import audit, log

__all__ = ["FIRST_HASH", "Audit"]

FIRST_HASH: Final = bytes(32)  # stands before the first row

_a = audit.c
_SELECT: Select[Any] = select(
    _a.number, _a.at, _a.actor, _a.peer, _a.request_id, _a.operation, _a.subject, _a.outcome, _a.hash
)


class Audit(Room):
    """The audit; rows are only ever added."""

    __slots__ = ()

    def append(
        self,
        at: int,
        actor: str,
        peer: str,
        request_id: str,
        operation: str,
        subject: str,
        outcome: str,
        hash_of: Callable[[AuditRow, bytes], bytes],
    ) -> AuditRow:
        """Append a row; the last thing in a transaction.

        Args:
            at: milliseconds since the epoch.
            actor: who; this and the other texts are stored with what no database takes replaced.
            peer: from where.
            request_id: of the call.
            operation: what.
            subject: of what.
            outcome: ``done`` or the name of the error.
            hash_of: makes the row's hash, 32 bytes, from the row (its hash empty) and the hash before it.
        """
        number = update(log).values(audit=log.c.audit + 1).returning(log.c.audit, log.c.audit_hash)
        last, before = self._connection.execute(number).one()
        row = AuditRow(
            number=last,
            at=at,
            actor=loose_text(actor),
            peer=loose_text(peer),
            request_id=loose_text(request_id),
            operation=loose_text(operation),
            subject=loose_text(subject),
            outcome=loose_text(outcome),
            hash=b"",
        )
        row = replace(row, hash=hash_of(row, before))
        values = {column.name: getattr(row, column.name) for column in audit.c}
        self._connection.execute(audit.insert().values(values))
        self._connection.execute(update(log).values(audit_hash=row.hash))
        return row

    def last(self) -> tuple[int, bytes]:
        """The number and hash of the newest row; 0 and `FIRST_HASH` before the first.

        Kept apart from the rows, so that rows cut off at the end are missed.
        """
        number, newest = self._connection.execute(select(log.c.audit, log.c.audit_hash)).one()
        return number, newest

    def page(self, after: int | None, limit: int, *, newest_first: bool = False) -> list[AuditRow]:
        """The next rows by number."""
        query = _SELECT.order_by(_a.number.desc() if newest_first else _a.number).limit(limit)
        if after is not None:
            query = query.where(_a.number < after if newest_first else _a.number > after)
        return [AuditRow(*row) for row in self._connection.execute(query).all()]

    def iterate(self, start: int = 1) -> Iterator[AuditRow]:
        """All rows from a number on, in constant memory."""
        query = _SELECT.where(_a.number >= start).order_by(_a.number)
        result = self._connection.execution_options(yield_per=1000).execute(query)
        return (AuditRow(*row) for row in result)
