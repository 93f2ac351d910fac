"""Versions of keys: which is current, which are kept, which are erased."""

from __future__ import annotations

from e4.c2.model import KeyState
from e4.c2.storage import Store, Transaction
from tests.unit.c2.storage._fill import NOW, add_clients


def _states(tx: Transaction, row: int) -> list[tuple[int, KeyState, bytes | None]]:
    return [(key.version, key.state, key.transit) for key in tx.keys.client_keys(row)]


def test_a_new_key_becomes_current_when_it_has_arrived(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.keys.add_client_keys(
            [(alice.row, version, KeyState.PENDING, b"new", b"private", NOW) for version in (2, 3)]
        )
        assert tx.keys.activate_client_key(alice.row, 2)
        assert _states(tx, alice.row) == [
            (1, KeyState.PREVIOUS, None),
            (2, KeyState.CURRENT, None),
            (3, KeyState.PENDING, b"private"),
        ]
        assert tx.keys.activate_client_key(alice.row, 3)
        assert [state for _, state, _ in _states(tx, alice.row)] == [
            KeyState.PREVIOUS,
            KeyState.PREVIOUS,
            KeyState.CURRENT,
        ]
        assert tx.keys.delete_client_keys(alice.row, below=3) == 2
        assert _states(tx, alice.row) == [(3, KeyState.CURRENT, None)]


def test_a_version_that_is_gone_is_not_activated(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.keys.add_client_keys([(alice.row, 2, KeyState.PENDING, b"new", b"private", NOW)])
        assert tx.keys.delete_client_keys(alice.row, version=2) == 1
        assert not tx.keys.activate_client_key(alice.row, 2)
        assert _states(tx, alice.row) == [(1, KeyState.CURRENT, None)]


def test_c2_keys(store: Store) -> None:
    with store.write() as tx:
        tx.keys.add_c2_key(1, KeyState.CURRENT, b"sealed 1", b"public 1", NOW)
        tx.keys.add_c2_key(2, KeyState.PENDING, b"sealed 2", b"public 2", NOW + 1)
        tx.keys.set_c2_key_state(1, KeyState.PREVIOUS)
        tx.keys.set_c2_key_state(2, KeyState.CURRENT)
        first, second = tx.keys.c2_keys()
        assert (first.version, first.state, first.sealed, first.public, first.created_at) == (
            *(1, KeyState.PREVIOUS),
            *(b"sealed 1", b"public 1", NOW),
        )
        assert (second.version, second.state) == (2, KeyState.CURRENT)
        assert tx.keys.delete_c2_keys(below=2) == 1
        assert tx.keys.c2_keys() == [second]


def test_no_key_in_a_repr(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.keys.add_c2_key(1, KeyState.CURRENT, b"sealed-bytes", b"public", NOW)
        shown = repr(tx.keys.client_keys(alice.row)) + repr(tx.keys.c2_keys())
    assert "key 1" not in shown
    assert "sealed-bytes" not in shown
