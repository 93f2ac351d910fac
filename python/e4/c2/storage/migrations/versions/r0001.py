"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _number() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name() -> Any:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _own(name: str) -> sa.Column[Any]:
    return sa.Column(name, _number(), sa.Identity(), nullable=False)


def _integer(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), **({"nullable": False} | more))


def _time(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), **({"nullable": False} | more))


def _text(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), **({"nullable": False} | more))


def _bytes(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), **({"nullable": False} | more))


def _exists(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.row"], f"{table}_{column}_exists", ondelete="CASCADE")


def _one_row(table: str) -> tuple[Any, ...]:
    return (
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.CheckConstraint("one = 1", op.f(f"{table}_one_row")),
        sa.PrimaryKeyConstraint("one", name=f"{table}_key"),
    )


def _index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    some: dict[str, Any] = (
        {} if where is None else {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)}
    )
    op.create_index(name, table, list(columns), **some)


def upgrade() -> None:
    """Make the tables."""
    _clients_and_topics()
    _commands_and_jobs()
    _records()
    op.execute(f"INSERT INTO log (one, event, audit, audit_hash) VALUES (1, 0, 0, {_zeros()})")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('clients', 0), ('topics', 0)")


def _zeros() -> str:
    if op.get_bind().dialect.name == "sqlite":
        return "zeroblob(32)"
    return "decode(repeat('00', 32), 'hex')"


