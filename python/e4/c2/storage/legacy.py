"""Reads the database of a deployed server, which this one takes over. Never writes to it.

Its tables: ``clients(id, e4_id, name, key)``, ``topic_keys(id, topic, key)``,
``clients_topickeys(client_id, topic_key_id)``, ``clients_clientkeys(client_id, clientkey_id)``. A key is
AES-SIV under the key derived from the server's passphrase; here it stays sealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.pool import NullPool

from e4.c2.storage.engine import CONNECT_SECONDS, connect_to_file, database_url, sqlite_path
from e4.c2.storage.problems import plainly
from e4.errors import DatabaseError

__all__ = ["LegacyClient", "LegacyDatabase", "LegacyTopic"]

_TABLES = {
    "clients": {"id", "e4_id", "name", "key"},
    "topic_keys": {"id", "topic", "key"},
    "clients_topickeys": {"client_id", "topic_key_id"},
    "clients_clientkeys": {"client_id", "clientkey_id"},
}


@dataclass(frozen=True, slots=True)
class LegacyClient:
    """A client. `number` is what memberships and links call it; `name` may be empty."""

    number: int
    id: bytes
    name: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LegacyTopic:
    """A topic. `number` is what memberships call it."""

    number: int
    name: str
    key: bytes = field(repr=False)


class LegacyDatabase:
    """A deployed server's database, as it is at one moment.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``.

    Raises:
        DatabaseError: it cannot be read, or is not such a database.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        try:
            with plainly():
                self._connection = self._engine.connect()
                self._connection.begin()
                _check(self._connection)
        except BaseException:
            self._engine.dispose()
            raise

    def __enter__(self) -> LegacyDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        with plainly():
            self._connection.close()
        self._engine.dispose()

    def counts(self) -> tuple[int, int, int, int]:
        """How many clients, topics, memberships and links there are."""
        with plainly():
            clients, topics, memberships, links = (
                self._connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in _TABLES
            )
        return clients, topics, memberships, links

    def clients(self) -> Iterator[LegacyClient]:
        """The clients, by number."""
        for number, client_id, name, key in self._rows(
            "SELECT id, e4_id, name, key FROM clients ORDER BY id"
        ):
            yield LegacyClient(number, _bytes(client_id), _text(name), _bytes(key))

    def topics(self) -> Iterator[LegacyTopic]:
        """The topics, by number."""
        for number, name, key in self._rows("SELECT id, topic, key FROM topic_keys ORDER BY id"):
            yield LegacyTopic(number, _text(name), _bytes(key))

    def memberships(self) -> Iterator[tuple[int, int]]:
        """The memberships: numbers of client and topic."""
        rows = self._rows("SELECT client_id, topic_key_id FROM clients_topickeys ORDER BY 1, 2")
        return ((client, topic) for client, topic in rows)

    def links(self) -> Iterator[tuple[int, int]]:
        """The links: numbers of source and target. The deployed server lists a target's sources."""
        rows = self._rows("SELECT clientkey_id, client_id FROM clients_clientkeys ORDER BY 1, 2")
        return ((source, target) for source, target in rows)

    def _rows(self, sql: str) -> Iterator[Any]:
        with plainly():
            yield from self._connection.execution_options(yield_per=1000).execute(text(sql))


def _engine(text_url: str) -> Engine:
    url = database_url(text_url)
    path = sqlite_path(url)
    if path is not None:
        if not path.is_file():
            raise DatabaseError(f"there is no file {path}")
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: connect_to_file(path, read_only=True),
            poolclass=NullPool,
            hide_parameters=True,
        )
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    return create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        isolation_level="REPEATABLE READ",
        connect_args={"connect_timeout": CONNECT_SECONDS},
    ).execution_options(postgresql_readonly=True)


def _check(connection: Connection) -> None:
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    for table, columns in _TABLES.items():
        if table not in there or not columns <= {column["name"] for column in inspector.get_columns(table)}:
            raise DatabaseError("this is not a database of a deployed key server")


def _bytes(value: object) -> bytes:
    if isinstance(value, str):  # SQLite keeps what it was given
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return b""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""
