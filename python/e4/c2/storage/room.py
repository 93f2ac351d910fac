"""What the rooms of a transaction share. A room holds the statements on some of the tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, text
from sqlalchemy.dialects import postgresql, sqlite

from e4.c2.storage.lists import among
from e4.errors import InvalidName, InvalidRequest

__all__ = [
    "Room",
    "begins_with",
    "cursor_text",
    "if_new",
    "locked",
    "loose_text",
    "named",
    "sort_key",
    "storable",
]

SORT_LEN: Final = 256  # bytes of a topic's name that are indexed


class Room:
    """Statements on some tables, within one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def _postgresql(self) -> bool:
        return self._connection.dialect.name == "postgresql"

    def _among(self, member: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """Whether a column has one of the values."""
        return among(self._connection, member, values)

    def _reserve(self, table: str, count: int) -> list[int]:
        """Numbers for rows of a table; nobody else gets them."""
        if self._postgresql:
            sequence = text("SELECT nextval(pg_get_serial_sequence(:t, 'row')) FROM generate_series(1, :n)")
            return sorted(self._connection.scalars(sequence, {"t": table, "n": count}))
        last = self._connection.execute(
            text("UPDATE sqlite_sequence SET seq = seq + :n WHERE name = :t RETURNING seq"),
            {"t": table, "n": count},
        ).scalar_one()
        return list(range(last - count + 1, last + 1))


def locked(query: Select[Any], *, share: bool = False) -> Select[Any]:
    """The same rows, locked until the transaction ends. Nothing on SQLite, which has one writer at a time.

    Not FOR UPDATE: a new membership or key must still be able to refer to the row.
    """
    return query.with_for_update(read=share, key_share=not share)


def if_new(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves a row that is there as it is."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(table).on_conflict_do_nothing()


def storable(text: str) -> bool:
    """Whether both databases can hold the text: UTF-8 without NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def named(name: str) -> str:
    """A name to store.

    Raises:
        InvalidName: it holds a NUL, which PostgreSQL cannot store, or is not UTF-8.
    """
    if not storable(name):
        raise InvalidName("the key server takes no name with a NUL character")
    return name


def cursor_text(name: str) -> str:
    """A name that a page starts after.

    Raises:
        InvalidRequest: no name can be like it.
    """
    if not storable(name):
        raise InvalidRequest("cursor is not valid")
    return name


def loose_text(text: str) -> str:
    """Text of anybody's making, made fit to store."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def sort_key(name: str) -> bytes:
    """The bytes of a topic's name by which topics are sorted first."""
    return name.encode()[:SORT_LEN]


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether a name begins with `prefix`: a range, so that an index of names serves it."""
    end = after(prefix)
    return column >= prefix if end is None else and_(column >= prefix, column < end)


def after(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`; None if there is no such."""
    while prefix:
        last = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if last <= 0x10FFFF:
            return prefix + chr(0xE000 if 0xD800 <= last <= 0xDFFF else last)
    return None
