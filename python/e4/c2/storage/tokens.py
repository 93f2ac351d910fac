"""The room of tokens: hashes of their secrets, never the secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, update

from e4.c2.model import Role, Token
from e4.c2.storage.room import Room, if_new, named
from e4.c2.storage.schema import tokens
from e4.errors import Conflict

__all__ = ["Tokens"]

_t = tokens.c
_SELECT: Select[Any] = select(
    _t.id, _t.name, _t.role, _t.protect, _t.created_at, _t.expires_at, _t.revoked_at
)


class Tokens(Room):
    """Tokens; one that is revoked stays, and keeps its name."""

    __slots__ = ()

    def new(
        self, name: str, secret_hash: bytes, role: Role, protect: bool, at: int, expires_at: int | None
    ) -> Token:
        """Add a token.

        Args:
            name: unique.
            secret_hash: SHA-256 of its secret.
            role: what it may do.
            protect: whether it may protect and unprotect messages.
            at: milliseconds since the epoch.
            expires_at: None: never.

        Raises:
            Conflict: there is one of this name.
            InvalidName: the name has a NUL.
        """
        values = {"name": named(name), "hash": secret_hash, "role": role, "protect": protect}
        times = {"created_at": at, "expires_at": expires_at}
        insert = if_new(self._connection, tokens).values(values | times).returning(_t.id)
        number = self._connection.execute(insert).scalar()
        if number is None:
            raise Conflict("there is a token of this name")
        return Token(number, name, role, protect, at, expires_at, None)

    def by_hash(self, secret_hash: bytes) -> Token | None:
        """The token of a secret's hash, also one that has expired or was revoked."""
        return self._one(_SELECT.where(_t.hash == secret_hash))

    def get(self, number: int) -> Token | None:
        """A token."""
        return self._one(_SELECT.where(_t.id == number))

    def page(self, after: int | None, limit: int) -> list[Token]:
        """The next tokens by id."""
        query = _SELECT.order_by(_t.id).limit(limit)
        if after is not None:
            query = query.where(_t.id > after)
        return [_token(row) for row in self._connection.execute(query).all()]

    def revoke(self, number: int, at: int) -> bool:
        """End a token; False if there is none, or it was revoked before."""
        query = update(tokens).where(_t.id == number, _t.revoked_at.is_(None)).values(revoked_at=at)
        return self._connection.execute(query).rowcount > 0

    def _one(self, query: Select[Any]) -> Token | None:
        row = self._connection.execute(query).first()
        return None if row is None else _token(row)


def _token(row: Sequence[Any]) -> Token:
    number, name, role, *rest = row
    return Token(number, name, Role(role), *rest)
