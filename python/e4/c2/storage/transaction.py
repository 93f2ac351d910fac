"""One transaction, with a room for each part of the database."""

from __future__ import annotations

from sqlalchemy import Connection

from e4.c2.storage.audit import Audit
from e4.c2.storage.clients import Clients
from e4.c2.storage.commands import Commands
from e4.c2.storage.events import Events
from e4.c2.storage.idempotency import Idempotency
from e4.c2.storage.jobs import Jobs
from e4.c2.storage.keys import Keys
from e4.c2.storage.links import Links
from e4.c2.storage.members import Members
from e4.c2.storage.tokens import Tokens
from e4.c2.storage.topics import Topics
from e4.c2.storage.vault import Vault

__all__ = ["Transaction"]


class Transaction:
    """What can be read and written in one transaction. `Store.write` and `Store.read` make them.

    On PostgreSQL several write at once: one that locks more than one thing locks topics, then clients by
    row, then jobs, and appends events and audit last, so that no two wait for each other.
    """

    __slots__ = (
        "audit",
        "clients",
        "commands",
        "events",
        "idempotency",
        "jobs",
        "keys",
        "links",
        "members",
        "tokens",
        "topics",
        "vault",
    )

    def __init__(self, connection: Connection) -> None:
        self.audit = Audit(connection)
        self.clients = Clients(connection)
        self.commands = Commands(connection)
        self.events = Events(connection)
        self.idempotency = Idempotency(connection)
        self.jobs = Jobs(connection)
        self.keys = Keys(connection)
        self.links = Links(connection)
        self.members = Members(connection)
        self.tokens = Tokens(connection)
        self.topics = Topics(connection)
        self.vault = Vault(connection)
