"""The database: opened, migrated, read and written."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from sqlalchemy import URL, Connection, func, select, text

from e4.c2.model import Mode
from e4.c2.storage import claim as claims
from e4.c2.storage import migrations
from e4.c2.storage.claim import Claim
from e4.c2.storage.engine import BUSY_SECONDS, Engines, create_file, database_url, sqlite_path
from e4.c2.storage.problems import Transient, plainly
from e4.c2.storage.schema import delivery_clock, vault
from e4.c2.storage.transaction import Transaction
from e4.errors import DatabaseError

__all__ = ["Store"]

_LAST_SECOND: Final = select(func.coalesce(func.max(delivery_clock.c.seconds), 0))
_FORGET_SECONDS: Final = 3600  # announced seconds this far back can be nobody's floor


class Store:
    """A key server's database. Safe to use from many threads; `create` and `open` make one.

    On SQLite one process at a time is expected to write. Writers there take turns, readers never wait.
    """

    def __init__(self, engines: Engines) -> None:
        """Not for direct use: see `create` and `open`."""
        self._engines = engines
        self._turn = threading.Lock()  # SQLite: waits in order, where its own lock makes writers poll
        self._sender = secrets.randbits(62) + 1 if engines.dialect == "postgresql" else 0
        self._mode: Mode | None = None

    def __repr__(self) -> str:
        return f"Store({self._engines.url.render_as_string(hide_password=True)!r})"

    @classmethod
    def create(cls, url: str) -> Store:
        """Make the tables in an empty database. A SQLite file is made too, mode 0600.

        Args:
            url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``.

        Raises:
            DatabaseError: there is something in it already, or it cannot be written.
        """
        parsed = database_url(url)
        path = sqlite_path(parsed)
        if path is not None:
            create_file(path)
        engines = Engines(parsed)
        return cls._ready(engines, migrations.create, write=True)

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Store:
        """Open a database.

        Args:
            url: as for `create`.
            read_only: SQLite: leave the file and its folder untouched.

        Raises:
            DatabaseError: there is none, it cannot be reached, or it is not of this version; the text says
                what to do.
        """
        engines = Engines(_existing(url), read_only=read_only)
        return cls._ready(engines, migrations.check, write=False)

    @classmethod
    def migrate(cls, url: str) -> Store:
        """Bring a database of an older version up to this one, in one transaction, and open it.

        Raises:
            DatabaseError: there is none, or it is of a newer version.
        """
        engines = Engines(_existing(url))
        return cls._ready(engines, migrations.upgrade, write=True)

    @classmethod
    def _ready(cls, engines: Engines, prepare: Callable[[Connection], None], *, write: bool) -> Store:
        try:
            with (
                plainly(),
                engines.to_write() if write else engines.to_read() as connection,
                connection.begin(),
            ):
                prepare(connection)
        except BaseException:
            engines.close()
            raise
        return cls(engines)

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""
        return self._engines.dialect

    def ping(self) -> None:
        """Read something.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self.connected_to_read() as connection:
            connection.execute(text("SELECT count(*) FROM delivery_clock"))

    def close(self) -> None:
        """End the connections."""
        self._engines.close()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block; an exception undoes it.

        Raises:
            Transient: it met another transaction, and may be run again.
            DatabaseError: the database cannot be written; nothing of it is.
        """
        with self.connected_to_write() as connection:
            yield Transaction(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database, and cannot change it.

        Raises:
            DatabaseError: the database cannot be read.
        """
        with self.connected_to_read() as connection:
            yield Transaction(connection)

    @contextmanager
    def claim(self, limit: int, now_ms: int) -> Iterator[Claim]:
        """Claim the first commands of some clients' queues.

        A claim whose results are not written is released as it was.

        Args:
            limit: how many commands at most.
            now_ms: commands that wait for a later time are left, and what comes after them.

        Raises:
            DatabaseError: the database cannot be read.
        """
        with plainly():
            if self.dialect == "sqlite":
                # On the one connection that writes: what it has in memory stays valid, while that of others
                # is void after every commit of it.
                with self.connected_to_write() as connection:
                    ids = claims.claimable(connection, limit, now_ms)
                    outgoing = claims.outgoing(connection, ids, self._mode_of(connection))
                yield Claim(outgoing, 0, self.write, lambda: None)
                return
            with self._engines.to_write() as connection:
                # The order of these matters: see `_floor`.
                connection.execute(text("SELECT pg_advisory_xact_lock(:sender)"), {"sender": self._sender})
                ids = claims.claimable(connection, limit, now_ms)
                outgoing = claims.outgoing(connection, ids, self._mode_of(connection))
                floor = self._floor(connection)

                @contextmanager
                def write() -> Iterator[Transaction]:
                    yield Transaction(connection)
                    own = delivery_clock.c.sender == self._sender
                    connection.execute(delivery_clock.update().where(own).values(open=False))
                    connection.commit()

                yield Claim(outgoing, floor, write, lambda: connection.execute(text("SELECT 1")).close())

    def advance_clock(self, seconds: int) -> int:
        """Announce a second that commands will be dated with; committed when this returns.

        Returns:
            The last second announced by anybody. If it is not `seconds`, that is in the past and must not be
            used.
        """
        with self.connected_to_write() as connection:
            now: int = max(seconds, connection.execute(_LAST_SECOND).scalar_one())
            own = delivery_clock.c.sender == self._sender
            changed = delivery_clock.update().where(own).values(seconds=now, open=True)
            if not connection.execute(changed).rowcount:
                new = {"sender": self._sender, "seconds": now, "open": True}
                connection.execute(delivery_clock.insert().values(new))
            old = delivery_clock.c.seconds < now - _FORGET_SECONDS
            connection.execute(delivery_clock.delete().where(old))
        return now

    def clock(self) -> int:
        """The last second that anybody announced; 0 before the first."""
        with self.connected_to_read() as connection:
            last: int = connection.execute(_LAST_SECOND).scalar_one()
        return last

    @contextmanager
    def connected_to_read(self) -> Iterator[Connection]:
        """The connection of a transaction like that of `read`, for the rest of the storage."""
        with plainly(), self._engines.to_read() as connection, connection.begin():
            yield connection

    @contextmanager
    def connected_to_write(self) -> Iterator[Connection]:
        """The connection of a transaction like that of `write`, for the rest of the storage."""
        single = self.dialect == "sqlite"
        if single and not self._turn.acquire(timeout=BUSY_SECONDS):
            raise Transient
        try:
            with plainly(), self._engines.to_write() as connection, connection.begin():
                yield connection
        finally:
            if single:
                self._turn.release()

    def _mode_of(self, connection: Connection) -> Mode:
        if self._mode is None:
            self._mode = connection.scalar(select(vault.c.mode))
        return self._mode or "symkey"

    def _floor(self, connection: Connection) -> int:
        """The last second that a sender announced whose claim ended with no result noted.

        A sender holds its advisory lock from before it locks commands until its claim ends. So if we have
        commands that it had, its lock is free, and what it announced before it published is seen here.
        """
        c = delivery_clock.c
        announced = connection.execute(
            select(c.sender, c.seconds).where(c.open, c.sender != self._sender)
        ).all()
        free = text(
            "SELECT CASE WHEN pg_try_advisory_lock_shared(:sender)"
            " THEN pg_advisory_unlock_shared(:sender) ELSE false END"
        )
        return max(
            (seconds for sender, seconds in announced if connection.scalar(free, {"sender": sender})),
            default=0,
        )


def _existing(url: str) -> URL:
    parsed = database_url(url)
    path = sqlite_path(parsed)
    if path is not None and not path.is_file():
        raise DatabaseError(f"there is no database at {path}: run 'e4 c2 init'")
    return parsed
