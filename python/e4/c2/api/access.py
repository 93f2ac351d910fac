"""What every interface does before it calls the service: who calls, from where, and the request's id.

The id is in the answer, in the audit and, by a context variable, in every line that the request logs.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from e4.c2.auth import Authenticator
from e4.c2.model import Call

__all__ = ["REQUEST_ID", "admit", "bearer", "log_request", "request_log", "request_number"]

REQUEST_ID = "x-request-id"  # the HTTP header, and the gRPC metadata

_logger = logging.getLogger("e4.c2.access")
_caller: ContextVar[list[str]] = ContextVar(
    "caller"
)  # a list: what a thread's copy of the context adds is seen
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_number(given: str | None) -> str:
    """The id of a request: the caller's own if it is short and plain, a random one otherwise."""
    return given if given and _SANE.fullmatch(given) else secrets.token_hex(8)


@contextmanager
def request_log(request_id: str) -> Iterator[None]:
    """Put the request's id into everything logged meanwhile."""
    token = _caller.set([])
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield
    finally:
        _caller.reset(token)


def log_request(
    api: str, operation: str, outcome: str, seconds: float, peer: str, *, level: int = logging.INFO
) -> None:
    """Log that a request has ended; called within its `request_log`. Nothing of what was asked for is told.

    Args:
        api: ``http`` or ``grpc``.
        operation: its name.
        outcome: ``ok``, or the name of the error.
        seconds: how long it took.
        peer: the address it came from.
        level: of the line.
    """
    members = {
        "api": api,
        "operation": operation,
        "outcome": outcome,
        "duration_ms": round(1000 * seconds, 1),
        "actor": next(iter(_caller.get([])), ""),
        "peer": peer,
    }
    _logger.log(level, "request", extra=members)


def bearer(header: str | None) -> str | None:
    """The token of an ``Authorization`` header: None without a header, empty if malformed: no token."""
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def admit(authenticator: Authenticator, header: str | None, peer: str, request_id: str) -> Call:
    """The call of whoever presents that ``Authorization`` header from that address.

    Looks into the database: not for the event loop's thread.

    Raises:
        Unauthenticated: no credentials where they are required, or bad ones.
        TooManyAttempts: too many bad ones came from that address.
    """
    actor = authenticator.actor_of(bearer(header), peer, request_id)
    _caller.get([]).append(actor.name)
    return Call(actor, request_id, peer)
