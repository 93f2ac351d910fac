"""Backup and restore: everything, of one moment, between both kinds of database."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from e4.c2.model import AuditRow, EventKind, JobKind, KeyState, Role
from e4.c2.storage import NewCommand, Sent, Store, StoredVault, migrations
from e4.c2.storage.copy import backup, copy, restore
from e4.c2.storage.engine import Engines, create_file, database_url
from e4.c2.storage.schema import metadata
from e4.errors import DatabaseError
from tests._databases import PostgreSQL
from tests.unit.c2.storage._fill import NOW, add_clients, add_topic, claimed, plain, set_topic_key

NAMES = ["alice", "bob", "ä\U0001f600", *(f"client-{number:03d}" for number in range(120))]


def fill(store: Store) -> None:
    """Something in every table."""
    with store.write() as tx:
        tx.vault.put(StoredVault("pubkey", bytes(range(16)), NOW, b"\xff" * 16, 3, 65536, 4, b"\\x00wrapped"))
        clients = add_clients(tx, *NAMES)
        tx.keys.add_client_keys([(clients[0].row, 2, KeyState.PENDING, b"\0\n\t\\", b"private", NOW)])
        topic = add_topic(tx, "é/" + "t" * 400)
        tx.keys.add_topic_key(topic.row, 2, b"newer", NOW)
        tx.keys.add_c2_key(1, KeyState.CURRENT, b"sealed", b"public", NOW)
        tx.members.add_many([(client.row, topic.row) for client in clients], NOW)
        tx.links.add(clients[0].row, clients[1].row, NOW)
        job = tx.jobs.new(JobKind.TOPIC_KEY, topic.row, topic.name, 2, 5, NOW)
        tx.commands.queue([set_topic_key(client, topic, job) for client in clients])
        tx.commands.queue(
            [plain(clients[0]), NewCommand(b"i" * 16, 9, plain(clients[0]).kind, NOW, 1, 2, 3, b"h")]
        )
        first, second, *_ = (command.id for command in tx.commands.page(limit=10))
        tx.commands.mark_sent([Sent(first, 1_700_000_000, 1)], NOW)
        tx.commands.mark_failed([(second, "refused\n\\N", NOW + 5)])
        tx.tokens.new("admin", b"h" * 32, Role.ADMIN, True, NOW, NOW + 5)
        tx.idempotency.put("admin", "key", b"f", NOW)
        tx.events.append([(EventKind.CLIENT_CREATED, "alice", "")] * 3, NOW)
        tx.audit.append(NOW, "a", "p", "r", "o", "s", "done", _hash)
        last = add_clients(tx, "removed")[0]
        tx.clients.delete(last.row)
        tx.topics.delete(add_topic(tx, "removed").row)
    store.advance_clock(1_700_000_000)


def _hash(row: AuditRow, before: bytes) -> bytes:
    return bytes([row.number]) * 32


def content(store: Store) -> dict[str, list[Any]]:
    with store.connected_to_read() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a backup is restored to: nothing is there."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.db'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.empty()
        try:
            yield url
        finally:
            server.drop(url)


def test_a_backup_restored_is_the_same(store: Store, target_url: str, tmp_path: Path) -> None:
    fill(store)
    told: list[tuple[str, int, int]] = []
    path = tmp_path / "backup of e4.db"
    backup(store, path, lambda *progress: told.append(progress))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir() if "backup" in file.name] == [path.name]
    assert ("clients", len(NAMES), len(NAMES)) in told
    before = path.read_bytes()
    restore(path, target_url)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if "backup" in file.name] == [path.name]
    restored = Store.open(target_url)
    try:
        everything = content(store)
        assert content(restored) == everything
        assert all(everything.values()), "a table was left empty, so the test shows nothing of it"
        _goes_on(restored)
    finally:
        restored.close()


def _goes_on(store: Store) -> None:
    """Numbers are not used again, also those of rows that were deleted."""
    with store.write() as tx:
        assert add_clients(tx, "new")[0].row == len(NAMES) + 2
        assert add_topic(tx, "new").row == 3
        new = tx.tokens.new("new", b"n" * 32, Role.VIEWER, False, NOW, None)
        assert new.id == 2
        assert tx.jobs.new(JobKind.C2_KEY, 0, "", 1, 1, NOW) == 2
        last = tx.commands.page(limit=1, newest_first=True)[0].id
        (alice,) = (client for client in tx.clients.page(None, 1))
        tx.commands.queue([plain(alice)])
        assert tx.commands.page(limit=1, newest_first=True)[0].id == last + 1
        tx.events.append([(EventKind.CLIENT_CREATED, "new", "")], NOW)
        assert tx.events.last() == 4
        assert tx.audit.append(NOW, "a", "p", "r", "o", "s", "done", _hash).number == 2
    assert len(claimed(store, 1000)) == len(NAMES) + 1
    assert store.advance_clock(1) == 1_700_000_000


def test_a_backup_is_of_one_moment(store: Store, tmp_path: Path) -> None:
    fill(store)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with store.write() as tx:
                (client,) = add_clients(tx, f"more {number}")
                tx.commands.queue([plain(client)])
                tx.events.append([(EventKind.CLIENT_CREATED, client.name, "")], NOW)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        counted: list[int] = []

        def progress(table: str, done: int, total: int) -> None:
            with store.read() as tx:  # wait until the writer has gone on
                counted.append(tx.events.last())
            while True:
                with store.read() as tx:
                    if tx.events.last() > counted[-1]:
                        return

        backup(store, tmp_path / "backup.db", progress)
    finally:
        stop.set()
        thread.join()
    with sqlite3.connect(tmp_path / "backup.db") as connection:
        (clients,) = connection.execute("SELECT count(*) FROM clients").fetchone()
        (commands,) = connection.execute("SELECT count(*) FROM commands").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        (last,) = connection.execute("SELECT event FROM log").fetchone()
    connection.close()
    more = events - 3
    assert (clients, commands, last) == (len(NAMES) + more, len(NAMES) + 2 + more, events)
    assert counted[-1] > counted[0]


def test_nothing_is_written_over(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "backup.db"
    path.write_text("mine")
    with pytest.raises(DatabaseError, match="exists already"):
        backup(store, path)
    assert path.read_text() == "mine"


def test_a_target_that_is_not_empty_is_left_alone(store: Store, tmp_path: Path, database_url: str) -> None:
    source = Store.create(f"sqlite:///{tmp_path / 'source.db'}")
    fill(source)
    backup(source, tmp_path / "backup.db")
    restore(tmp_path / "backup.db", database_url)  # has its tables, and nothing in them
    before = content(store)
    with pytest.raises(DatabaseError, match="not empty"):
        restore(tmp_path / "backup.db", database_url)
    with pytest.raises(DatabaseError, match="not empty"):
        copy(source, store)
    assert content(store) == before == content(source)
    source.close()


def test_a_copy_that_breaks_off_leaves_nothing(store: Store, tmp_path: Path, target_url: str) -> None:
    fill(store)

    def stop(table: str, done: int, total: int) -> None:
        if table == "memberships":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(store, tmp_path / "backup.db", stop)
    assert not [file for file in tmp_path.iterdir() if "backup" in file.name]
    target = Store.create(target_url)
    try:
        empty = content(target)
        with pytest.raises(KeyboardInterrupt):
            copy(store, target, stop)
        assert content(target) == empty
        copy(store, target)
        assert content(target) == content(store)
    finally:
        target.close()


def test_a_backup_of_an_older_version_is_restored(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    create_file(old)
    engines = Engines(database_url(f"sqlite:///{old}"))
    with engines.to_write() as connection, connection.begin():
        migrations.to_revision(connection, "0001")
        connection.exec_driver_sql(
            "INSERT INTO clients (id, name, by_id, key_version, c2_key_version, created_at)"
            " VALUES (x'00', 'alice', 0, 1, 0, 5)"
        )
    engines.close()
    before = old.read_bytes()
    restore(old, f"sqlite:///{tmp_path / 'new.db'}")
    assert old.read_bytes() == before
    store = Store.open(f"sqlite:///{tmp_path / 'new.db'}")
    with store.read() as tx:
        assert [client.name for client in tx.clients.iterate()] == ["alice"]
    store.close()


@pytest.mark.parametrize("data", [None, b"", b"not a database" * 1000])
def test_what_is_no_backup(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "backup.db"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DatabaseError):
        restore(path, f"sqlite:///{tmp_path / 'new.db'}")
    assert not (tmp_path / "new.db").exists()
