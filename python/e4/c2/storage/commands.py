"""The room of commands: the outbox, and what has become of what was in it.

A command is pending until it is settled: sent or superseded. A command that a sender on PostgreSQL has
claimed is locked by it and left alone here; on SQLite it may be superseded while it is on its way, and then
ends as sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, literal_column, or_, select, union_all, update

from e4.c2.model import Command, CommandKind, CommandState
from e4.c2.storage import bulk
from e4.c2.storage.room import Room, locked, loose_text
from e4.c2.storage.schema import clients, commands, topics
from e4.c2.storage.values import NewCommand, Sent

__all__ = ["Commands"]

_o = commands.c
_PENDING = _o.settled_at.is_(None)
_COLUMNS = (*(name for name in NewCommand._fields if name != "job"), "job_id")
_SETTLED = (CommandState.SENT, CommandState.SUPERSEDED)

_source = clients.alias("source")
_LIST: Select[Any] = (
    select(
        _o.id,
        _o.client_id,
        clients.c.name,
        _o.kind,
        func.coalesce(topics.c.name, _source.c.name, ""),
        _o.state,
        _o.attempts,
        _o.error,
        _o.created_at,
        _o.settled_at,
        _o.timestamp,
        _o.job_id,
    )
    .outerjoin(clients, clients.c.row == _o.client_row)
    .outerjoin(topics, topics.c.row == _o.topic_row)
    .outerjoin(_source, _source.c.row == _o.source_row)
)


class Commands(Room):
    """Commands. Whoever queues one has locked its client, so that ids are in the order of commits."""

    __slots__ = ()

    def queue(self, new: Sequence[NewCommand]) -> None:
        """Queue commands, in their order."""
        bulk.insert(self._connection, commands, _COLUMNS, new)
        # What comes after a command that waits for its next try waits with it, so that a claim need not
        # look at it. (No more than that: a claim checks each client's order by itself.)
        if self._connection.execute(select(_o.id).where(_PENDING, _o.retry_at > 0).limit(1)).first() is None:
            return
        for chunk in bulk.chunks({command.client_id for command in new}):
            waiting = select(_o.client_id, func.max(_o.retry_at)).where(_PENDING, _o.client_id.in_(chunk))
            found = self._connection.execute(waiting.group_by(_o.client_id).having(func.max(_o.retry_at) > 0))
            sql = "UPDATE commands SET retry_at = ? WHERE client_id = ? AND retry_at = 0 AND settled_at IS NULL"
            ...

    def supersede(
        self,
        *,
        at: int,
        clients: Iterable[bytes] | None = None,
        kinds: Collection[CommandKind] | None = None,
        topic_hash: bytes | None = None,
        source_id: bytes | None = None,
    ) -> int:
        """Settle pending commands that a later operation makes needless.

        Args:
            at: milliseconds since the epoch.
            clients: ids of the clients whose commands are meant; None: of all clients.
            kinds: None: of every kind.
            topic_hash: only those about this topic.
            source_id: only those about this client's public key.

        Returns:
            How many there were.
        """
        which = [_PENDING]
        if kinds is not None:
            which.append(_o.kind.in_([int(kind) for kind in kinds]))
        if topic_hash is not None:
            which.append(_o.topic_hash == topic_hash)
        if source_id is not None:
            which.append(_o.source_id == source_id)
        if clients is None:
            return self._supersede(which, at)
        return sum(self._supersede([*which, _o.client_id.in_(chunk)], at) for chunk in bulk.chunks(clients))
