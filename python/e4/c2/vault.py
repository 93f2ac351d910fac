"""Keys at rest: every stored key is sealed under a data key, the data key under the operator's passphrase.

A sealed key, and what AES-SIV (RFC 5297) binds it to by its one associated-data string::

    SIV(16) ‖ ciphertext(n)                      under the data key, 64 random bytes
      row(8) ‖ version(8) ‖ table                big-endian numbers; the table's name in ASCII

    SIV(16) ‖ ciphertext(64)                     the data key itself, under the passphrase's key
      "e4 c2 data key" ‖ database id(16) ‖ mode  in ASCII

The passphrase's key is Argon2id of it with a random salt (RFC 9106), 64 bytes. Knows values of the storage,
and no database.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from e4 import _wire
from e4.backend import get
from e4.c2.model import Mode
from e4.c2.storage import StoredVault
from e4.errors import DatabaseError, InvalidPassword, MessageError, WrongPassphrase

__all__ = ["Kdf", "Table", "Vault"]

Table = Literal["client_keys", "client_keys.transit", "topic_keys", "c2_keys"]

DATA_KEY_LEN: Final = 64
SALT_LEN: Final = 16
DATABASE_ID_LEN: Final = 16

_WRAP_LABEL: Final = b"e4 c2 data key"
_MEMORY_MAX: Final = 4 << 20  # KiB; a database that asks for more is not one of ours


@dataclass(frozen=True, slots=True)
class Kdf:
    """What Argon2id costs: passes, memory in KiB, lanes."""

    time_cost: int = 3
    memory_kib: int = 65536
    lanes: int = 4


class Vault:
    """The open data key of one database. Safe to use from many threads."""

    __slots__ = ("_data_key", "_open", "_seal", "database_id")

    def __init__(self, data_key: bytes, database_id: bytes) -> None:
        """Not for direct use: see `create` and `open`."""
        backend = get()
        self._seal = backend.siv_seal
        self._open = backend.siv_open
        self._data_key = data_key
        self.database_id = database_id

    def __repr__(self) -> str:
        return f"<Vault of database {self.database_id.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Vault cannot be pickled or copied")

    @classmethod
    def create(
        cls, passphrase: str, mode: Mode, created_at: int, *, kdf: Kdf | None = None
    ) -> tuple[Vault, StoredVault]:
        """A new data key, and what to store of it.

        Args:
            passphrase: at least 16 bytes.
            mode: of the database, for good.
            created_at: milliseconds since the epoch.
            kdf: another cost than the default.

        Raises:
            InvalidPassword: the passphrase is too short.
        """
        vault = cls(os.urandom(DATA_KEY_LEN), os.urandom(DATABASE_ID_LEN))
        kdf = kdf or Kdf()
        empty = StoredVault(
            mode, vault.database_id, created_at, b"", kdf.time_cost, kdf.memory_kib, kdf.lanes, b""
        )
        return vault, vault.rewrap(empty, passphrase)

    @classmethod
    def open(cls, stored: StoredVault, passphrase: str) -> Vault:
        """The vault of a database.

        Raises:
            WrongPassphrase: it does not open the data key.
            DatabaseError: what is stored is not a wrapped key.
        """
        try:
            key = _passphrase_key(stored, passphrase)
            data_key = get().siv_open(key, [_wrap_binding(stored)], stored.wrapped)
        except MessageError:
            raise WrongPassphrase from None
        return cls(data_key, stored.database_id)

    def rewrap(self, stored: StoredVault, passphrase: str) -> StoredVault:
        """What to store for another passphrase, with a new salt; the sealed keys stay as they are.

        Raises:
            InvalidPassword: under 16 bytes.
        """
        if len(_encode(passphrase)) < _wire.PASSWORD_MIN:
            raise InvalidPassword(f"the passphrase must be at least {_wire.PASSWORD_MIN} bytes of UTF-8")
        stored = replace(stored, salt=os.urandom(SALT_LEN))
        key = _passphrase_key(stored, passphrase)
        return replace(stored, wrapped=self._seal(key, [_wrap_binding(stored)], self._data_key))

    def seal(self, table: Table, row: int, version: int, key: bytes) -> bytes:
        """A key as it is stored in that table, row and version: 16 bytes longer."""
        return self._seal(self._data_key, [_binding(table, row, version)], key)

    def open_key(self, table: Table, row: int, version: int, sealed: bytes) -> bytes:
        """The key that was sealed for that table, row and version.

        Raises:
            DatabaseError: it was not: the row was changed, exchanged, or is of another database.
        """
        try:
            return self._open(self._data_key, [_binding(table, row, version)], sealed)
        except MessageError:
            raise DatabaseError(
                f"the key in table {table}, row {row}, version {version} does not open: the row was changed, "
                "or is of another database"
            ) from None


def _binding(table: Table, row: int, version: int) -> bytes:
    return row.to_bytes(8) + version.to_bytes(8) + table.encode()


def _wrap_binding(stored: StoredVault) -> bytes:
    return _WRAP_LABEL + stored.database_id + stored.mode.encode()


def _passphrase_key(stored: StoredVault, passphrase: str) -> bytes:
    damaged = "the row that holds the wrapped data key is damaged"
    if len(stored.database_id) != DATABASE_ID_LEN or stored.memory_kib > _MEMORY_MAX:
        raise DatabaseError(damaged)
    try:
        derivation = Argon2id(
            salt=stored.salt,
            length=DATA_KEY_LEN,
            iterations=stored.time_cost,
            lanes=stored.lanes,
            memory_cost=stored.memory_kib,
        )
    except ValueError:
        raise DatabaseError(damaged) from None
    return derivation.derive(_encode(passphrase))


def _encode(passphrase: str) -> bytes:
    # What a file or the environment held may be other bytes than UTF-8: they are taken as they are.
    return passphrase.encode(errors="surrogateescape")
