"""What happens to every request under /api/v1 before it is read: who calls, and how much may come.

Plain ASGI around the application, because a body can be a stream of any length, and because nothing of a
request is worth reading before it is known who sends it.
"""

from __future__ import annotations

from functools import partial

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from e4.c2.api.access import admit
from e4.c2.api.errors import MAX_REQUEST, TOO_LARGE, answer_to
from e4.c2.api.feed import Feed
from e4.c2.api.http.v1.calls import Caller
from e4.c2.api.http.v1.problems import problem_response
from e4.c2.auth import Authenticator
from e4.c2.service import Service
from e4.errors import E4Error

__all__ = ["Gate"]

_PREFIX = b"/api/v1"
_OPEN = "/openapi.json"  # the description is no secret
_IMPORTS = "/import/"  # their bodies are streams of any length
_IMPORTS_AT_ONCE = 4  # each keeps a thread; more wait


class Gate(BaseRoute):
    """Admits requests to the application of this package: a route for all paths below ``/api/v1/``.

    Args:
        app: the application.
        service: what its operations call.
        authenticator: tells who calls.
        feed: of the events.
    """

    def __init__(self, app: ASGIApp, service: Service, authenticator: Authenticator, feed: Feed) -> None:
        self._app = app
        self._service = service
        self._authenticator = authenticator
        self._feed = feed
        self._imports = CapacityLimiter(_IMPORTS_AT_ONCE)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette asks whether this is for us. By the path as it was sent: names may hold anything."""
        ours = scope["type"] == "http" and scope["raw_path"].startswith(_PREFIX + b"/")
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request, or answer why not."""
        # Below this, too, paths are matched as they were sent: a slash within a name is still %2F.
        scope["root_path"] = _PREFIX.decode()
        scope["path"] = scope["raw_path"].decode("ascii", "replace")
        path = scope["path"].removeprefix(scope["root_path"])
        if path != _OPEN:
            try:
                scope["e4.caller"] = await self._admit(scope)
            except E4Error as error:
                await problem_response(scope, answer_to(error))(scope, receive, send)
                return
            if not path.startswith(_IMPORTS):
                receive = _limited(scope, receive)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Caller:
        header = Headers(scope=scope).get("authorization")
        peer = scope["client"][0] if scope.get("client") else ""
        again = partial(admit, self._authenticator, header, peer, scope["state"]["request_id"])
        return Caller(self._service, self._feed, await run_in_threadpool(again), again, self._imports)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, up to `MAX_REQUEST`. Raises a 413 beyond it, at once where the length is announced."""
    length = Headers(scope=scope).get("content-length", "")
    size = int(length) if length.isdecimal() and int(length) > MAX_REQUEST else 0

    async def limited() -> Message:
        nonlocal size
        message = {} if size > MAX_REQUEST else await receive()
        size += len(message.get("body", b""))
        if size > MAX_REQUEST:
            raise HTTPException(TOO_LARGE.http, headers={"connection": "close"})
        return message

    return limited
