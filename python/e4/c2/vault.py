"""Keys at rest: every stored key is sealed under a data key, the data key under the operator's passphrase.

Knows nothing of how rows are stored. A sealed key, in hex order of fields::

    SIV(16) ‖ ciphertext(n)          AES-SIV (RFC 5297) under the 64-byte data key; one associated-data string:
    row(8) ‖ version(8) ‖ table      big-endian numbers, and the table's name in ASCII

    SIV(16) ‖ ciphertext(64)         the wrapped data key: AES-SIV under the passphrase's key
    "e4 c2 data key" ‖ database(16)  its associated data

The passphrase's key is Argon2id of it with a random salt (RFC 9106), 64 bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from e4 import _wire
from e4.backend import get
from e4.errors import DatabaseError, InvalidPassword, MessageError, WrongPassphrase

__all__ = ["Kdf", "Table", "Vault", "Wrapped"]

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


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What the database holds of a vault; no secret without the passphrase.

    Args:
        database: random, 16 bytes; it binds the wrapped key to this database.
        salt: random, 16 bytes; new with every passphrase.
        kdf: what the passphrase's key costs.
        key: the wrapped data key, 80 bytes.
    """

    database: bytes
    salt: bytes
    kdf: Kdf
    key: bytes


class Vault:
    """The open data key of one database. Safe to use from many threads."""

    __slots__ = ("_data_key", "_database", "_open", "_seal")

    def __init__(self, data_key: bytes, database: bytes) -> None:
        """Not for direct use: see `create` and `open`."""
        backend = get()
        self._seal = backend.siv_seal
        self._open = backend.siv_open
        self._data_key = data_key
        self._database = database

    def __repr__(self) -> str:
        return f"<Vault of database {self._database.hex()}>"

    def __reduce__(self) -> str:
        raise TypeError("a Vault cannot be pickled or copied")

    @classmethod
    def create(cls, passphrase: str, *, kdf: Kdf | None = None) -> tuple[Vault, Wrapped]:
        """A new data key, and what to store of it.

        Raises:
            InvalidPassword: the passphrase has under 16 bytes of UTF-8.
        """
        vault = cls(os.urandom(DATA_KEY_LEN), os.urandom(DATABASE_ID_LEN))
        return vault, vault.rewrap(passphrase, kdf=kdf)

    @classmethod
    def open(cls, stored: Wrapped, passphrase: str) -> Vault:
        """The vault of a database.

        Raises:
            WrongPassphrase: it does not open the data key.
            DatabaseError: what is stored is not a wrapped key.
        """
        if len(stored.database) != DATABASE_ID_LEN or stored.kdf.memory_kib > _MEMORY_MAX:
            raise DatabaseError("the database's wrapped data key is damaged")
        try:
            key = _passphrase_key(passphrase, stored.salt, stored.kdf)
        except ValueError:
            raise DatabaseError("the database's wrapped data key is damaged") from None
        try:
            data_key = get().siv_open(key, [_WRAP_LABEL + stored.database], stored.key)
        except MessageError:
            raise WrongPassphrase from None
        return cls(data_key, stored.database)

    def rewrap(self, passphrase: str, *, kdf: Kdf | None = None) -> Wrapped:
        """What to store for another passphrase. The sealed keys stay as they are.

        Raises:
            InvalidPassword: under 16 bytes of UTF-8.
        """
        if len(_encode(passphrase)) < _wire.PASSWORD_MIN:
            raise InvalidPassword(f"the passphrase must be at least {_wire.PASSWORD_MIN} bytes of UTF-8")
        kdf = kdf or Kdf()
        salt = os.urandom(SALT_LEN)
        key = _passphrase_key(passphrase, salt, kdf)
        wrapped = self._seal(key, [_WRAP_LABEL + self._database], self._data_key)
        return Wrapped(self._database, salt, kdf, wrapped)

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


def _passphrase_key(passphrase: str, salt: bytes, kdf: Kdf) -> bytes:
    derivation = Argon2id(
        salt=salt,
        length=DATA_KEY_LEN,
        iterations=kdf.time_cost,
        lanes=kdf.lanes,
        memory_cost=kdf.memory_kib,
    )
    return derivation.derive(_encode(passphrase))


def _encode(passphrase: str) -> bytes:
    # What a file or the environment held may be other bytes than UTF-8: they are taken as they are.
    return passphrase.encode(errors="surrogateescape")
