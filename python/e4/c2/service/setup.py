"""Giving a new database its vault and, in PK mode, C2's first key pair; opening the vault of an old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e4 import crypto
from e4.c2.model import KeyState, Mode
from e4.c2.vault import Kdf, Vault
from e4.errors import Conflict, DatabaseError

if TYPE_CHECKING:
    from e4.c2.storage import Store, StoredVault, Transaction

__all__ = ["change_passphrase", "initialise", "mode_of", "open_vault"]


def initialise(store: Store, mode: Mode, passphrase: str, now: int, *, kdf: Kdf | None = None) -> Vault:
    """Make an empty database one of this mode, for good.

    Args:
        store: migrated, and without a vault.
        mode: ``symkey`` or ``pubkey``.
        passphrase: at least 16 bytes.
        now: milliseconds since the epoch.
        kdf: what the passphrase's key costs.

    Raises:
        InvalidPassword: the passphrase is too short.
        Conflict: the database has a vault already.
    """
    vault, stored = Vault.create(passphrase, mode, now, kdf=kdf)
    with store.write() as tx:
        if tx.vault.get() is not None:
            raise Conflict("the database is in use already")
        tx.vault.put(stored)
        if mode == "pubkey":
            private = crypto.random_curve25519_private_key()
            sealed = vault.seal("c2_keys", 1, 1, private)
            tx.keys.add_c2_key(1, KeyState.CURRENT, sealed, crypto.curve25519_public_key(private), now)
    return vault


def open_vault(store: Store, passphrase: str) -> Vault:
    """The vault of a database. Raises `WrongPassphrase`, `DatabaseError`."""
    with store.read() as tx:
        stored = _stored(tx)
    return Vault.open(stored, passphrase)


def mode_of(store: Store) -> Mode:
    """The mode of a database. Raises `DatabaseError`."""
    with store.read() as tx:
        return _stored(tx).mode


def change_passphrase(store: Store, old: str, new: str) -> None:
    """Wrap the data key under another passphrase; a server that runs need not stop.

    Raises:
        WrongPassphrase: the old one does not open the database.
        InvalidPassword: the new one is too short.
    """
    with store.write() as tx:
        stored = _stored(tx)
        tx.vault.put(Vault.open(stored, old).rewrap(stored, new))


def _stored(tx: Transaction) -> StoredVault:
    stored = tx.vault.get()
    if stored is None:
        raise DatabaseError("the database holds no key server: make one with 'e4 c2 init'")
    return stored
