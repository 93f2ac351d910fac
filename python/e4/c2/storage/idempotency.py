"""The room of idempotency keys: calls that must have no second effect, and what was answered to them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, delete, select, tuple_, update

from e4.c2.storage.room import Room, if_new
from e4.c2.storage.schema import idempotency
from e4.c2.storage.values import StoredCall

__all__ = ["Idempotency"]

_i = idempotency.c


class Idempotency(Room):
    """Calls by actor and key."""

    __slots__ = ()

    def get(self, actor: str, key: str) -> StoredCall | None:
        """The call with a key."""
        query = select(_i.fingerprint, _i.created_at, _i.status, _i.response).where(_is(actor, key))
        row = self._connection.execute(query).first()
        return None if row is None else StoredCall(*row)

    def put(self, actor: str, key: str, fingerprint: bytes, at: int) -> bool:
        """Note a call.

        On PostgreSQL it waits for a transaction that has just noted the same.

        Returns:
            False if it was noted before.
        """
        values = {"actor": actor, "key": key, "fingerprint": fingerprint, "created_at": at}
        insert = if_new(self._connection, idempotency).values(values).returning(_i.key)
        return self._connection.execute(insert).first() is not None

    def answer(self, actor: str, key: str, status: int, response: bytes) -> None:
        """Store what was answered to a call."""
        query = update(idempotency).where(_is(actor, key)).values(status=status, response=response)
        self._connection.execute(query)

    def prune(self, before: int, limit: int = 10_000) -> int:
        """Delete calls of before a time, at most `limit`; how many were deleted."""
        old = select(_i.actor, _i.key).where(_i.created_at < before).order_by(_i.created_at).limit(limit)
        query = delete(idempotency).where(tuple_(_i.actor, _i.key).in_(old))
        return self._connection.execute(query).rowcount


def _is(actor: str, key: str) -> ColumnElement[bool]:
    return and_(_i.actor == actor, _i.key == key)
