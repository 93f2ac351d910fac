"""Errors as answers: problem details (RFC 9457) with the error's name and the request's id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from e4.c2.api.errors import INTERNAL, NOT_FOUND, NOT_IMPLEMENTED, TOO_LARGE, Answer, answer_to
from e4.errors import E4Error, InvalidRequest

__all__ = ["answers", "describe", "on_error", "on_http_error", "on_invalid", "problem", "problem_response"]

_TYPE = "application/problem+json"
_LONGEST_FIELD = 100  # characters of a member's name in an error's text
_FIELDS = 3  # at most so many wrong members are told

_MEANING = {
    400: "The request is not valid, or not possible in this mode; `code` says which.",
    401: "Credentials are missing or not valid.",
    403: "The token does not allow this.",
    404: "What the request is about is not there.",
    405: "This path has no such method.",
    409: "It exists already, or the idempotency key was used for another request.",
    413: "The request is too large.",
    415: "The body is of another type than this path reads.",
    429: "Too many wrong credentials came from this address.",
    500: "Something unforeseen; the log has it under the request's id.",
    503: "The server is stopping, or its database is away.",
}
_ALWAYS = (400, 401, 403, 413, 429, 500, 503)


def answers(
    *statuses: int, success: Mapping[int, dict[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """What an operation may answer, for the OpenAPI description.

    Args:
        statuses: of errors, besides those that every operation has.
        success: other answers, if there are more than the usual one.
    """
    described: dict[int | str, dict[str, Any]] = dict((success or {}).items())
    for status in sorted({*_ALWAYS, *statuses}):
        content = {_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        described[status] = {"description": _MEANING[status], "content": content}
    return described


def problem(answer: Answer, request_id: str) -> dict[str, Any]:
    """The members of a problem."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(answer.http).phrase,
        "status": answer.http,
        "detail": answer.text,
        "code": answer.code,
        "request_id": request_id,
    }


def problem_response(scope: Scope, answer: Answer) -> Response:
    """An error as the answer to a request."""
    state = scope["state"]
    state["outcome"] = answer.code  # for the metrics
    headers = {"content-type": _TYPE}
    if answer.http == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="e4"'
    if answer.http == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    body = json.dumps(problem(answer, state["request_id"]), ensure_ascii=False)
    return Response(body.encode("utf-8", "backslashreplace"), answer.http, headers)


def describe(errors: Sequence[Mapping[str, Any]]) -> Answer:
    """What is wrong with a body or a parameter: the place and the rule, never what was given."""
    known = next((e["ctx"]["error"] for e in errors if isinstance(_cause(e), E4Error)), None)
    told = [f"{_place(error)}: {_rule(error)}" for error in errors[:_FIELDS]]
    more = f"; and {len(errors) - _FIELDS} more" if len(errors) > _FIELDS else ""
    answer = answer_to(known or InvalidRequest())
    return answer._replace(text="; ".join(told) + more)


async def on_error(request: Request, error: Exception) -> Response:
    """For `E4Error`, and for whatever was not foreseen."""
    return problem_response(request.scope, answer_to(error))


async def on_invalid(request: Request, error: Exception) -> Response:
    """For a body or parameters that are not as described."""
    assert isinstance(error, RequestValidationError)
    return problem_response(request.scope, describe(error.errors()))


async def on_http_error(request: Request, error: Exception) -> Response:
    """For what the framework refuses by itself: a path, a method, a body that is too large."""
    assert isinstance(error, HTTPException)
    known = {404: NOT_FOUND, 405: NOT_IMPLEMENTED, 413: TOO_LARGE, 500: INTERNAL}
    answer = known.get(error.status_code) or Answer(3, error.status_code, "InvalidRequest", str(error.detail))
    response = problem_response(request.scope, answer)
    response.headers.update(error.headers or {})
    return response


def _cause(error: Mapping[str, Any]) -> Any:
    return error.get("ctx", {}).get("error")


def _place(error: Mapping[str, Any]) -> str:
    parts = [str(part) for part in error["loc"]]
    return ".".join(parts if len(parts) == 1 else parts[1:])[:_LONGEST_FIELD]


def _rule(error: Mapping[str, Any]) -> str:
    cause = _cause(error)
    if isinstance(cause, E4Error):
        return str(cause)
    if error["type"] == "json_invalid":
        return "not valid JSON"
    if tuple(error["loc"]) == ("body",):
        return "must be a JSON object, sent as Content-Type: application/json"
    return str(error["msg"])[:1].lower() + str(error["msg"])[1:]
