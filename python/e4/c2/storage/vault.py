"""The room of the vault: one row, the wrapped data key and the mode."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, select

from e4.c2.storage.room import Room
from e4.c2.storage.schema import vault
from e4.c2.storage.values import StoredVault

__all__ = ["Vault"]

_COLUMNS = [column for column in vault.c if column.name != "one"]


class Vault(Room):
    """What the keys of this database are sealed with, itself wrapped."""

    __slots__ = ()

    def get(self) -> StoredVault | None:
        """The vault's row; None before it was made."""
        row = self._connection.execute(select(*_COLUMNS)).first()
        return None if row is None else StoredVault(*row)

    def put(self, stored: StoredVault) -> None:
        """Set or replace it."""
        self._connection.execute(delete(vault))
        self._connection.execute(vault.insert().values(asdict(stored) | {"one": 1}))
