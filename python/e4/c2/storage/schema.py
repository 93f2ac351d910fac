"""The tables, as they are at the newest revision; `migrations` makes and changes them.

Numbers of rows are never used again (AUTOINCREMENT, sequences): what seals a key binds its table, row
and version. Names sort by their bytes on both databases. Times are milliseconds since the epoch, but
a command's `timestamp` and the delivery clock, which are seconds.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

__all__ = [
    "audit",
    "c2_keys",
    "client_keys",
    "clients",
    "commands",
    "delivery_clock",
    "events",
    "idempotency",
    "jobs",
    "links",
    "log",
    "memberships",
    "metadata",
    "numbered",
    "tokens",
    "topic_keys",
    "topics",
    "vault",
]

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_unique",
        "ck": "%(table_name)s_%(constraint_name)s",
        "fk": "%(table_name)s_%(column_0_N_name)s_exists",
        "pk": "%(table_name)s_key",
    }
)

Number: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
Name: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")


def _numbered(name: str) -> Column[int]:
    return Column(name, Number, Identity(), primary_key=True)


def _one_row() -> tuple[Column[int], CheckConstraint]:
    return Column("one", Integer, primary_key=True, autoincrement=False), CheckConstraint("one = 1", "one_row")


def _client(name: str) -> Column[int]:
    return Column(name, Number, ForeignKey("clients.row", ondelete="CASCADE"), nullable=False)


# The mode, and the data key wrapped under the operator's passphrase.
vault = Table(
    "vault",
    metadata,
    *_one_row(),
    Column("mode", Text, nullable=False),
    Column("database_id", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("time_cost", Integer, nullable=False),
    Column("memory_kib", Integer, nullable=False),
    Column("lanes", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    _numbered("row"),
    Column("id", LargeBinary, nullable=False, unique=True),
    Column("name", Name, nullable=False, unique=True),
    Column("by_id", Boolean, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("c2_key_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

client_keys = Table(
    "client_keys",
    metadata,
    _client("client_row"),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # PK mode: the public key, as it is
    Column("transit_sealed", LargeBinary),  # PK mode: a private key until it is sent
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
client_keys.primary_key.columns  # noqa: B018
