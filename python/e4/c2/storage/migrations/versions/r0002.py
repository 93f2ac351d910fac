"""Calls that must have no second effect; a client's oldest key that is still used; C2's key by client."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "idempotency",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("response", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("actor", "key", name="idempotency_key"),
    )
    op.create_index("idempotency_created_at", "idempotency", ["created_at"])
    op.add_column(
        "clients", sa.Column("base_version", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.create_index("clients_c2_key_version", "clients", ["c2_key_version", "row"])
