"""A store: opened or refused with a reason, isolated transactions, errors in plain words."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e4.c2.storage import Store
from e4.c2.storage.problems import problem
from e4.errors import DatabaseError
from tests._broker import free_port
from tests.unit.c2.storage._fill import NOW, add_clients


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "names a file"),
        ("sqlite:///:memory:", "names a file"),
        ("sqlite:///e4.db?mode=ro", "names a file"),
        ("mysql://localhost/e4", "must begin with"),
        ("nonsense", "not valid"),
        ("sqlite:////nowhere/e4.db", "No such file|there is no database"),
    ],
)
def test_urls(url: str, reason: str) -> None:
    for make in (Store.create, Store.open, Store.migrate):
        with pytest.raises(DatabaseError, match=reason):
            make(url)


def test_create_open_and_create_again(empty_database_url: str) -> None:
    with pytest.raises(DatabaseError, match="e4 c2 init"):
        Store.open(empty_database_url)
    with pytest.raises(DatabaseError, match="e4 c2 init"):
        Store.migrate(empty_database_url)
    store = Store.create(empty_database_url)
    store.ping()
    assert empty_database_url.startswith(store.dialect)
    store.close()
    with pytest.raises(DatabaseError, match="already"):
        Store.create(empty_database_url)
    Store.open(empty_database_url).close()


def test_a_password_is_not_shown(store: Store) -> None:
    assert "horse" not in repr(store)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "50% #1.db"
    path.parent.mkdir()
    old = os.umask(0)
    try:
        store = Store.create(f"sqlite:///{path}")
        with store.write() as tx:
            add_clients(tx, "alice")
            files = list(path.parent.iterdir())
            assert len(files) == 3
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        store.close()
    finally:
        os.umask(old)
    assert list(path.parent.iterdir()) == [path]


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    store = Store.create(f"sqlite:///{tmp_path / 'e4.db'}")
    for connected in (store.connected_to_read, store.connected_to_write):
        with connected() as connection:
            values = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    store.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "e4.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseError, match="not a database"):
        Store.open(f"sqlite:///{path}")
    path.write_bytes(b"")
    with pytest.raises(DatabaseError, match="e4 c2 init"):
        Store.open(f"sqlite:///{path}")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e4.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    for make in (Store.open, Store.migrate, Store.create):
        with pytest.raises(DatabaseError):
            make(f"sqlite:///{path}")


def test_a_newer_database_is_refused(store: Store, database_url: str) -> None:
    with store.connected_to_write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for make in (Store.open, Store.migrate):
        with pytest.raises(DatabaseError, match="newer"):
            make(database_url)


def test_no_server() -> None:
    with pytest.raises(DatabaseError, match="connection refused") as caught:
        Store.open(f"postgresql://user:secret@127.0.0.1:{free_port()}/e4")
    assert "secret" not in str(caught.value)


def test_an_exception_undoes_the_transaction(store: Store) -> None:
    def fail() -> None:
        with store.write() as tx:
            add_clients(tx, "alice")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.read() as tx:
        assert tx.clients.count() == 0


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(DatabaseError, match="read-only"), store.read() as tx:
        tx.tokens.revoke(1, NOW)


def test_a_reader_sees_one_state_and_waits_for_nobody(store: Store) -> None:
    with store.write() as tx:
        add_clients(tx, "alice")
    with store.read() as reading:
        assert reading.clients.count() == 1
        with store.write() as writing:
            add_clients(writing, "bob")
            with store.read() as other:
                assert other.clients.count() == 1
        assert reading.clients.count() == 1
        assert reading.clients.get("bob") is None
    with store.read() as tx:
        assert tx.clients.count() == 2


def test_writers_take_turns(store: Store) -> None:
    with store.write() as tx:
        add_clients(tx, "alice")

    def add_one(_: int) -> None:
        with store.write() as tx:
            alice = tx.clients.lock("alice")
            assert alice is not None
            tx.clients.set_key_version(alice.row, alice.key_version + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(80)))
    with store.read() as tx:
        alice = tx.clients.get("alice")
        assert alice is not None
        assert alice.key_version == 81


def test_many_readers_at_once(store: Store) -> None:
    with store.write() as tx:
        add_clients(tx, *(f"{number:03d}" for number in range(100)))
    together = threading.Barrier(12)

    def read(_: int) -> int:
        with store.read() as tx:
            together.wait(30)
            return tx.clients.count()

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(read, range(12))) == {100}


def test_a_full_disk(tmp_path: Path) -> None:
    store = Store.create(f"sqlite:///{tmp_path / 'e4.db'}")
    with store.write() as tx:
        add_clients(tx, "alice")
    with store.connected_to_write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        held = connection.connection.driver_connection
    with pytest.raises(DatabaseError, match="the disk is full"), store.write() as tx:
        add_clients(tx, *(f"{number:05d}" for number in range(5000)))
    assert held is not None
    held.execute("PRAGMA max_page_count = 1000000")
    with store.write() as tx:
        add_clients(tx, "bob")
    with store.read() as tx:
        assert [client.name for client in tx.clients.page(None, 10)] == ["alice", "bob"]
    store.close()


def test_a_file_in_use_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e4.c2.storage.engine.BUSY_SECONDS", 0.05)
    path = tmp_path / "e4.db"
    store = Store.create(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="busy: try again"), store.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with store.write() as tx:
        add_clients(tx, "alice")
    store.close()


class _Refused(Exception):
    def __init__(self, sqlstate: str | None, text: str = "") -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class OperationalError(Exception):
    """As psycopg's, without a SQLSTATE."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (_Refused("53100"), "the disk is full"),
        (_Refused("25006"), "read-only"),
        (_Refused("28P01"), "user name or password"),
        (_Refused("40P01"), "try again"),
        (_Refused("08006"), "connection was lost"),
        (_Refused("22003"), "PostgreSQL error 22003"),
        (OperationalError('FATAL: database "x" does not exist'), "no database or user"),
        (OperationalError("timeout expired"), "no answer in time"),
        (OperationalError("server closed the connection unexpectedly: alice"), "connection was lost"),
        (sqlite3.ProgrammingError("alice"), "SQLITE_ERROR"),
        (ValueError("alice"), "ValueError"),
    ],
)
def test_errors_in_plain_words(error: Exception, text: str) -> None:
    told = str(problem(error))
    assert text in told
    assert "alice" not in told
