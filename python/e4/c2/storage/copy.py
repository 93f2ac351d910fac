"""Copies of whole databases: backup and restore, and from one kind of database to the other.

A copy is made of one snapshot, while others go on writing, in constant memory, and in one transaction of the
target: that has everything or nothing. It needs no passphrase, since every key stays as it is sealed. The
counters that rows get their numbers from are copied too, so that none is used twice.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Table, delete, func, select, text

from e4.c2.storage import bulk
from e4.c2.storage.migrations import OlderRevision
from e4.c2.storage.problems import plainly
from e4.c2.storage.schema import clients, commands, jobs, log, metadata, tokens, topics
from e4.c2.storage.store import Store
from e4.errors import DatabaseError

__all__ = ["Progress", "backup", "copy", "restore"]

Progress = Callable[[str, int, int], None]
"""Is told how far a copy is: the table's name, how many of its rows are copied, and of how many."""

_ROWS: Final = 5000  # in memory at once
_NUMBERED: Final = {clients: "row", topics: "row", commands: "id", jobs: "id", tokens: "id"}


def backup(store: Store, path: Path, progress: Progress | None = None) -> None:
    """Write a copy of a database to a new SQLite file, mode 0600, which is there only when it is complete.

    Args:
        store: may be in use, by other processes too.
        path: of the new file.
        progress: is told how far it is.

    Raises:
        DatabaseError: there is a file already, or the copy cannot be written.
    """
    _must_not_exist(path)
    partial = path.with_name(path.name + ".part")
    _remove(partial)
    try:
        target = Store.create(_url(partial))
        try:
            copy(store, target, progress)
        finally:
            target.close()
        with plainly(), contextlib.closing(sqlite3.connect(partial)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # nothing beside the file; readable from a CD
        _must_not_exist(path)
        try:
            os.rename(partial, path)
            _sync(path.parent)
        except OSError as error:
            raise DatabaseError(f"cannot write {path}: {error.strerror}") from error
    finally:
        _remove(partial)


def restore(path: Path, url: str, progress: Progress | None = None) -> None:
    """Fill a database from a backup, also from one of an older version.

    Args:
        path: of the backup; it is only read.
        url: of a SQLite file that is not there, of a PostgreSQL database without tables, or of an empty
            database that `Store.create` made.
        progress: is told how far it is.

    Raises:
        DatabaseError: the backup cannot be read, or the target is not empty; then it is as it was.
    """
    with contextlib.ExitStack() as stack:
        try:
            source = Store.open(_url(path), read_only=True)
        except OlderRevision:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="e4-restore-"))
            working = shutil.copyfile(path, Path(folder) / "e4.db")
            source = Store.migrate(_url(working))
        stack.callback(source.close)
        try:
            target = Store.create(url)
        except DatabaseError:
            target = Store.open(url)
        stack.callback(target.close)
        copy(source, target, progress)


def copy(source: Store, target: Store, progress: Progress | None = None) -> None:
    """Copy everything from one database to another, whatever kind they are.

    Raises:
        DatabaseError: the target is not empty, or cannot be written; then it is as it was.
    """
    with source.connected_to_read() as reading, target.connected_to_write() as writing:
        _must_be_empty(writing)
        writing.execute(delete(log))  # has a row from the beginning
        for table in metadata.sorted_tables:
            _copy_table(table, reading, writing, progress)
        for table, column in _NUMBERED.items():
            _set_last_number(writing, table, column, _last_number(reading, table, column))


def _copy_table(table: Table, reading: Connection, writing: Connection, progress: Progress | None) -> None:
    total: int = reading.execute(select(func.count()).select_from(table)).scalar_one()
    columns = tuple(column.name for column in table.columns)
    query = select(table).order_by(*table.primary_key.columns)
    done = 0
    for rows in reading.execution_options(yield_per=_ROWS).execute(query).partitions():
        bulk.insert(writing, table, columns, [tuple(row) for row in rows])
        done += len(rows)
        if progress is not None:
            progress(table.name, done, total)


def _must_be_empty(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        if table is not log and connection.execute(select(table).limit(1)).first() is not None:
            raise DatabaseError("the database is not empty: nothing was changed")


def _last_number(connection: Connection, table: Table, column: str) -> int:
    """The last number that a row of the table got, also of one that is deleted."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.scalar(query, {"name": table.name}) or 0
    sequence = connection.scalar(
        text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table.name, "c": column}
    )
    last: int = connection.execute(
        text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")
    ).scalar_one()
    return last


def _set_last_number(connection: Connection, table: Table, column: str, last: int) -> None:
    if connection.dialect.name == "sqlite":
        values = {"name": table.name, "last": last}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)
    elif last:
        sequence = text("SELECT setval(pg_get_serial_sequence(:t, :c), :last)")
        connection.execute(sequence, {"t": table.name, "c": column, "last": last})


def _url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def _must_not_exist(path: Path) -> None:
    if path.exists():
        raise DatabaseError(f"{path} exists already: nothing was written")


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
