"""The HTTP application: the deployed interface, the resource API, and what monitors ask.

::

    deployed            everything under /e4/: the deployed interface
    v1                  the resource API under /api/v1
    _paths              the deployed verbs and paths
    _answers _requests  bodies, errors, request ids: what all of it has in common
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from e4.c2.api import access
from e4.c2.api.errors import NOT_FOUND, NOT_IMPLEMENTED
from e4.c2.api.feed import Feed
from e4.c2.api.http._answers import address, error_response, refused
from e4.c2.api.http._requests import Requests
from e4.c2.api.http.deployed import Deployed
from e4.c2.api.http.v1 import make_v1
from e4.c2.auth import Authenticator, require
from e4.c2.model import Right
from e4.c2.service import Service

if TYPE_CHECKING:
    from e4.c2.metrics import Health, Metrics

__all__ = ["make_app"]


def make_app(
    service: Service, authenticator: Authenticator, feed: Feed, *, health: Health, metrics: Metrics
) -> Starlette:
    """The ASGI application of one key server.

    Args:
        service: does the operations.
        authenticator: tells who calls.
        feed: for those who follow the events; the caller closes it.
        health: for ``/healthz`` and ``/readyz``, which need no credentials.
        metrics: count the requests; for ``/metrics``, which needs the right to view.
    """

    async def alive(request: Request) -> Response:
        return JSONResponse(health.alive())

    async def ready(request: Request) -> Response:
        good, report = await run_in_threadpool(health.ready)
        return JSONResponse(report, 200 if good else 503)

    async def measured(request: Request) -> Response:
        header = request.headers.get("authorization")
        try:
            call = await run_in_threadpool(
                access.admit, authenticator, header, address(request), request.state.request_id
            )
            require(call.actor, Right.VIEW)
        except Exception as error:
            return refused(request, error)
        content, media_type = await run_in_threadpool(metrics.render)
        return Response(content, media_type=media_type)

    app = Starlette(
        routes=[
            Deployed(service, authenticator),
            make_v1(service, authenticator, feed),
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", measured),
        ],
        middleware=[Middleware(Requests, metrics=metrics)],
        exception_handlers={
            404: lambda request, _: error_response(request, NOT_FOUND),
            405: lambda request, error: error_response(request, NOT_IMPLEMENTED, error.headers),
        },
    )
    app.router.redirect_slashes = False
    return app
