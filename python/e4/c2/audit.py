"""The audit's chain: each row's hash covers the row and the hash of the row before.

Knows nothing of how rows are stored. What is hashed, with SHA-256::

    previous hash(32) ‖ number(8) ‖ at(8) ‖ length(4) ‖ actor ‖ length(4) ‖ peer ‖ … ‖ length(4) ‖ outcome

Numbers are big-endian, texts UTF-8; each is preceded by its length, so that no two rows encode alike. The
hash before the first row is 32 zeros. A row that is changed, removed, put in or moved breaks the chain
there; rows cut off at the end do not, and show when the head is compared with one noted earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from e4.c2.model import AuditCheck, AuditRow

__all__ = ["DONE", "GENESIS", "chain_hash", "verify"]

GENESIS: Final = bytes(32)
DONE: Final = "done"  # the outcome of what was not refused


def chain_hash(row: AuditRow, previous: bytes) -> bytes:
    """The hash of a row, 32 bytes.

    Args:
        row: its own `hash` does not count.
        previous: the hash of the row before it; `GENESIS` for the first.
    """
    digest = hashlib.sha256(previous)
    digest.update(row.number.to_bytes(8) + row.at.to_bytes(8))
    for text in (row.actor, row.peer, row.request_id, row.operation, row.subject, row.outcome):
        data = text.encode()
        digest.update(len(data).to_bytes(4))
        digest.update(data)
    return digest.digest()


def verify(rows: Iterable[AuditRow], last: tuple[int, bytes] | None = None) -> AuditCheck:
    """Check a whole chain, in constant memory.

    Args:
        rows: all rows, from the first, in the order of their numbers.
        last: number and hash of what should be the last row, where that is known: rows cut off show.
    """
    head, count = GENESIS, 0
    for row in rows:
        # Where rows are missing, the first missing one is what is not as it was.
        if row.number != count + 1 or row.hash != chain_hash(row, head):
            return AuditCheck(count, min(row.number, count + 1), head)
        head, count = row.hash, row.number
    return AuditCheck(count, None if last in (None, (count, head)) else count + 1, head)
