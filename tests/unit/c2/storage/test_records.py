"""Events, audit, tokens, the vault's row, idempotency keys."""

from __future__ import annotations

import hashlib

import pytest

from e4.c2.model import AuditRow, EventKind, Role
from e4.c2.storage import Store, StoredVault, Transaction
from e4.c2.storage.audit import FIRST_HASH
from e4.errors import Conflict, InvalidName
from tests.unit.c2.storage._fill import NOW


def test_events_are_numbered_without_holes(store: Store) -> None:
    with store.read() as tx:
        assert (tx.events.last(), tx.events.first(), tx.events.after(0, 10)) == (0, 1, [])
    with store.write() as tx:
        tx.events.append(
            [(EventKind.CLIENT_CREATED, "alice", ""), (EventKind.MEMBERSHIP_ADDED, "alice", "t")], NOW
        )
        tx.events.append([], NOW)
    with store.connected_to_write() as connection:
        Transaction(connection).events.append([(EventKind.CLIENT_REMOVED, "alice", "")], NOW)
        connection.rollback()
    with store.write() as tx:
        tx.events.append([(EventKind.TOPIC_CREATED, "", "t")] * 60, NOW + 5)
    with store.read() as tx:
        events = tx.events.after(0, 100)
        assert [event.number for event in events] == list(range(1, 63))
        assert (events[1].kind, events[1].source, events[1].target, events[1].at) == (
            *(EventKind.MEMBERSHIP_ADDED, "alice"),
            *("t", NOW),
        )
        assert tx.events.after(2, 2) == events[2:4]
        assert (tx.events.last(), tx.events.first()) == (62, 1)
    with store.write() as tx:
        assert tx.events.prune(NOW) == 0
        assert tx.events.prune(NOW + 5, limit=1) == 1
        assert tx.events.prune(NOW + 5) == 1
        assert (tx.events.last(), tx.events.first()) == (62, 3)
        assert tx.events.prune(NOW + 6) == 60
        assert (tx.events.last(), tx.events.first()) == (62, 63)


def _hash(row: AuditRow, before: bytes) -> bytes:
    assert row.hash == b""
    return hashlib.sha256(before + repr(row).encode()).digest()


def _append(tx: Transaction, subject: str = "alice", actor: str = "admin") -> AuditRow:
    return tx.audit.append(NOW, actor, "127.0.0.1", "r1", "new_client", subject, "done", _hash)


def test_audit_is_a_chain(store: Store) -> None:
    with store.read() as tx:
        assert tx.audit.last() == (0, FIRST_HASH)
    rows = []
    for subject in ("alice", "bob\0\ud800", "carol"):
        with store.write() as tx:
            rows.append(_append(tx, subject))
    with store.read() as tx:
        assert list(tx.audit.iterate()) == tx.audit.page(None, 10) == rows
        assert list(tx.audit.iterate(3)) == tx.audit.page(2, 10) == rows[2:]
        assert tx.audit.page(3, 10, newest_first=True) == rows[1::-1]
        assert tx.audit.last() == (3, rows[2].hash)
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows[1].subject == "bob�?"
    before = FIRST_HASH
    for row in rows:
        fields = {name: getattr(row, name) for name in AuditRow.__slots__}
        assert row.hash == _hash(AuditRow(**(fields | {"hash": b""})), before)
        before = row.hash


def test_an_undone_row_of_the_audit_leaves_no_hole(store: Store) -> None:
    with store.connected_to_write() as connection:
        _append(Transaction(connection))
        connection.rollback()
    with store.write() as tx:
        assert _append(tx).number == 1


def test_tokens(store: Store) -> None:
    with store.write() as tx:
        admin = tx.tokens.new("admin", b"1" * 32, Role.ADMIN, True, NOW, None)
        viewer = tx.tokens.new("viewer", b"2" * 32, Role.VIEWER, False, NOW, NOW + 5)
        assert (viewer.name, viewer.role, viewer.protect, viewer.expires_at) == (
            *("viewer", Role.VIEWER),
            *(False, NOW + 5),
        )
        with pytest.raises(Conflict):
            tx.tokens.new("admin", b"3" * 32, Role.VIEWER, False, NOW, None)
        with pytest.raises(InvalidName):
            tx.tokens.new("a\0", b"3" * 32, Role.VIEWER, False, NOW, None)
    with store.write() as tx:
        assert tx.tokens.by_hash(b"1" * 32) == tx.tokens.get(admin.id) == admin
        assert tx.tokens.by_hash(b"3" * 32) is None
        assert tx.tokens.page(None, 10) == [admin, viewer]
        assert tx.tokens.page(admin.id, 10) == [viewer]
        assert tx.tokens.revoke(admin.id, NOW + 1)
        assert not tx.tokens.revoke(admin.id, NOW + 2)
        assert not tx.tokens.revoke(999, NOW)
        revoked = tx.tokens.by_hash(b"1" * 32)
        assert revoked is not None
        assert revoked.revoked_at == NOW + 1


def test_vault(store: Store) -> None:
    with store.write() as tx:
        assert tx.vault.get() is None
        first = StoredVault("pubkey", b"d" * 16, NOW, b"s" * 16, 3, 65536, 4, b"wrapped-secret")
        tx.vault.put(first)
        assert tx.vault.get() == first
        second = StoredVault("pubkey", b"d" * 16, NOW, b"t" * 16, 4, 65536, 4, b"wrapped-again")
        tx.vault.put(second)
    with store.read() as tx:
        assert tx.vault.get() == second
    assert "wrapped" not in repr(second)


def test_idempotency_keys(store: Store) -> None:
    with store.write() as tx:
        assert tx.idempotency.get("alice", "key") is None
        assert tx.idempotency.put("alice", "key", b"asked", NOW)
        assert tx.idempotency.put("bob", "key", b"asked", NOW + 5)
        assert not tx.idempotency.put("alice", "key", b"something else", NOW)
        tx.idempotency.answer("alice", "key", 201, b"{}")
        call = tx.idempotency.get("alice", "key")
        assert call is not None
        assert (call.fingerprint, call.created_at, call.status, call.response) == (b"asked", NOW, 201, b"{}")
        open_call = tx.idempotency.get("bob", "key")
        assert open_call is not None
        assert (open_call.status, open_call.response) == (None, None)
        assert tx.idempotency.prune(NOW + 5) == 1
        assert tx.idempotency.get("alice", "key") is None
        assert tx.idempotency.get("bob", "key") == open_call
