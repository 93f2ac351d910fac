"""Many rows at once, as fast as each database takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table

from e4.c2.storage.problems import problem

__all__ = ["CHUNK", "chunks", "insert", "run"]

T = TypeVar("T")

CHUNK: Final = 1000  # values in one list
_COPY_FROM: Final = 50  # rows; below, COPY costs more than it saves


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def insert(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows; the values of each are in the order of `columns`."""
    if not rows:
        return
    if connection.dialect.name == "postgresql" and len(rows) >= _COPY_FROM:
        _copy(connection, table, columns, rows)
    else:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        connection.exec_driver_sql(_insert_sql(table.name, columns, mark), list(rows))


def run(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement of one table, written with ``?``, once for each row of values; the rows it changed."""
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        sql = sql.replace("?", "%s")
    return connection.exec_driver_sql(sql, list(rows)).rowcount


@lru_cache
def _insert_sql(table: str, columns: tuple[str, ...], mark: str) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join([mark] * len(columns))})"


def _copy(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    import psycopg

    driver: Any = connection.connection.driver_connection
    names = ", ".join(f'"{column}"' for column in columns)
    try:
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise problem(error) from error
