"""The deployed HTTP interface: the calls of the gRPC interface, as JSON over HTTP.

A request becomes the call's message, the answer's message becomes JSON; both interfaces do the same then.
The ``Content-Type`` of a request is ignored, and so are members and parameters that are not known; of a
parameter given twice the first counts. A path that there is, with a verb that it has not, is answered 405
with gRPC's UNIMPLEMENTED in the body (the deployed server: 501). HEAD is answered as GET.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from e4.c2.api import access
from e4.c2.api.errors import NOT_FOUND, NOT_IMPLEMENTED
from e4.c2.api.grpc import protojson
from e4.c2.api.grpc.operations import OPERATIONS
from e4.c2.api.http._answers import address, body_of, error_response, refused
from e4.c2.api.http._paths import Rule, find, split
from e4.c2.auth import Authenticator
from e4.c2.service import Service

__all__ = ["Deployed"]

_PREFIX = b"/e4/"
_PAGE = ("offset", "count")


class Deployed(BaseRoute):
    """Answers everything under ``/e4/``.

    Args:
        service: does the operations.
        authenticator: tells who calls.
    """

    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._service = service
        self._authenticator = authenticator

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette asks whether this is for us."""
        ours = scope["type"] == "http" and scope["raw_path"].startswith(_PREFIX)
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Exception as error:
            response = refused(request, error)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        verb = "GET" if request.method == "HEAD" else request.method
        found = find(verb, split(request.scope["raw_path"]))
        if isinstance(found, set):
            if not found:
                return error_response(request, NOT_FOUND)
            return error_response(request, NOT_IMPLEMENTED, {"Allow": ", ".join(sorted(found))})
        rule, fields = found
        request.state.operation = rule.call
        body = await body_of(request) if rule.body else b""
        content = await run_in_threadpool(self._call, request, rule, fields, body)
        return Response(content, media_type="application/json")

    def _call(self, request: Request, rule: Rule, fields: dict[str, str], body: bytes) -> bytes:
        header = request.headers.get("authorization")
        call = access.admit(self._authenticator, header, address(request), request.state.request_id)
        operation = OPERATIONS[rule.call]
        message = operation.request()
        if rule.body:
            protojson.fill(message, protojson.parse(body))
        else:
            query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            given = {name: text for name, text in reversed(query) if name in _PAGE}  # the first of several
            for name in given.keys() & message.DESCRIPTOR.fields_by_name.keys():
                protojson.set_text(message, name, given[name])
        for name, text in fields.items():
            protojson.set_text(message, name, text)
        return protojson.render(operation(self._service, call, message))
