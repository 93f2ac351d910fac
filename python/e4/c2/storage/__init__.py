"""The database: the only part that knows SQL. SQLite and PostgreSQL behind one set of operations.

::

    store                   opens and migrates a database; makes transactions and claims
    transaction             one transaction, with a room for each part: clients, topics, members, links, keys,
                            commands, jobs, events, audit, tokens, vault, idempotency
    claim                   a sender's share of the outbox
    schema  migrations      the tables, and how they came to be
    engine  problems  bulk  connections; errors in plain words; many rows at once
    copy  legacy            backup and restore; the database of deployed servers

Every key that passes here is sealed. No room decides anything: that is for the service.
"""

from e4.c2.storage.claim import Claim
from e4.c2.storage.problems import Transient
from e4.c2.storage.store import Store
from e4.c2.storage.transaction import Transaction
from e4.c2.storage.values import (
    JobWork,
    NewClient,
    NewCommand,
    NewTopic,
    Outgoing,
    Sent,
    StoredC2Key,
    StoredCall,
    StoredKey,
    StoredVault,
)

__all__ = [
    "Claim",
    "JobWork",
    "NewClient",
    "NewCommand",
    "NewTopic",
    "Outgoing",
    "Sent",
    "Store",
    "StoredC2Key",
    "StoredCall",
    "StoredKey",
    "StoredVault",
    "Transaction",
    "Transient",
]