def _clients_and_topics() -> None:
    op.create_table(
        "vault",
        *_one_row("vault"),
        _text("mode"),
        _bytes("database_id"),
        _time("created_at"),
        _bytes("salt"),
        _integer("time_cost"),
        _integer("memory_kib"),
        _integer("lanes"),
        _bytes("wrapped"),
    )
    op.create_table(
        "clients",
        _own("row"),
        _bytes("id"),
        sa.Column("name", _name(), nullable=False),
        sa.Column("by_id", sa.Boolean(), nullable=False),
        _integer("key_version"),
        _integer("c2_key_version"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("row", name="clients_key"),
        sa.UniqueConstraint("id", name="clients_id_unique"),
        sa.UniqueConstraint("name", name="clients_name_unique"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "client_keys",
        sa.Column("client_row", _number(), nullable=False),
        _integer("version"),
        _text("state"),
        _bytes("sealed"),
        _bytes("transit_sealed", nullable=True),
        _time("created_at"),
        sa.PrimaryKeyConstraint("client_row", "version", name="client_keys_key"),
        _exists("client_keys", "client_row", "clients"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "topics",
        _own("row"),
        sa.Column("name", _name(), nullable=False),
        _bytes("sort"),
        _bytes("hash"),
        _integer("version"),
        _time("created_at"),
        _time("rotated_at"),
        sa.PrimaryKeyConstraint("row", name="topics_key"),
        sa.UniqueConstraint("hash", name="topics_hash_unique"),
        sqlite_autoincrement=True,
    )
    _index("topics_sort", "topics", "sort")
    op.create_table(
        "topic_keys",
        sa.Column("topic_row", _number(), nullable=False),
        _integer("version"),
        _text("state"),
        _bytes("sealed"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("topic_row", "version", name="topic_keys_key"),
        _exists("topic_keys", "topic_row", "topics"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "c2_keys",
        _integer("version", autoincrement=False),
        _text("state"),
        _bytes("sealed"),
        _bytes("public"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("version", name="c2_keys_key"),
    )
    op.create_table(
        "memberships",
        sa.Column("client_row", _number(), nullable=False),
        sa.Column("topic_row", _number(), nullable=False),
        sa.Column("client_name", _name(), nullable=False),
        _bytes("topic_sort"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("client_row", "topic_row", name="memberships_key"),
        _exists("memberships", "client_row", "clients"),
        _exists("memberships", "topic_row", "topics"),
        sqlite_with_rowid=False,
    )
    _index("memberships_topic", "memberships", "topic_row", "client_row")
    _index("memberships_topic_by_name", "memberships", "topic_row", "client_name")
    _index("memberships_client_by_name", "memberships", "client_row", "topic_sort")
    op.create_table(
        "links",
        sa.Column("source_row", _number(), nullable=False),
        sa.Column("target_row", _number(), nullable=False),
        sa.Column("source_name", _name(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("source_row", "target_row", name="links_key"),
        _exists("links", "source_row", "clients"),
        _exists("links", "target_row", "clients"),
        sqlite_with_rowid=False,
    )
    _index("links_target_by_name", "links", "target_row", "source_name")


def _commands_and_jobs() -> None:
    op.create_table(
        "commands",
        _own("id"),
        _bytes("client_id"),
        sa.Column("client_row", _number(), nullable=False),
        _integer("kind"),
        sa.Column("topic_row", _number()),
        _bytes("topic_hash", nullable=True),
        sa.Column("source_row", _number()),
        _bytes("source_id", nullable=True),
        _integer("key_version"),
        _integer("c2_key_version"),
        _integer("new_version", nullable=True),
        sa.Column("job_id", _number()),
        _time("created_at"),
        _text("state", server_default=sa.text("'queued'")),
        _integer("attempts", server_default=sa.text("0")),
        _text("error", server_default=sa.text("''")),
        _time("retry_at", server_default=sa.text("0")),
        _time("settled_at", nullable=True),
        _time("timestamp", nullable=True),
        sa.PrimaryKeyConstraint("id", name="commands_key"),
        sqlite_autoincrement=True,
    )
    _index("commands_client", "commands", "client_id", "id")
    pending = "settled_at IS NULL"
    _index("commands_state", "commands", "state", "id", where=pending)
    _index("commands_pending", "commands", "client_id", "id", where=pending)
    _index("commands_due", "commands", "retry_at", "id", where=pending)
    _index("commands_timestamp", "commands", "client_id", "timestamp", where="timestamp IS NOT NULL")
    _index("commands_job", "commands", "job_id", "id", where="job_id IS NOT NULL")
    _index("commands_job_pending", "commands", "job_id", where=f"{pending} AND job_id IS NOT NULL")
    op.create_table(
        "jobs",
        _own("id"),
        _text("kind"),
        sa.Column("subject_row", _number(), nullable=False),
        sa.Column("subject", _name(), nullable=False),
        _integer("version"),
        _text("state"),
        _time("total"),
        _time("queued"),
        sa.Column("cursor", _number(), nullable=False),
        sa.Column("expanded", sa.Boolean(), nullable=False),
        _time("created_at"),
        _time("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="jobs_key"),
        sqlite_autoincrement=True,
    )
    _index("jobs_subject", "jobs", "kind", "subject_row", "id")
    _index("jobs_state", "jobs", "state", "id")
    op.create_table(
        "delivery_clock",
        _time("sender", autoincrement=False),
        _time("seconds"),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sender", name="delivery_clock_key"),
    )


def _records() -> None:
    op.create_table("log", *_one_row("log"), _time("event"), _time("audit"), _bytes("audit_hash"))
    op.create_table(
        "events",
        sa.Column("number", _number(), autoincrement=False, nullable=False),
        _text("kind"),
        _text("source"),
        _text("target"),
        _time("at"),
        sa.PrimaryKeyConstraint("number", name="events_key"),
    )
    op.create_table(
        "audit",
        sa.Column("number", _number(), autoincrement=False, nullable=False),
        _time("at"),
        *map(_text, ("actor", "peer", "request_id", "operation", "subject", "outcome")),
        _bytes("hash"),
        sa.PrimaryKeyConstraint("number", name="audit_key"),
    )
    op.create_table(
        "tokens",
        _own("id"),
        sa.Column("name", _name(), nullable=False),
        _bytes("hash"),
        _text("role"),
        sa.Column("protect", sa.Boolean(), nullable=False),
        _time("created_at"),
        _time("expires_at", nullable=True),
        _time("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="tokens_key"),
        sa.UniqueConstraint("name", name="tokens_name_unique"),
        sa.UniqueConstraint("hash", name="tokens_hash_unique"),
        sqlite_autoincrement=True,
    )
