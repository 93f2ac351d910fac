"""What every operation is given: the service, who calls, and the page or the names that the path says.

Who calls is found out by the `gate` before anything of a request is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes

from anyio import CapacityLimiter
from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, WithJsonSchema

from e4.c2.api.feed import Feed
from e4.c2.jsonform import to_json
from e4.c2.model import Call, Page
from e4.c2.service import Replayed, Service
from e4.errors import InvalidRequest

__all__ = [
    "Caller",
    "Changing",
    "Cursor",
    "Limit",
    "Number",
    "PathName",
    "Prefix",
    "Reading",
    "encoded",
    "json_response",
    "listed",
    "page_of",
    "shown",
]

T = TypeVar("T")

_NAME_MAX = 65535  # bytes of a topic's name; a client's is shorter, and checked by the service
_KEY_MAX = 255
_SHOWN = 100  # characters of what was given in an error
_NUMBER_MAX = (1 << 63) - 1


def _decoded(text: object) -> str:
    # The path comes as it was sent: a slash within a name is %2F, and still is here.
    try:
        return unquote_to_bytes(str(text)).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("must be percent-encoded UTF-8") from None


PathName = Annotated[
    str,
    Path(description="One segment: `/` is written `%2F`."),
    BeforeValidator(_decoded),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": _NAME_MAX}),
]
Number = Annotated[int, Path(ge=1, le=_NUMBER_MAX)]
Limit = Annotated[int, Query(ge=1, le=1000, description="items of a page, at most")]
Cursor = Annotated[
    str | None, Query(max_length=1 << 17, description="`next` of the page before; the first page without it")
]
Prefix = Annotated[str, Query(max_length=_NAME_MAX, description="only names that begin so")]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what there is to be called.

    Args:
        admit: finds out again who calls, for what goes on for long. Takes time: not for the event loop.
        imports: how many may be carried out at once.
    """

    service: Service
    feed: Feed
    call: Call
    admit: Callable[[], Call]
    imports: CapacityLimiter

    def change(
        self,
        operation: Callable[[Call], T],
        status: int = 204,
        body: Callable[[T], Any] | None = None,
    ) -> Response:
        """Do something, once for each idempotency key, and answer.

        Args:
            operation: of the service.
            body: of the answer, from what the operation returned; none if not given.

        Returns:
            The answer; the first one again where the key was used before.
        """
        return self.change_with(operation, lambda result: (status, None if body is None else body(result)))

    def change_with(self, operation: Callable[[Call], T], answer: Callable[[T], tuple[int, Any]]) -> Response:
        """As `change`, for operations whose status depends on what they found."""

        def render(result: T) -> tuple[int, bytes]:
            status, body = answer(result)
            return status, b"" if body is None else encoded(body)

        call = self.call if self.call.idempotency_key is None else replace(self.call, render=render)
        try:
            return json_response(*render(operation(call)))
        except Replayed as before:
            response = json_response(before.status, before.response)
            response.headers["idempotent-replayed"] = "true"
            return response


def encoded(value: Any) -> bytes:
    """JSON as bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_response(status: int, body: bytes) -> Response:
    """An answer with that JSON, or without a body."""
    if not body:
        return Response(status_code=status)
    return Response(body, status, media_type="application/json")


def shown(value: Any, status: int = 200) -> Response:
    """A value of the model as the answer."""
    return json_response(status, encoded(to_json(value)))


def listed(values: Sequence[Any]) -> dict[str, Any]:
    """Values of the model, in the order in which they were asked for."""
    return {"items": [to_json(value) for value in values]}


def page_of(page: Page[Any]) -> Response:
    """A page as the answer."""
    return json_response(200, encoded(to_json(page)))


async def _reading(request: Request) -> Caller:
    route: APIRoute = request.scope["route"]
    unknown = request.query_params.keys() - {parameter.alias for parameter in route.dependant.query_params}
    if unknown:  # a filter that is misspelt would give too much
        raise InvalidRequest(f"{min(unknown)[:_SHOWN]!r} is no parameter of this operation")
    caller: Caller = request.scope["e4.caller"]
    return caller


async def _changing(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=_KEY_MAX,
            pattern=r"^[!-~]+$",
            description="A second request with the same key and content has no second effect, and gets "
            "the same answer.",
        ),
    ] = None,
) -> Caller:
    caller = await _reading(request)
    if key is None:
        return caller
    hashed = hashlib.sha256()
    for part in (request.method.encode(), request.scope["raw_path"], request.scope["query_string"]):
        hashed.update(len(part).to_bytes(8, "big") + part)
    hashed.update(await request.body())
    return replace(caller, call=replace(caller.call, idempotency_key=key, fingerprint=hashed.digest()))


Reading = Annotated[Caller, Depends(_reading)]
Changing = Annotated[Caller, Depends(_changing)]
