"""The tables, as they are at the newest revision; `migrations` makes and changes them.

Numbers of rows are never used again (AUTOINCREMENT, identity columns): what seals a key binds its table,
row and version. Names sort by their bytes on both databases. Times are milliseconds since the epoch, but
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
    PrimaryKeyConstraint,
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


def _number(name: str) -> Column[int]:
    return Column(name, Number, Identity(), primary_key=True)


def _one_row() -> tuple[Column[int], CheckConstraint]:
    return (
        Column("one", Integer, primary_key=True, autoincrement=False),
        CheckConstraint("one = 1", "one_row"),
    )


def _client(name: str) -> Column[int]:
    return Column(name, Number, ForeignKey("clients.row", ondelete="CASCADE"), nullable=False)


def _topic(name: str) -> Column[int]:
    return Column(name, Number, ForeignKey("topics.row", ondelete="CASCADE"), nullable=False)


def _some(index: str, *columns: str, where: str) -> Index:
    """An index of some of the rows."""
    return Index(index, *columns, sqlite_where=text(where), postgresql_where=text(where))


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
    _number("row"),
    Column("id", LargeBinary, nullable=False, unique=True),
    Column("name", Name, nullable=False, unique=True),
    Column("by_id", Boolean, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("c2_key_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column(
        "base_version", Integer, nullable=False, server_default=text("0")
    ),  # no command goes under older keys
    Index("clients_c2_key_version", "c2_key_version", "row"),
    sqlite_autoincrement=True,
)

client_keys = Table(
    "client_keys",
    metadata,
    _client("client_row"),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("transit_sealed", LargeBinary),  # PK mode: the private key, until it is sent
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("client_row", "version"),
    sqlite_with_rowid=False,
)

# A topic's name may have 65535 bytes, more than an index of PostgreSQL takes: `sort` has the first ones.
topics = Table(
    "topics",
    metadata,
    _number("row"),
    Column("name", Name, nullable=False),
    Column("sort", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("rotated_at", BigInteger, nullable=False),
    Index("topics_sort", "sort"),
    sqlite_autoincrement=True,
)

topic_keys = Table(
    "topic_keys",
    metadata,
    _topic("topic_row"),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("topic_row", "version"),
    sqlite_with_rowid=False,
)

c2_keys = Table(
    "c2_keys",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# The names beside the numbers let a page begin at a name, however many rows come before it.
memberships = Table(
    "memberships",
    metadata,
    _client("client_row"),
    _topic("topic_row"),
    Column("client_name", Name, nullable=False),
    Column("topic_sort", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("client_row", "topic_row"),
    Index("memberships_topic", "topic_row", "client_row"),
    Index("memberships_topic_by_name", "topic_row", "client_name"),
    Index("memberships_client_by_name", "client_row", "topic_sort"),
    sqlite_with_rowid=False,
)

links = Table(
    "links",
    metadata,
    _client("source_row"),
    _client("target_row"),
    Column("source_name", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("source_row", "target_row"),
    Index("links_target_by_name", "target_row", "source_name"),
    sqlite_with_rowid=False,
)

# The outbox. No foreign keys: a command outlives its client. It is pending while `settled_at` is NULL.
commands = Table(
    "commands",
    metadata,
    _number("id"),
    Column("client_id", LargeBinary, nullable=False),
    Column("client_row", Number, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("topic_row", Number),
    Column("topic_hash", LargeBinary),
    Column("source_row", Number),
    Column("source_id", LargeBinary),
    Column("key_version", Integer, nullable=False),
    Column("c2_key_version", Integer, nullable=False),
    Column("new_version", Integer),
    Column("job_id", Number),
    Column("created_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text, nullable=False, server_default=text("''")),
    Column("retry_at", BigInteger, nullable=False, server_default=text("0")),  # 0: at once
    Column("settled_at", BigInteger),
    Column("timestamp", BigInteger),
    Index("commands_client", "client_id", "id"),
    _some("commands_state", "state", "id", where="settled_at IS NULL"),
    _some("commands_pending", "client_id", "id", where="settled_at IS NULL"),
    _some("commands_due", "retry_at", "id", where="settled_at IS NULL"),
    _some("commands_timestamp", "client_id", "timestamp", where="timestamp IS NOT NULL"),
    _some("commands_job", "job_id", "id", where="job_id IS NOT NULL"),
    _some("commands_job_pending", "job_id", where="settled_at IS NULL AND job_id IS NOT NULL"),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    _number("id"),
    Column("kind", Text, nullable=False),
    Column("subject_row", Number, nullable=False),
    Column("subject", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("queued", BigInteger, nullable=False),
    Column("cursor", Number, nullable=False),
    Column("expanded", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index("jobs_subject", "kind", "subject_row", "id"),
    Index("jobs_state", "state", "id"),
    sqlite_autoincrement=True,
)

# The last numbers of events and audit. Whoever appends holds this row until it commits.
log = Table(
    "log",
    metadata,
    *_one_row(),
    Column("event", BigInteger, nullable=False),
    Column("audit", BigInteger, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    _number("id"),
    Column("name", Name, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("protect", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("actor", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Integer),
    Column("response", LargeBinary),
    PrimaryKeyConstraint("actor", "key"),
    Index("idempotency_created_at", "created_at"),
)

# The last second that each sender of commands has announced, and whether it may be using it now.
delivery_clock = Table(
    "delivery_clock",
    metadata,
    Column("sender", BigInteger, primary_key=True, autoincrement=False),
    Column("seconds", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
)
