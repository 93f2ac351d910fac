"""A sender's share of the outbox: the first commands of some clients' queues, in order.

On PostgreSQL a claim is a transaction that holds its commands' rows locked: other senders pass over them
(SKIP LOCKED), and a command whose predecessor is not in the same claim is not claimed. So nothing is sent
twice or out of order, and what a killed sender held is free at once. A SQLite database has one sender,
whose claims need no lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from sqlalchemy import Connection, select, text

from e4.c2.model import CommandKind, Mode
from e4.c2.storage import bulk
from e4.c2.storage.lists import among
from e4.c2.storage.problems import plainly
from e4.c2.storage.schema import client_keys, clients, topic_keys, topics
from e4.c2.storage.transaction import Transaction
from e4.c2.storage.values import Outgoing

__all__ = ["Claim", "claimable", "outgoing"]

_RETRIES: Final = 4  # at most this part of a claim, 1/4, are commands that failed before
_PAGE: Final = 500  # commands to look at, at least, after a page with some that cannot be claimed

# The next pending commands, each with the pending one before it in its client's queue.
_NEXT: Final = """
    SELECT c.id, c.client_id, c.retry_at, (
        SELECT max(p.id) FROM commands p
        WHERE p.client_id = c.client_id AND p.id < c.id AND p.settled_at IS NULL)
    FROM commands c
    WHERE c.settled_at IS NULL AND c.retry_at >= :retry_at AND c.retry_at <= :until
    AND (c.retry_at, c.id) > (:retry_at, :id)
    ORDER BY c.retry_at, c.id LIMIT :limit
"""
_FULL: Final = """
    SELECT c.id, c.client_id, c.client_row, cl.name, c.kind,
        CASE WHEN cl.base_version > c.key_version THEN cl.base_version ELSE c.key_version END,
        k.sealed, c.c2_key_version, c.topic_row, c.topic_hash, c.source_row, c.source_id, c.new_version,
        c.attempts, c.job_id,
        (SELECT max(s.timestamp) FROM commands s WHERE s.client_id = c.client_id AND s.timestamp IS NOT NULL)
    FROM commands c
    LEFT JOIN clients cl ON cl.row = c.client_row
    LEFT JOIN client_keys k ON k.client_row = c.client_row AND k.version =
        CASE WHEN cl.base_version > c.key_version THEN cl.base_version ELSE c.key_version END
    WHERE c.id {among} ORDER BY c.id
"""


class Claim:
    """Commands to send now.

    Args:
        outgoing: in order; of each of their clients, the beginning of its queue.
        floor: the last second in which a sender that ended with no result noted may have sent to the same
            clients; 0: there is none. Only a later second may be used.
    """

    def __init__(
        self,
        outgoing: list[Outgoing],
        floor: int,
        write: Callable[[], AbstractContextManager[Transaction]],
        check: Callable[[], None],
    ) -> None:
        self.outgoing = outgoing
        self.floor = floor
        self._write = write
        self._check = check

    def check(self) -> None:
        """Make sure that the claim still stands.

        Raises:
            DatabaseError: the connection that held it is lost, and others may claim the same commands.
        """
        with plainly():
            self._check()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The transaction that writes how the commands ended; with its commit the claim is over."""
        with plainly(), self._write() as transaction:
            yield transaction


