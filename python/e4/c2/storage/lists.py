"""Lists of values in a statement, each as one parameter where the database can.

So the statement, and the plan that PostgreSQL makes for it, are the same for any number of values.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Text,
    any_,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

__all__ = ["among", "pairs"]

_TYPES: Final[dict[type, TypeEngine[Any]]] = {int: BigInteger(), bytes: LargeBinary(), str: Text()}

_PAIRS_SQLITE: Final = text(
    "SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS second"
    " FROM json_each(:pairs)"
)
_PAIRS_POSTGRESQL: Final = text(
    "SELECT * FROM unnest(CAST(:first AS bigint[]), CAST(:second AS bigint[])) AS p(first, second)"
)


def among(connection: Connection, member: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of the values, which are all of one type: int, bytes or str."""
    kind = member.type.python_type
    if connection.dialect.name == "postgresql":
        return member == any_(literal(list(values), ARRAY(_TYPES[kind])))
    if kind is int:
        return member.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
    return member.in_(values)


def pairs(connection: Connection, values: Collection[tuple[int, int]]) -> FromClause:
    """Pairs of numbers as a table of two columns, ``first`` and ``second``."""
    if connection.dialect.name == "postgresql":
        bound = _PAIRS_POSTGRESQL.bindparams(first=[a for a, _ in values], second=[b for _, b in values])
    else:
        bound = _PAIRS_SQLITE.bindparams(pairs=json.dumps(list(values)))
    return bound.columns(column("first", BigInteger), column("second", BigInteger)).subquery("given")
