"""The room of keys: versions of clients', topics' and C2's keys, all sealed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, select, update

from e4.c2.model import KeyState
from e4.c2.storage import bulk
from e4.c2.storage.room import Room
from e4.c2.storage.schema import c2_keys, client_keys, topic_keys, vault
from e4.c2.storage.values import StoredC2Key, StoredKey

__all__ = ["Keys"]

_k = client_keys.c
_t = topic_keys.c
_c2 = c2_keys.c
_COLUMNS = ("client_row", "version", "state", "sealed", "transit_sealed", "created_at")


class Keys(Room):
    """Keys, as (version, state, sealed key); lists are in the order of versions, the newest last."""

    __slots__ = ()

    def add_client_keys(self, new: Sequence[tuple[int, int, KeyState, bytes, bytes | None, int]]) -> None:
        """Add keys, as (client's row, version, state, sealed, sealed private key or None, created at)."""
        bulk.insert(self._connection, client_keys, _COLUMNS, new)

    def client_keys(self, client_row: int) -> list[StoredKey]:
        """A client's keys."""
        query = select(_k.version, _k.state, _k.sealed, _k.transit_sealed, _k.created_at)
        rows = self._connection.execute(query.where(_k.client_row == client_row).order_by(_k.version))
        return [StoredKey(version, KeyState(state), *rest) for version, state, *rest in rows]

    def activate_client_key(self, client_row: int, version: int) -> bool:
        """Note that a key has reached its client: it is current, those below previous, its secret erased.

        Returns:
            False if there is no such version any more; then nothing changes.
        """
        current = update(client_keys).where(*_version(client_row, version))
        if not self._connection.execute(current.values(state=KeyState.CURRENT, transit_sealed=None)).rowcount:
            return False
        older = update(client_keys).where(_k.client_row == client_row, _k.version < version)
        self._connection.execute(older.values(state=KeyState.PREVIOUS, transit_sealed=None))
        return True

    def delete_client_keys(
        self, client_row: int, *, below: int | None = None, version: int | None = None
    ) -> int:
        """Delete a client's keys of versions below one, or of one version; how many there were."""
        which = _k.version < below if below is not None else _k.version == version
        return self._connection.execute(
            delete(client_keys).where(_k.client_row == client_row, which)
        ).rowcount

    def add_topic_key(self, topic_row: int, version: int, sealed: bytes, at: int) -> None:
        """Add a topic's key, the current one; the one before becomes previous, older ones are deleted."""
        run = self._connection.execute
        run(delete(topic_keys).where(_t.topic_row == topic_row, _t.version < version - 1))
        run(update(topic_keys).where(_t.topic_row == topic_row).values(state=KeyState.PREVIOUS))
        values = {"topic_row": topic_row, "version": version, "state": KeyState.CURRENT, "sealed": sealed}
        run(topic_keys.insert().values(values | {"created_at": at}))

    def topic_keys(self, topic_row: int) -> list[StoredKey]:
        """A topic's keys: the previous, if there is one, and the current."""
        query = select(_t.version, _t.state, _t.sealed, _t.created_at)
        rows = self._connection.execute(query.where(_t.topic_row == topic_row).order_by(_t.version))
        return [StoredKey(version, KeyState(state), sealed, None, at) for version, state, sealed, at in rows]

    def add_c2_key(self, version: int, state: KeyState, sealed: bytes, public: bytes, at: int) -> None:
        """Add a key pair of C2."""
        values = {"version": version, "state": state, "sealed": sealed, "public": public, "created_at": at}
        self._connection.execute(c2_keys.insert().values(values))

    def hold_c2_keys(self, *, renew: bool = False) -> None:
        """Have no new version of C2's key come, until this transaction ends.

        Args:
            renew: hold off, beside it, those who hold the versions so: to add one.
        """
        self._connection.execute(select(vault.c.mode).with_for_update(read=not renew))

    def c2_keys(self) -> list[StoredC2Key]:
        """C2's key pairs."""
        query = select(_c2.version, _c2.state, _c2.sealed, _c2.public, _c2.created_at).order_by(_c2.version)
        rows = self._connection.execute(query)
        return [StoredC2Key(version, KeyState(state), *rest) for version, state, *rest in rows]

    def set_c2_key_state(self, version: int, state: KeyState) -> None:
        """Change the state of a key pair of C2."""
        self._connection.execute(update(c2_keys).where(_c2.version == version).values(state=state))

    def delete_c2_keys(self, below: int) -> int:
        """Delete C2's key pairs of versions below one; how many there were."""
        return self._connection.execute(delete(c2_keys).where(_c2.version < below)).rowcount


def _version(client_row: int, version: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _k.client_row == client_row, _k.version == version
