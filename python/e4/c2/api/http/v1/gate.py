"""What happens to every request under /api/v1 before it is read: who calls, and how much may come.

Plain ASGI around the application, because a body can be a stream of any length, and because nothing of a
request is worth reading before it is known who sends it.
"""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from e4.c2.api.access import admit
from e4.c2.api.errors import INTERNAL, TOO_LARGE, answer_to
from e4.c2.api.feed import Feed
from e4.c2.api.http.v1.calls import Caller
from e4.c2.api.http.v1.problems import problem_response, request_id_of
from e4.c2.auth import Authenticator
from e4.c2.service import Service
from e4.errors import E4Error

__all__ = ["BODY_MAX", "Gate"]

BODY_MAX = 8 << 20  # bytes; what is imported has no such limit

_OPEN = "/openapi.json"  # the description is no secret
_IMPORTS = "/import/"

_logger = logging.getLogger("e4.c2.api")


class Gate:
    """Admits requests to the application of this package.

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Routes are matched on the path as it was sent, where a slash within a name is still %2F.
        scope = dict(scope, path=scope["raw_path"].decode("ascii", "replace"))
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        request_id = request_id_of(scope)
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if path != _OPEN:
                scope["e4.caller"] = await self._admit(scope, request_id)
                if not path.startswith(_IMPORTS):
                    receive = _limited(scope, receive)
            await self._app(scope, receive, noting_send)
        except E4Error as error:
            await problem_response(answer_to(error), request_id)(scope, receive, send)
        except HTTPException:
            await problem_response(TOO_LARGE, request_id)(scope, receive, send)
        except Exception:
            # What the framework raises again after it has answered ends here: the log has it once.
            _logger.exception("internal error in %s", scope["method"])
            if not started:
                await problem_response(INTERNAL, request_id)(scope, receive, send)

    async def _admit(self, scope: Scope, request_id: str) -> Caller:
        header = Headers(scope=scope).get("authorization")
        peer = scope["client"][0] if scope.get("client") else ""
        call = await run_in_threadpool(admit, self._authenticator, header, peer, request_id)
        return Caller(self._service, self._feed, call)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, up to `BODY_MAX`. Raises a 413 beyond it, and at once where the length is announced."""
    length = Headers(scope=scope).get("content-length", "")
    if length.isdecimal() and int(length) > BODY_MAX:
        raise HTTPException(TOO_LARGE.http)
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY_MAX:
            raise HTTPException(TOO_LARGE.http)
        return message

    return limited
