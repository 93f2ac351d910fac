"""Events: as a stream that can be taken up again (server-sent events), or as pages."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from e4.c2.api.http.v1.calls import Caller, Cursor, Limit, Reading, encoded, page_of
from e4.c2.api.http.v1.models import EventOut, PageOf
from e4.c2.api.http.v1.problems import answers
from e4.c2.jsonform import to_json
from e4.c2.model import Event, EventKind, Page
from e4.errors import E4Error, InvalidRequest

__all__ = ["router"]

router = APIRouter(tags=["events"])

_STREAM = "text/event-stream"
_IDLE = 15.0  # seconds without an event, after which a comment is sent
_BATCH = 500
_NUMBER_MAX = (1 << 63) - 1

_After = Annotated[
    int | None, Query(ge=0, le=_NUMBER_MAX, description="number of the last event that is known; 0 for all")
]
_LastEventId = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID", ge=0, le=_NUMBER_MAX, description="as `after`; sent by browsers that reconnect"
    ),
]
_Kinds = Annotated[list[EventKind], Query(alias="kind", description="only these; may be given several times")]


@router.get(
    "/events",
    response_model=PageOf[EventOut],
    responses={
        200: {
            "description": "A page, oldest event first; or a stream, where `Accept` asks for it.",
            "content": {
                _STREAM: {
                    "schema": {"type": "string"},
                    "example": 'id: 42\ndata: {"number":42,"kind":"client.created","source":"sensor-1",'
                    '"target":"","at":"2026-05-08T12:30:00.125Z"}\n\n',
                }
            },
        },
        **answers(),
    },
)
async def events(
    caller: Reading,
    limit: Limit = 100,
    cursor: Cursor = None,
    after: _After = None,
    kinds: _Kinds = [],  # noqa: B006  # FastAPI copies it
    last_event_id: _LastEventId = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Events with rising numbers, which are kept for a time.

    As a stream (`Accept: text/event-stream`) without end: from `Last-Event-ID` or `after` on, or else from
    now on. As pages: from `cursor` or `after` on, or else from the oldest. With `kind`, a page can be short
    or empty although more follow: `next` tells.
    """
    if _STREAM in accept:
        start = after if last_event_id is None else last_event_id
        if start is None:
            start = await run_in_threadpool(caller.service.events.last_event, caller.call)
        # Reads once before the answer begins, so that whoever may not is told by its status.
        await _read(caller, start)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(
            _stream(caller, start, frozenset(kinds)), media_type=_STREAM, headers=headers
        )
    return await run_in_threadpool(_page, caller, _number(cursor, after), limit, frozenset(kinds))


def _page(caller: Caller, after: int, limit: int, kinds: frozenset[EventKind]) -> Response:
    found = caller.service.events.read_events(caller.call, after, limit)
    following = str(found[-1].number) if len(found) == limit else None
    return page_of(Page(_of(kinds, found), following))


def _number(cursor: str | None, after: int | None) -> int:
    if cursor is None:
        return after or 0
    if not (cursor.isascii() and cursor.isdecimal()) or int(cursor) > _NUMBER_MAX:
        raise InvalidRequest("the cursor is not one that was given")
    return int(cursor)


async def _read(caller: Caller, after: int) -> Sequence[Event]:
    return await run_in_threadpool(caller.service.events.read_events, caller.call, after, _BATCH)


async def _stream(caller: Caller, after: int, kinds: frozenset[EventKind]) -> AsyncIterator[bytes]:
    """The stream. It begins with where it stands, so that also who has seen nothing can resume."""
    yield f"retry: 1000\nid: {after}\n\n".encode()
    checked = time.monotonic()
    following = caller.feed.follow(lambda number: _read(caller, number), after, _IDLE)
    try:
        async with aclosing(following) as batches:
            async for batch in batches:
                if time.monotonic() - checked >= _IDLE:
                    # Whoever was let in then may not be any more.
                    await run_in_threadpool(caller.admit)
                    checked = time.monotonic()
                yield _blocks(batch, kinds) or b": nothing new\n\n"
    except E4Error:
        return  # the server stops, or the token has ended: the caller connects again, and is told


def _blocks(batch: Sequence[Event], kinds: frozenset[EventKind]) -> bytes:
    wanted = _of(kinds, batch)
    blocks = [b"id: %d\ndata: %b\n\n" % (event.number, encoded(to_json(event))) for event in wanted]
    if batch and (not wanted or wanted[-1] is not batch[-1]):
        blocks.append(b"id: %d\n\n" % batch[-1].number)  # what is not wanted need not be read again
    return b"".join(blocks)


def _of(kinds: frozenset[EventKind], events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not kinds or event.kind in kinds]
