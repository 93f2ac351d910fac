"""`Remote`: the operations of a running key server. Decides nothing; the server does."""

from __future__ import annotations

import os
from types import TracebackType

from e4.c2.remote._fleet import Fleet
from e4.c2.remote._records import Records
from e4.c2.remote._transport import Transport

__all__ = ["Remote"]


class Remote(Fleet, Records):
    """A key server, reached over HTTPS. Use it in a ``with`` statement, or `close` it.

    A client is named by its name; one that was registered by its id alone, by that id: 16 bytes, or in hex.
    Methods that give an iterator ask for one page after the other as they are read. Values are those of
    `e4.c2.model`; their `row` is 0.

    Every method raises what the server answers: `NotFound`, `InvalidRequest` (or the `InvalidInput` that says
    more), `FailedPrecondition`, `Conflict`, `Unauthenticated`, `PermissionDenied`, `TooManyAttempts`; and
    `Unavailable` where it does not answer. Requests are sent again after a lost connection, changes too: each
    carries an idempotency key.

    Args:
        url: such as ``https://127.0.0.1:8888``; ``http://`` only on this machine.
        token: secret of a token; None for a server without authentication.
        ca: PEM file with the server's certificate, or that of its authority; the system's if not given.
        certificate: PEM file with a client certificate, for a server that asks for one.
        key: PEM file with its private key; may be in `certificate`.
        timeout: seconds that a connection, or an answer, may take.
        retries: how often a request is sent again.

    Raises:
        InvalidInput: the address, the token or a file is not valid.
    """

    def __init__(
        self,
        url: str = "https://127.0.0.1:8888",
        token: str | None = None,
        *,
        ca: str | os.PathLike[str] | None = None,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        timeout: float = 30,
        retries: int = 3,
    ) -> None:
        self._transport = Transport(
            url, token, ca=ca, certificate=certificate, key=key, timeout=timeout, retries=retries
        )

    def __repr__(self) -> str:
        return f"Remote({self._transport.url!r})"

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
