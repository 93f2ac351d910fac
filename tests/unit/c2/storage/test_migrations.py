"""Migrations: they make what the schema says, from nothing and from the version before, and lose nothing."""

from __future__ import annotations

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from e4.c2.storage import Store, migrations
from e4.c2.storage.engine import Engines, create_file, database_url, sqlite_path
from e4.c2.storage.schema import metadata
from e4.errors import DatabaseError
from tests.unit.c2.storage._fill import NOW, add_clients, add_topic

_VERSIONS = [f"{number:04d}" for number in range(1, int(migrations.head()) + 1)]


def _at(url: str, version: str) -> Engines:
    """A database of some version."""
    parsed = database_url(url)
    path = sqlite_path(parsed)
    if path is not None:
        create_file(path)
    engines = Engines(parsed)
    with engines.to_write() as connection, connection.begin():
        migrations.to_revision(connection, version)
    return engines


_SQLITE = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
_POSTGRESQL = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """SELECT table_name || '.' || column_name,
       concat_ws(' ', data_type, is_nullable, column_default, collation_name, is_identity)
       FROM information_schema.columns WHERE table_schema = 'public'""",
    """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace""",
)


def _definitions(connection: Connection) -> dict[str, str]:
    """What each table, index and constraint is made of, as the database says."""
    queries = [_SQLITE] if connection.dialect.name == "sqlite" else _POSTGRESQL
    rows = [tuple(row) for query in queries for row in connection.execute(text(query))]
    return {name: _parts(sql) for name, sql in rows if not name.startswith(("alembic", "sqlite"))}


def _parts(sql: str) -> str:
    """The definition whatever the order and quotes of its parts."""
    return " ".join(sorted(re.sub(r'[\s",()]+', " ", sql.replace("'", "")).split()))


def test_the_tables_are_what_the_schema_says(empty_database_url: str) -> None:
    Store.create(empty_database_url).close()
    engines = Engines(database_url(empty_database_url))
    with engines.to_write() as connection, connection.begin():
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        migrated = _definitions(connection)
        metadata.drop_all(connection)
        assert not _definitions(connection)
        metadata.create_all(connection)
        assert _definitions(connection) == migrated
    engines.close()


@pytest.mark.parametrize("version", _VERSIONS[:-1])
def test_an_older_database_is_brought_up_to_date(empty_database_url: str, version: str) -> None:
    engines = _at(empty_database_url, version)
    with engines.to_write() as connection, connection.begin():
        connection.execute(
            text(
                "INSERT INTO clients (id, name, by_id, key_version, c2_key_version, created_at)"
                " VALUES (:id, 'alice', :no, 3, 0, :now)"
            ),
            {"id": b"i" * 16, "no": False, "now": NOW},
        )
    engines.close()
    with pytest.raises(DatabaseError, match="e4 c2 migrate --data DIR"):
        Store.open(empty_database_url)
    store = Store.migrate(empty_database_url)
    try:
        with store.write() as tx:
            alice = tx.clients.get("alice")
            assert alice is not None
            assert (alice.id, alice.key_version, alice.created_at) == (b"i" * 16, 3, NOW)
            assert add_clients(tx, "bob")[0].row > alice.row
            assert tx.idempotency.put("a", "k", b"", NOW)
            tx.commands.move_key_version(alice.id, 4)
    finally:
        store.close()
    Store.open(empty_database_url).close()
    Store.migrate(empty_database_url).close()  # nothing to do


def test_a_failed_migration_leaves_the_version_before(empty_database_url: str) -> None:
    engines = _at(empty_database_url, _VERSIONS[-2])
    with engines.to_write() as connection, connection.begin():
        connection.execute(text("CREATE TABLE clients_in_the_way (a INTEGER)"))
        connection.execute(text("CREATE INDEX clients_c2_key_version ON clients_in_the_way (a)"))
    with pytest.raises(DatabaseError):
        Store.migrate(empty_database_url)
    with engines.to_read() as connection, connection.begin():
        assert migrations.revision(connection) == _VERSIONS[-2]
        assert not inspect(connection).has_table("idempotency")
    engines.close()


def test_every_revision_follows_the_one_before() -> None:
    scripts = list(ScriptDirectory(migrations.__path__[0]).walk_revisions())
    assert [script.revision for script in reversed(scripts)] == _VERSIONS
    assert len(_VERSIONS) >= 2


def test_a_new_database_is_ready(empty_database_url: str) -> None:
    store = Store.create(empty_database_url)
    try:
        with store.write() as tx:
            assert add_clients(tx, "alice")[0].row == 1
            assert add_topic(tx).row == 1
    finally:
        store.close()
