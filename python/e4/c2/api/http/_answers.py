"""What requests have in common: where they come from, their bodies, and how errors are answered."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from e4.c2.api.errors import MAX_REQUEST, TOO_LARGE, Answer, logged_answer

__all__ = ["TooLarge", "address", "body_of", "error_response", "refused"]

_UNAUTHENTICATED = 401
_DISCARDED = 8 * MAX_REQUEST  # read to its end up to here: who is still sending does not read the answer


class TooLarge(Exception):
    """A body of more than `MAX_REQUEST` bytes."""


def address(request: Request) -> str:
    """The caller's address, without the port."""
    return request.client.host if request.client else ""


async def body_of(request: Request) -> bytes:
    """The body of a request.

    Raises:
        TooLarge: it is.
    """
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _DISCARDED:
            raise TooLarge
        if size <= MAX_REQUEST:
            body += chunk
    if size > MAX_REQUEST:
        raise TooLarge
    return bytes(body)


def refused(request: Request, error: Exception) -> Response:
    """The answer to an error; one that was not foreseen goes to the log, and not to the caller."""
    if isinstance(error, TooLarge):
        return error_response(request, TOO_LARGE, {"Connection": "close"})
    if isinstance(error, ClientDisconnect):
        request.state.outcome = "Cancelled"
        return Response()  # nobody is there to read it
    return error_response(request, logged_answer(error, getattr(request.state, "operation", "request")))


def error_response(request: Request, answer: Answer, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the deployed form."""
    request.state.outcome = answer.code
    body = {"error": answer.text, "code": answer.grpc, "message": answer.text, "details": []}
    response = JSONResponse(body, answer.http, headers)
    if answer.http == _UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="e4"'
    return response
