"""The application: routers, errors, and the OpenAPI description."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from e4.c2.api.feed import Feed
from e4.c2.api.http.v1 import clients, events, keys, records, topics, transfer
from e4.c2.api.http.v1.gate import Gate
from e4.c2.api.http.v1.models import Problem
from e4.c2.api.http.v1.problems import on_error, on_http_error, on_invalid
from e4.c2.auth import Authenticator
from e4.c2.service import Service
from e4.errors import E4Error

__all__ = ["make_v1"]

_TEXT = """\
The key server of e4: it holds the keys of clients and topics, and sends clients their commands over MQTT.

Names are one segment of a path each: `/` in them is written `%2F`. A client that was registered by its id
alone has that id in hex as its name. Keys are only ever accepted, never given back. What an operation sends
to clients is queued with it, and leaves when the broker is there.

Lists come in pages: `next` is the `cursor` of the following one. A change with an `Idempotency-Key` can be
sent again: it is done once, and answered as at first, with `Idempotent-Replayed: true`. Members and
parameters that are not known are refused. Errors are problem details (RFC 9457), with the error's name as
`code`.
"""

_SUCCESS = {"204": "Done."}
_HEADERS = {
    "X-Request-Id": {
        "description": "under which the log and the audit have this request",
        "schema": {"type": "string"},
    }
}


def make_v1(service: Service, authenticator: Authenticator, feed: Feed) -> Gate:
    """The route to the resource API: everything below /api/v1/.

    Args:
        service: does the operations.
        authenticator: tells who calls.
        feed: of the events.
    """
    # Without a page of documentation: the usual ones load their scripts from elsewhere.
    app = FastAPI(
        title="e4 C2",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for module in (clients, topics, keys, records, events, transfer):
        app.include_router(module.router)
    app.add_exception_handler(E4Error, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_error)
    app.openapi = lambda: _description(app, authenticator.required)  # type: ignore[method-assign]
    return Gate(app, service, authenticator, feed)


def _description(app: FastAPI, token_needed: bool) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title="e4 C2",
            version=importlib.metadata.version("e4"),
            description=_TEXT,
            routes=app.routes,
            servers=[{"url": "/api/v1"}],
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        bearer = {"type": "http", "scheme": "bearer", "description": "secret of a token"}
        components = schema["components"]
        components["securitySchemes"] = {"bearer": bearer}
        schema["security"] = [{"bearer": []}] if token_needed else [{}, {"bearer": []}]
        for name in ("HTTPValidationError", "ValidationError"):  # of answers that are FastAPI's, and not ours
            components["schemas"].pop(name, None)
        components["schemas"]["Problem"] = Problem.model_json_schema(mode="serialization")
        for path in schema["paths"].values():
            for operation in path.values():
                _complete(operation["responses"])
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(responses: dict[str, Any]) -> None:
    """Leave out the status that FastAPI adds, and say what all answers have."""
    responses.pop("422", None)
    for status, response in responses.items():
        response["description"] = _SUCCESS.get(status, response["description"])
        response["headers"] = _HEADERS
