"""The room of commands: the outbox, and what has become of what was in it.

A command is pending until it is settled: sent or superseded. One that a sender on PostgreSQL has claimed is
locked, and left alone by `supersede`; on SQLite it may be superseded while it is on its way, and then ends
as sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, select, text, update

from e4.c2.model import Command, CommandKind, CommandState
from e4.c2.storage import bulk
from e4.c2.storage.room import Room, loose_text
from e4.c2.storage.schema import clients as clients_table
from e4.c2.storage.schema import commands, topics
from e4.c2.storage.values import NewCommand, Sent

__all__ = ["Commands"]

_o = commands.c
_PENDING = _o.settled_at.is_(None)
_COLUMNS: Final = (*NewCommand._fields[:-1], "job_id")

_client = clients_table.alias("client")
_source = clients_table.alias("source")
_LIST: Select[Any] = (
    select(
        _o.id,
        _o.client_id,
        _client.c.name,
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
    .outerjoin(_client, _client.c.row == _o.client_row)
    .outerjoin(topics, topics.c.row == _o.topic_row)
    .outerjoin(_source, _source.c.row == _o.source_row)
)

# Not when the operator has given the client another key since: it must go again, under that one.
_MARK_SENT: Final = """
    UPDATE commands SET state = 'sent', error = '', retry_at = 0, settled_at = ?, timestamp = ?
    WHERE id = ? AND NOT EXISTS (
        SELECT 1 FROM clients WHERE clients.row = commands.client_row AND clients.base_version > ?)
"""
_MARK_SENT_POSTGRESQL: Final = text("""
    UPDATE commands SET state = 'sent', error = '', retry_at = 0, settled_at = :at, timestamp = sent.timestamp
    FROM unnest(CAST(:id AS bigint[]), CAST(:timestamp AS bigint[]), CAST(:key_version AS integer[]))
        AS sent(id, timestamp, key_version)
    WHERE commands.id = sent.id AND NOT EXISTS (
        SELECT 1 FROM clients
        WHERE clients.row = commands.client_row AND clients.base_version > sent.key_version)
    RETURNING commands.id
""")
_MARK_FAILED: Final = """
    UPDATE commands SET state = 'failed', error = ?, retry_at = ?, attempts = attempts + 1
    WHERE id = ? AND settled_at IS NULL
"""
# Not those that another sender has looked at: it may be waiting for one of ours.
_MAKE_WAIT: Final = """
    UPDATE commands SET retry_at = ? WHERE id IN (
        SELECT id FROM commands
        WHERE client_id = (SELECT client_id FROM commands WHERE id = ?)
        AND id > ? AND settled_at IS NULL AND retry_at < ? {lock})
