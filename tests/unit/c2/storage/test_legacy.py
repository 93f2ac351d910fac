"""The database of a deployed server, as it would be found: read, and never touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from e4.c2.storage.legacy import LegacyClient, LegacyDatabase, LegacyTopic
from e4.errors import DatabaseError
from tests._databases import PostgreSQL

TABLES = """
CREATE TABLE clients (id {number} PRIMARY KEY, e4_id {blob}, name {text} UNIQUE, key {blob});
CREATE TABLE topic_keys (id {number} PRIMARY KEY, topic {text} UNIQUE, key {blob});
CREATE TABLE clients_topickeys (client_id INTEGER, topic_key_id INTEGER);
CREATE TABLE clients_clientkeys (client_id INTEGER, clientkey_id INTEGER);
"""
CLIENTS = [
    (1, b"a" * 16, "alice", b"sealed a"),
    (2, b"b" * 16, None, b"sealed \0 b"),
    (7, b"c" * 16, "ç", b""),
]
TOPICS = [(3, "plant/boiler", b"sealed t"), (4, "é", b"sealed u")]
MEMBERS = [(1, 3), (2, 3), (1, 4)]
LINKS = [(1, 7), (1, 2), (7, 1)]  # target, source
ROWS = {
    "clients": CLIENTS,
    "topic_keys": TOPICS,
    "clients_topickeys": MEMBERS,
    "clients_clientkeys": LINKS,
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def legacy_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A deployed server's database."""
    if request.param == "sqlite":
        path = tmp_path / "e4 c2.sqlite"
        connection = sqlite3.connect(path)
        connection.executescript(TABLES.format(number="INTEGER", blob="BLOB", text="VARCHAR(256)"))
        for table, rows in ROWS.items():
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        connection.commit()
        connection.close()
        before = path.read_bytes()
        yield f"sqlite:///{path}"
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.empty()
        with psycopg.connect(url) as connection:
            connection.execute(TABLES.format(number="SERIAL", blob="BYTEA", text="TEXT").encode())
            for table, rows in ROWS.items():
                marks = ", ".join(["%s"] * len(rows[0]))
                with connection.cursor() as cursor:
                    cursor.executemany(f"INSERT INTO {table} VALUES ({marks})".encode(), rows)
        try:
            yield url
        finally:
            server.drop(url)


def test_everything_is_read(legacy_url: str) -> None:
    with LegacyDatabase(legacy_url) as legacy:
        assert legacy.counts() == (3, 2, 3, 3)
        assert list(legacy.clients()) == [
            LegacyClient(number, client_id, name or "", key) for number, client_id, name, key in CLIENTS
        ]
        assert list(legacy.topics()) == [LegacyTopic(*topic) for topic in TOPICS]
        assert set(legacy.memberships()) == set(MEMBERS)
        assert set(legacy.links()) == {(source, target) for target, source in LINKS}
        assert "sealed" not in repr(list(legacy.clients())) + repr(list(legacy.topics()))


def test_it_may_be_read_together(legacy_url: str) -> None:
    with LegacyDatabase(legacy_url) as legacy:
        pairs = list(zip(legacy.clients(), legacy.memberships(), strict=True))
    assert [client.number for client, _ in pairs] == [1, 2, 7]


@pytest.mark.parametrize("sql", ["", "CREATE TABLE clients (id INTEGER, e4_id BLOB, name TEXT, key BLOB);"])
def test_another_database_is_refused(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.executescript(sql)
    connection.close()
    with pytest.raises(DatabaseError, match="deployed"):
        LegacyDatabase(f"sqlite:///{path}")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no file"):
        LegacyDatabase(f"sqlite:///{tmp_path / 'nothing.db'}")
    (tmp_path / "text").write_text("not a database " * 1000)
    with pytest.raises(DatabaseError, match="not a database"):
        LegacyDatabase(f"sqlite:///{tmp_path / 'text'}")
