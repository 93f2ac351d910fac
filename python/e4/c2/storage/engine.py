"""Connections to SQLite files and PostgreSQL servers, set up alike.

SQLite: WAL, foreign keys, full synchronous; a writing transaction takes its lock when it begins
(BEGIN IMMEDIATE), a reading one never waits for it. PostgreSQL: READ COMMITTED for writing, one read-only
snapshot (REPEATABLE READ) for reading; a connection that was lost while idle is replaced.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from e4.errors import DatabaseError

__all__ = [
    "BUSY_SECONDS",
    "CONNECT_SECONDS",
    "Engines",
    "connect_to_file",
    "create_file",
    "database_url",
    "sqlite_path",
]

BUSY_SECONDS: Final = 30  # how long to wait for a lock, a free connection
CONNECT_SECONDS: Final = 10
CONNECTIONS: Final = 40


def database_url(text: str) -> URL:
    """Parse the URL of a database: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``.

    Raises:
        DatabaseError: it is neither.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise DatabaseError("the database's URL is not valid") from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:" or url.query:
            raise DatabaseError("a SQLite URL names a file: sqlite:///PATH")
        return url.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseError("the database's URL must begin with sqlite:/// or postgresql://")


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite database; None for PostgreSQL."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


class Engines:
    """One database, for writing and for reading.

    Args:
        url: from `database_url`.
        read_only: SQLite: the file is not touched; then nothing can be written.
    """

    def __init__(self, url: URL, *, read_only: bool = False) -> None:
        self.url = url
        self.dialect: Literal["sqlite", "postgresql"] = "postgresql" if sqlite_path(url) is None else "sqlite"
        self._writer: Engine
        self._reader: Engine
        path = sqlite_path(url)
        if path is not None:
            # Writers take turns (see `Store`), so that one connection is enough.
            self._writer = _sqlite(path, writes=True, cache_kib=65536, connections=1, read_only=read_only)
            self._reader = _sqlite(
                path, writes=False, cache_kib=8192, connections=CONNECTIONS, read_only=read_only
            )
        else:
            self._writer = _postgresql(url)
            self._reader = self._writer.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    def __repr__(self) -> str:
        return f"<Engines of {self.url.render_as_string(hide_password=True)}>"

    def to_write(self) -> Connection:
        """A connection whose transaction may write."""
        return self._writer.connect()

    def to_read(self) -> Connection:
        """A connection whose transaction sees one snapshot."""
        return self._reader.connect()

    def close(self) -> None:
        """End the connections."""
        self._reader.dispose()
        self._writer.dispose()


def create_file(path: Path) -> None:
    """Make an empty database file that only its owner may read; leaves one that is there as it is."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DatabaseError(f"cannot create {path}: {error.strerror}") from error


def connect_to_file(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection to a SQLite file that is there; its transactions begin where we say."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _sqlite(path: Path, *, writes: bool, cache_kib: int, connections: int, read_only: bool) -> Engine:
    pragmas = [
        *([] if read_only else ["journal_mode=WAL", f"journal_size_limit={64 << 20}"]),
        "synchronous=FULL",
        "foreign_keys=ON",
        f"cache_size=-{cache_kib}",
        "temp_store=MEMORY",
        "wal_autocheckpoint=16000",
        f"query_only={int(not writes)}",
    ]

    def connect() -> sqlite3.Connection:
        connection = connect_to_file(path, read_only=read_only)
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").close()
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=QueuePool,
        hide_parameters=True,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
        pool_timeout=BUSY_SECONDS,
    )

    @event.listens_for(engine, "begin")
    def begins(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "e4 c2"}
    if "options" not in url.query:
        settings = {
            "lock_timeout": f"{BUSY_SECONDS}s",
            # The locks of a process whose machine is gone are free after a minute.
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
            "client_min_messages": "warning",
            # Every statement is short and served by an index; plans for large scans only get in the way.
            "random_page_cost": "1.1",
            "jit": "off",
            "max_parallel_workers_per_gather": "0",
        }
        arguments["options"] = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_size=CONNECTIONS // 2,
        max_overflow=CONNECTIONS // 2,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
        connect_args=arguments,
    )
