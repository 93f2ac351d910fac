"""Imports and exports: streams of any length, in constant memory.

An import is carried out by a thread that pulls the body piece by piece, while its reports are sent. Reports
that nobody reads are merged, so that the server never waits for a caller who sends all before reading.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from e4.c2.api.errors import answer_to
from e4.c2.api.http.v1.calls import Caller, Reading, encoded
from e4.c2.api.http.v1.problems import answers, problem, problem_response
from e4.c2.api.http.v1.rows import CSV, JSON_LINES, client_rows, membership_rows
from e4.c2.jsonform import to_json
from e4.c2.model import ImportProgress
from e4.errors import E4Error

__all__ = ["router"]

router = APIRouter(tags=["import and export"])

_ERRORS_MAX = 10_000  # refused rows that are told of between two reports; more are only counted
_BLOCK = 1 << 16  # bytes of an export that are sent at once

_Run = Callable[[Iterable[bytes]], Iterator[ImportProgress]]


def _described(example_csv: str, example_json: str) -> dict[str, Any]:
    """The body of an import and its answer, for the OpenAPI description."""

    def text(example: str) -> dict[str, Any]:
        return {"schema": {"type": "string"}, "example": example}

    return {
        "requestBody": {"required": True, "content": {CSV: text(example_csv), JSON_LINES: text(example_json)}}
    }


_LINES = {
    200: {
        "description": "Reports as JSON lines, each with the counts so far; the last has those of the whole. "
        "Where the import ends early, the last line is a problem; what was reported before is done.",
        "content": {
            JSON_LINES: {
                "schema": {"type": "string"},
                "example": '{"done":2,"created":1,"replaced":0,"unchanged":0,"refused":1,'
                '"errors":[{"line":3,"error":"key must be 32 bytes in base64 or hex"}]}\n',
            }
        },
    }
}


@router.post(
    "/import/clients",
    response_class=Response,
    responses=answers(415, success=_LINES),
    openapi_extra=_described(
        "name,key\nsensor-1,X9KAyX5BLJ+ITeGzUNUcqYFgMkjgqfoMAzGdZi4yMDA=\n",
        '{"name":"sensor-1","key":"X9KAyX5BLJ+ITeGzUNUcqYFgMkjgqfoMAzGdZi4yMDA="}\n',
    ),
)
async def import_clients(request: Request, caller: Reading) -> Response:
    """Register any number of clients; rows that are refused are reported, and the others go on.

    CSV with a first line that names the columns `name` (or `id`, in hex) and `key` (base64 or hex), or JSON
    lines with these members. The same row again changes nothing, so an import can be sent again as a whole.
    """
    media_type = _media_type(request)
    run = caller.service.clients.import_clients
    return _Importing(caller.imports, lambda chunks: run(caller.call, client_rows(chunks, media_type)))


@router.post(
    "/import/memberships",
    response_class=Response,
    responses=answers(415, success=_LINES),
    openapi_extra=_described(
        "client,topic\nsensor-1,plant/boiler/temperature\n",
        '{"client":"sensor-1","topic":"plant/boiler/temperature"}\n',
    ),
)
async def import_memberships(request: Request, caller: Reading) -> Response:
    """Give any number of clients topics' keys. CSV columns, or JSON members: `client`, `topic`."""
    media_type = _media_type(request)
    run = caller.service.members.import_memberships
    return _Importing(caller.imports, lambda chunks: run(caller.call, membership_rows(chunks, media_type)))


@router.get(
    "/export",
    responses={
        200: {
            "description": 'JSON lines: `{"topic": …}` for each topic, then `{"client": …}` for each client.',
            "content": {JSON_LINES: {"schema": {"type": "string"}}},
        },
        **answers(),
    },
    response_class=StreamingResponse,
)
def export(caller: Reading) -> Response:
    """Everything but the keys: topics, and clients with their memberships and links."""
    blocks = _blocks(_exported(caller))
    first = next(blocks, b"")  # whoever may not see it is told before the answer begins
    return StreamingResponse(_from(first, blocks), media_type=JSON_LINES)


def _exported(caller: Caller) -> Iterator[bytes]:
    clients = caller.service.clients.export_clients(caller.call)
    cursor = None
    while True:
        page = caller.service.topics.page_topics(caller.call, cursor, 1000)
        yield from (encoded({"topic": to_json(topic)}) for topic in page.items)
        if (cursor := page.next) is None:
            break
    yield from (encoded({"client": to_json(client)}) for client in clients)


def _blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    block: list[bytes] = []
    size = 0
    for line in lines:
        block += (line, b"\n")
        size += len(line)
        if size >= _BLOCK:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)


def _from(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _media_type(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (CSV, JSON_LINES):
        raise HTTPException(415, f"the body must be {CSV} or {JSON_LINES}")
    return media_type


class _Gone(Exception):
    """The caller has gone away in the middle of the body."""


class _Importing(Response):
    """The answer to an import: carries it out as it is sent."""

    def __init__(self, limiter: CapacityLimiter, run: _Run) -> None:
        super().__init__(media_type=JSON_LINES)
        self._limiter = limiter
        self._run = run
        self._pending: ImportProgress | None = None
        self._news = asyncio.Event()
        self._piece: concurrent.futures.Future[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        work = loop.create_task(
            anyio.to_thread.run_sync(partial(self._work, loop, receive), limiter=self._limiter)
        )
        work.add_done_callback(lambda _: self._news.set())
        started = False
        try:
            while not work.done() or self._pending:
                await self._news.wait()
                self._news.clear()
                if self._pending is not None:
                    report, self._pending = self._pending, None
                    if not started:
                        await send(self._start())
                        started = True
                    await send(_line(to_json(report)))
            await self._end(scope, receive, send, work.exception(), started)
        finally:
            if self._piece is not None:
                self._piece.cancel()  # the thread, if it still is there, waits for this

    async def _end(
        self, scope: Scope, receive: Receive, send: Send, error: BaseException | None, started: bool
    ) -> None:
        if isinstance(error, _Gone):
            scope["state"]["outcome"] = "Cancelled"
            return
        if error is not None and not started:
            if not isinstance(error, E4Error):
                raise error
            await problem_response(scope, answer_to(error))(scope, receive, send)
            return
        if not started:
            await send(self._start())
            await send(_line(to_json(ImportProgress())))
        if error is not None:
            answer = answer_to(error)
            scope["state"]["outcome"] = answer.code
            await send(_line(problem(answer, scope["state"]["request_id"])))
        await send({"type": "http.response.body", "body": b""})
        if error is not None and not isinstance(error, E4Error):
            raise error  # for the log

    def _start(self) -> dict[str, Any]:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        return {"type": "http.response.start", "status": 200, "headers": headers}

    def _work(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> None:
        """In a thread: do it all."""
        for report in self._run(self._chunks(loop, receive)):
            loop.call_soon_threadsafe(self._report, report)

    def _chunks(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> Iterator[bytes]:
        """In that thread: the body as it comes."""
        while True:
            self._piece = asyncio.run_coroutine_threadsafe(_received(receive), loop)
            try:
                message = self._piece.result()
            except concurrent.futures.CancelledError:
                raise _Gone from None
            if message["type"] == "http.disconnect":
                raise _Gone
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return

    def _report(self, report: ImportProgress) -> None:
        before = self._pending.errors if self._pending else ()
        self._pending = replace(report, errors=(before + report.errors)[:_ERRORS_MAX])
        self._news.set()


async def _received(receive: Receive) -> Any:
    return await receive()


def _line(value: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": encoded(value) + b"\n", "more_body": True}
