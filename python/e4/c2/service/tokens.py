"""Tokens: who may call, and what they may do. For administrators."""

from __future__ import annotations

from e4.c2.auth import new_secret, secret_hash
from e4.c2.model import Call, Page, Right, Role, Token
from e4.c2.service._change import Change
from e4.c2.service._checks import page_size, read_number_cursor, read_ref
from e4.c2.service._core import Core
from e4.c2.service._reading import number_page
from e4.errors import InvalidRequest, NotFound

__all__ = ["Tokens"]


class Tokens:
    """Making, listing and revoking tokens."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def new_token(
        self, call: Call, name: str, role: Role, protect: bool, expires_at: int | None = None
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            call: who asks.
            name: of the one who gets it, as it stands in the audit; 1 to 255 bytes of UTF-8.
            role: what it may do.
            protect: whether it may protect and unprotect messages on the server.
            expires_at: milliseconds since the epoch; None: never.

        Returns:
            The token, and its secret, which is not kept.

        Raises:
            InvalidName: the name is not valid.
            InvalidRequest: it would have expired already.
            Conflict: another token has the name.
        """
        with self._core.attempt(call, "new_token", name, Right.ADMINISTER) as attempt:
            read_ref(name)
            if expires_at is not None and expires_at <= self._core.clock():
                raise InvalidRequest("the token would have expired already")
            secret = new_secret()

            def work(change: Change) -> Token:
                return change.tx.tokens.new(name, secret_hash(secret), role, protect, change.now, expires_at)

            # Its answer holds the secret: it is not stored for another call with the same idempotency key.
            return attempt.commit(work, replayable=False), secret

    def page_tokens(self, call: Call, cursor: str | None = None, limit: int = 100) -> Page[Token]:
        """A page of tokens in the order they were made. Raises `InvalidRequest`."""
        after, size = read_number_cursor(cursor), page_size(limit)
        with self._core.reading(call, Right.ADMINISTER) as tx:
            return number_page(tx.tokens.page(after, size + 1), size)

    def revoke_token(self, call: Call, id: int) -> None:
        """Take a token's rights away, for good.

        Raises:
            NotFound: there is no such token.
        """
        with self._core.attempt(call, "revoke_token", str(id), Right.ADMINISTER) as attempt:

            def work(change: Change) -> None:
                found = change.tx.tokens.get(id)
                if found is None:
                    raise NotFound(f"there is no token {id}")
                attempt.subject = found.name
                change.tx.tokens.revoke(id, change.now)

            attempt.commit(work)