def claimable(connection: Connection, limit: int, now: int) -> list[int]:
    """The ids of the commands to claim, rising; on PostgreSQL they are locked.

    Commands never tried go first by age; of those that failed, only some, so that neither waits for ever.
    """
    claimed: dict[bytes, int] = {}
    ids: list[int] = []

    def take(rows: Sequence[Sequence[Any]]) -> None:
        for number, client_id, _, before in rows:
            if len(ids) < limit and (before is None or claimed.get(client_id) == before):
                claimed[client_id] = number
                ids.append(number)

    fresh, failed = _Pages(connection, 0, 0), _Pages(connection, 1, now)
    take(failed.next(max(1, limit // _RETRIES)))
    for pages in (fresh, failed):
        while len(ids) < limit and not pages.ended:
            take(pages.next(limit - len(ids)))
    return sorted(ids)


class _Pages:
    """The pending commands whose next try is between two times, page by page."""

    def __init__(self, connection: Connection, since: int, until: int) -> None:
        self._connection = connection
        self._query = _NEXT_LOCKED if connection.dialect.name == "postgresql" else _NEXT_PLAIN
        self._values = {"retry_at": since, "id": 0, "until": until}
        self._at_least = 0
        self.ended = False

    def next(self, limit: int) -> Sequence[Sequence[Any]]:
        limit = max(limit, self._at_least)
        self._at_least = _PAGE
        rows = self._connection.execute(self._query, self._values | {"limit": limit}).all()
        self.ended = len(rows) < limit
        if rows:
            self._values |= {"id": rows[-1][0], "retry_at": rows[-1][2]}
        return rows


_NEXT_PLAIN: Final = text(_NEXT)
_NEXT_LOCKED: Final = text(_NEXT + "FOR UPDATE OF c SKIP LOCKED")
_FULL_SQLITE: Final = text(_FULL.format(among="IN (SELECT value FROM json_each(:ids))"))
_FULL_POSTGRESQL: Final = text(_FULL.format(among="= ANY(:ids)"))


def outgoing(connection: Connection, ids: list[int], mode: Mode) -> list[Outgoing]:
    """The commands of rising `ids`, with what it takes to protect them."""
    if not ids:
        return []
    if connection.dialect.name == "postgresql":
        rows = connection.execute(_FULL_POSTGRESQL, {"ids": ids}).all()
    else:
        rows = connection.execute(_FULL_SQLITE, {"ids": json.dumps(ids)}).all()
    found_topics = _topics(connection, {row[8] for row in rows})
    sources = _sources(connection, {row[10] for row in rows})
    new_keys = _new_keys(connection, {row[2] for row in rows if row[4] == CommandKind.SET_ID_KEY}, mode)
    return [_outgoing(row, found_topics, sources, new_keys) for row in rows]


_KINDS: Final = {kind.value: kind for kind in CommandKind}  # a lookup; the enum's own takes long
_Named = tuple[str, int | None, bytes | None]
_GONE: Final[_Named] = ("", None, None)


def _topics(connection: Connection, rows: set[int | None]) -> dict[int | None, _Named]:
    """Topics' names, and their newest keys."""
    t, k = topics.c, topic_keys.c
    query = select(t.row, t.name, k.version, k.sealed).join(
        topic_keys, (k.topic_row == t.row) & (k.version == t.version)
    )
    return _named(connection, query, t.row, rows)


def _sources(connection: Connection, rows: set[int | None]) -> dict[int | None, _Named]:
    """Clients' names, and their newest public keys."""
    c, k = clients.c, client_keys.c
    query = select(c.row, c.name, k.version, k.sealed).join(
        client_keys, (k.client_row == c.row) & (k.version == c.key_version)
    )
    return _named(connection, query, c.row, rows)


def _named(
    connection: Connection, query: Any, column: Any, rows: set[int | None]
) -> dict[int | None, _Named]:
    found: dict[int | None, _Named] = {}
    for chunk in bulk.chunks(rows - {None}):
        for row, *named in connection.execute(query.where(among(connection, column, chunk))):
            found[row] = (named[0], named[1], named[2])
    return found


def _new_keys(connection: Connection, rows: set[int], mode: Mode) -> dict[tuple[int, int], bytes | None]:
    """The keys that SetIdKey may bring, by client and version."""
    k = client_keys.c
    sealed = k.transit_sealed if mode == "pubkey" else k.sealed
    found: dict[tuple[int, int], bytes | None] = {}
    for chunk in bulk.chunks(rows):
        query = select(k.client_row, k.version, sealed).where(among(connection, k.client_row, chunk))
        found.update({(row, version): key for row, version, key in connection.execute(query)})
    return found


def _outgoing(
    row: Sequence[Any],
    found_topics: dict[int | None, _Named],
    sources: dict[int | None, _Named],
    new_keys: dict[tuple[int, int], bytes | None],
) -> Outgoing:
    (
        number, client_id, client_row, name, kind, key_version, client_key, c2_key_version, topic_row,
        topic_hash, source_row, source_id, new_version, attempts, job, last_timestamp,
    ) = row  # fmt: skip
    topic, topic_version, topic_key = found_topics.get(topic_row, _GONE)
    source, source_version, source_key = sources.get(source_row, _GONE)
    kind = _KINDS[kind]
    new_key = new_keys.get((client_row, new_version)) if kind is CommandKind.SET_ID_KEY else None
    client = client_id.hex() if name is None else name
    return Outgoing(
        number, client_id, client_row, client, kind, key_version, client_key, c2_key_version, topic_row,
        topic_hash, topic, topic_version, topic_key, source_row, source_id, source, source_version,
        source_key, new_version, new_key, attempts, job, last_timestamp,
    )  # fmt: skip
