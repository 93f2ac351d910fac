"""What a database says when something is wrong, in words for an operator.

No parameter of a statement appears in them: it might be a sealed key, a name or a token's hash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from e4.errors import DatabaseError

__all__ = ["Transient", "plainly", "problem"]


class Transient(DatabaseError):
    """A transaction met another one (a deadlock, the same new row, a busy file): it may be run again."""

    default = "the database is busy: try again"


_SQLITE: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the database is read-only",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_IOERR": "the disk cannot be read or written",
    "SQLITE_PERM": "no permission",
}
_SQLITE_TRANSIENT: Final = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_CONSTRAINT_UNIQUE",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
)

_LOST: Final = "the connection was lost"
# By SQLSTATE, or by its class of two characters.
_POSTGRESQL: Final = {
    "53100": "the disk is full",
    "53200": "the server is out of memory",
    "53300": "too many connections",
    "25006": "the database is read-only",
    "28": "the user name or password is wrong",
    "3D": "there is no database of this name",
    "42501": "no permission",
    "57P01": "the server is shutting down",
    "57P02": "the server has crashed",
    "57P03": "the server is starting or stopping",
    "08": _LOST,
    "58": "the server's disk cannot be read or written",
    "XX": "the database is damaged",
}
_POSTGRESQL_TRANSIENT: Final = {"40001", "40P01", "23505", "55P03"}
# A connection that was never made has no SQLSTATE, only a text (which may name users and hosts).
_CONNECTING: Final = {
    "connection refused": "connection refused",
    "no such file": "connection refused",
    "timeout": "no answer in time",
    "timed out": "no answer in time",
    "could not translate host": "no such host",
    "failed to resolve": "no such host",
    "name or service not known": "no such host",
    "authentication failed": "the user name or password is wrong",
    "no password supplied": "the user name or password is wrong",
    "does not exist": "there is no database or user of this name",
    "too many clients": "too many connections",
    "starting up": "the server is starting or stopping",
    "shutting down": "the server is starting or stopping",
    "certificate": "the server's certificate is not trusted",
}


@contextmanager
def plainly() -> Iterator[None]:
    """Turn the errors of the database libraries into `DatabaseError` and `Transient`."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise problem(error) from error


def problem(error: BaseException) -> DatabaseError:
    """The error to raise instead of a library's own."""
    if isinstance(error, PoolTimeout):
        return Transient("the database is busy: no free connection")
    if isinstance(error, PendingRollbackError):
        return DatabaseError(f"the database cannot be used: {_LOST}")
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause)
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        if state in _POSTGRESQL_TRANSIENT:
            return Transient()
        reason = _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2]) or f"PostgreSQL error {state}"
        return DatabaseError(f"the database cannot be used: {reason}")
    if type(cause).__name__ in ("OperationalError", "ConnectionTimeout"):
        text = str(cause).lower()
        reason = next((words for sign, words in _CONNECTING.items() if sign in text), _LOST)
        return DatabaseError(f"the database cannot be used: {reason}")
    return DatabaseError(f"the database refused: {type(cause).__name__}")


def _sqlite(error: sqlite3.Error) -> DatabaseError:
    name = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    if name.startswith(_SQLITE_TRANSIENT):
        return Transient()
    reason = next((words for sign, words in _SQLITE.items() if name.startswith(sign)), name)
    return DatabaseError(f"the database cannot be used: {reason}")
