"""Makes the tables, and brings those of an older version up to date. The revisions are in `versions`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from e4.errors import DatabaseError

__all__ = ["OlderRevision", "check", "create", "head", "revision", "to_revision", "upgrade"]

_one_at_a_time = threading.Lock()  # Alembic keeps what it is doing in a module
_FOLDER: Final = Path(__file__).parent
_LOCK: Final = 0xE4C2  # PostgreSQL: two processes that migrate at once take turns


class OlderRevision(DatabaseError):
    """The database is of an older version, and can be brought up to date."""

    default = "the database is of an older version: run 'e4 c2 migrate --data DIR'"


def create(connection: Connection) -> None:
    """Make the tables in an empty database.

    Raises:
        DatabaseError: it is not empty.
    """
    _alone(connection)
    if inspect(connection).get_table_names():
        raise DatabaseError("there is a database already: nothing was changed")
    to_revision(connection)


def upgrade(connection: Connection) -> None:
    """Bring the tables up to date.

    Raises:
        DatabaseError: they are not e4's, or of a newer version.
    """
    _alone(connection)
    _known(revision(connection))
    to_revision(connection)


def check(connection: Connection) -> None:
    """Make sure that the tables are of this version.

    Raises:
        DatabaseError: they are not; the text says what to do.
    """
    found = revision(connection)
    _known(found)
    if found != head():
        raise OlderRevision


def revision(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none of e4's."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision."""
    newest = ScriptDirectory(_FOLDER).get_current_head()
    assert newest is not None
    return newest


def _known(found: str | None) -> None:
    if found is None:
        raise DatabaseError("this is not a database of the key server: run 'e4 c2 init'")
    if found not in {script.revision for script in ScriptDirectory(_FOLDER).walk_revisions()}:
        raise DatabaseError("the database is of a newer version of e4: upgrade e4")


def to_revision(connection: Connection, target: str = "head") -> None:
    """Run the revisions up to one, in the transaction of the connection."""
    with _one_at_a_time:
        _run(connection, target)


def _run(connection: Connection, target: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _alone(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
