"""Around every request: its id, its place in the metrics, and what nothing else has caught."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from e4.c2.api import access
from e4.c2.api.http._answers import address, refused

if TYPE_CHECKING:
    from e4.c2.metrics import Metrics

__all__ = ["Requests"]


_MONITORING = frozenset({"alive", "ready", "measured"})


class Requests:
    """ASGI middleware. Gives each request ``state.request_id``, which the answer has as ``X-Request-Id``.

    What answers may set ``state.operation`` (the endpoint's name if not) and ``state.outcome`` (an error's
    name; the status if not) for the metrics.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = access.request_number(Headers(scope=scope).get(access.REQUEST_ID))
        state["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[access.REQUEST_ID] = request_id
            await send(message)

        start = time.perf_counter()
        with access.request_log(request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:
                response = refused(Request(scope), error)
                if not status:
                    await response(scope, receive, answer)
            finally:
                outcome = state.get("outcome") or _outcome(status)
                operation, seconds = _operation(scope), time.perf_counter() - start
                self._metrics.request("http", operation, outcome, seconds)
                level = logging.DEBUG if operation in _MONITORING else logging.INFO
                access.log_request("http", operation, outcome, seconds, address(Request(scope)), level=level)


def _outcome(status: int) -> str:
    if not status:
        return "Cancelled"
    return "ok" if status < 400 else str(status)


def _operation(scope: Scope) -> str:
    """Never what was asked for: the operation's name, or the endpoint's."""
    named = scope["state"].get("operation")
    return str(named or getattr(scope.get("endpoint"), "__name__", "unknown"))