"""


class Commands(Room):
    """Commands. Whoever queues one has locked its client, so that ids are in the order of commits."""

    __slots__ = ()

    def queue(self, new: Sequence[NewCommand]) -> None:
        """Queue commands, in their order."""
        # What comes after a command that waits for its next try waits with it, so that a claim finds what
        # may go without looking at what may not. (Nothing else depends on it: a claim checks the order.)
        waiting = self._waiting(new)
        if waiting:
            rows = [(*command, waiting.get(command.client_id, 0)) for command in new]
            bulk.insert(self._connection, commands, (*_COLUMNS, "retry_at"), rows)
        else:
            bulk.insert(self._connection, commands, _COLUMNS, new)

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
        which: list[ColumnElement[bool]] = []
        if kinds is not None:
            which.append(_o.kind.in_(sorted(map(int, kinds))))
        if topic_hash is not None:
            which.append(_o.topic_hash == topic_hash)
        if source_id is not None:
            which.append(_o.source_id == source_id)
        if clients is None:
            return self._supersede(
                [*which, _o.retry_at >= 0], at
            )  # all: there is an index of what is pending
        return sum(
            self._supersede([*which, self._among(_o.client_id, ids)], at) for ids in bulk.chunks(clients)
        )

    def move_key_version(self, client_id: bytes, version: int) -> None:
        """Have all that is pending for a client go out under a key that it was given by other means."""
        which = clients_table.c.id == client_id
        self._connection.execute(update(clients_table).where(which).values(base_version=version))

    def mark_sent(self, sent: Sequence[Sent], at: int) -> frozenset[int]:
        """Settle commands whose PUBCOMP was seen.

        Returns:
            Those that are not settled by it: the client has been given another key (see `move_key_version`)
            while they went out under an older one, or they are gone.
        """
        if self._postgresql:
            values = {
                "id": [command.id for command in sent],
                "timestamp": [command.timestamp for command in sent],
                "key_version": [command.key_version for command in sent],
            }
            done = set(self._connection.scalars(_MARK_SENT_POSTGRESQL, values | {"at": at}))
            return frozenset(command.id for command in sent if command.id not in done)
        rows = [(at, timestamp, number, version) for number, timestamp, version in sent]
        if bulk.run(self._connection, _MARK_SENT, rows) == len(sent):
            return frozenset()
        numbers = {command.id for command in sent}
        for chunk in bulk.chunks(list(numbers)):
            settled = select(_o.id).where(self._among(_o.id, chunk), _o.state == CommandState.SENT)
            numbers.difference_update(self._connection.scalars(settled))
        return frozenset(numbers)

    def mark_failed(self, failed: Sequence[tuple[int, str, int]]) -> None:
        """Note commands that the broker refused, as (id, reason, when to try again).

        What is queued after one for the same client waits as long.
        """
        rows = [(loose_text(reason), retry_at, number) for number, reason, retry_at in failed]
        bulk.run(self._connection, _MARK_FAILED, rows)
        waits = [(retry_at, number, number, retry_at) for number, _, retry_at in failed]
        lock = "FOR UPDATE SKIP LOCKED" if self._postgresql else ""
        bulk.run(self._connection, _MAKE_WAIT.format(lock=lock), waits)

    def mark_superseded(self, ids: Iterable[int], at: int) -> None:
        """Settle pending commands that cannot be sent: what they are about is gone."""
        for chunk in bulk.chunks(ids):
            self._supersede([self._among(_o.id, chunk)], at, skip_locked=False)

    def retry_now(self) -> int:
        """Forget the waiting times; how many commands were waiting."""
        return self._set_pending([_o.retry_at > 0], retry_at=0)

    def get(self, number: int) -> Command | None:
        """A command."""
        row = self._connection.execute(_LIST.where(_o.id == number)).first()
        return None if row is None else _command(row)

    def page(
        self,
        *,
        client: bytes | None = None,
        state: CommandState | None = None,
        job: int | None = None,
        after_id: int | None = None,
        limit: int,
        newest_first: bool = False,
    ) -> list[Command]:
        """The next commands by id.

        Args:
            client: only those of this client id.
            state: only those in this state.
            job: only those of this job.
            after_id: where the page before ended.
            limit: how many at most.
            newest_first: in falling order.
        """
        query = _LIST.order_by(_o.id.desc() if newest_first else _o.id).limit(limit)
        if client is not None:
            query = query.where(_o.client_id == client)
        if state is not None:
            query = query.where(_o.state == state)
            if state in (CommandState.QUEUED, CommandState.FAILED):
                query = query.where(_PENDING)  # there is an index of these
        if job is not None:
            query = query.where(_o.job_id == job)
        if after_id is not None:
            query = query.where(_o.id < after_id if newest_first else _o.id > after_id)
        return [_command(row) for row in self._connection.execute(query).all()]

    def pending(self) -> tuple[int, int | None]:
        """How many are pending, and when the oldest was queued."""
        count = self._connection.execute(
            select(func.count()).select_from(commands).where(_PENDING)
        ).scalar_one()
        oldest: list[int] = []
        for state in (CommandState.QUEUED, CommandState.FAILED):
            first = select(_o.created_at).where(_PENDING, _o.state == state).order_by(_o.id).limit(1)
            oldest += self._connection.scalars(first)
        return count, min(oldest, default=None)

    def count_pending_of(self, client_id: bytes) -> int:
        """How many of a client's are pending."""
        return self._count(_o.client_id == client_id)

    def pending_id_keys(self, client_id: bytes, version: int) -> int:
        """How many pending SetIdKey bring a client this version of its key."""
        set_id_key = _o.kind == int(CommandKind.SET_ID_KEY)
        return self._count(_o.client_id == client_id, set_id_key, _o.new_version == version)

    def pending_c2_keys(self) -> int:
        """How many pending SetC2Key there are."""
        return self._count(_o.kind == int(CommandKind.SET_C2_KEY))

    def prune(self, before: int, limit: int) -> int:
        """Delete commands settled before a time; looks at the oldest `limit` that are settled.

        Returns:
            How many were deleted; there may be more to delete when it is not 0.
        """
        settled = select(_o.id, _o.settled_at).where(~_PENDING).order_by(_o.id).limit(limit).subquery()
        old = select(settled.c.id).where(settled.c.settled_at < before)
        return self._connection.execute(delete(commands).where(_o.id.in_(old))).rowcount

    def _waiting(self, new: Sequence[NewCommand]) -> dict[bytes, int]:
        """Until when clients' queues wait, for those that do."""
        anything = select(_o.id).where(_PENDING, _o.retry_at > 0).limit(1)
        if self._connection.execute(anything).first() is None:
            return {}
        found: dict[bytes, int] = {}
        for ids in bulk.chunks({command.client_id for command in new}):
            latest = func.max(_o.retry_at)
            query = select(_o.client_id, latest).where(_PENDING, self._among(_o.client_id, ids))
            rows: Sequence[Any] = self._connection.execute(
                query.group_by(_o.client_id).having(latest > 0)
            ).all()
            found |= dict(rows)
        return found

    def _supersede(self, which: list[ColumnElement[bool]], at: int, *, skip_locked: bool = True) -> int:
        return self._set_pending(
            which, skip_locked=skip_locked, state=CommandState.SUPERSEDED, settled_at=at, retry_at=0
        )

    def _set_pending(
        self, which: list[ColumnElement[bool]], *, skip_locked: bool = True, **values: Any
    ) -> int:
        ids = select(_o.id).where(_PENDING, *which)
        if skip_locked:
            ids = ids.with_for_update(skip_locked=True)
        return self._connection.execute(update(commands).where(_o.id.in_(ids)).values(values)).rowcount

    def _count(self, *which: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(commands).where(_PENDING, *which)
        return self._connection.execute(query).scalar_one()


def _command(row: Sequence[Any]) -> Command:
    number, client_id, name, kind, subject, state, attempts, error, created_at, settled_at, timestamp, job = (
        row
    )
    return Command(
        id=number,
        client=client_id.hex() if name is None else name,
        kind=CommandKind(kind),
        subject=subject,
        state=CommandState(state),
        attempts=attempts,
        error=error,
        created_at=created_at,
        sent_at=settled_at if state == CommandState.SENT else None,
        timestamp=timestamp,
        job=job,
    )
