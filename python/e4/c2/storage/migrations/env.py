"""Run by Alembic: migrates over the connection that it was given, in its transaction."""

from __future__ import annotations

from alembic import context

from e4.c2.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
