"""Following the server's events: a stream that is taken up again where it broke off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

from e4.c2.jsonform import from_json
from e4.c2.model import Event, EventKind
from e4.c2.remote._transport import Transport, pause
from e4.errors import Unavailable

__all__ = ["follow"]

_SILENCE = 45.0  # seconds; the server says something at least every 15


def follow(transport: Transport, after: int | None, kinds: Sequence[EventKind]) -> Iterator[Event]:
    """Events as they happen; see `Remote.events`."""
    last = after
    failures = 0
    met = False
    while True:
        try:
            for number, event in _stream(transport, last, kinds):
                last, failures, met = number, 0, True
                if event is not None:
                    yield event
        except Unavailable:
            if not met:
                raise
        time.sleep(pause(failures))
        failures += 1


def _stream(
    transport: Transport, after: int | None, kinds: Sequence[EventKind]
) -> Iterator[tuple[int, Event | None]]:
    """Numbers and events of one connection. An event that is not known here is given as its number alone."""
    headers = {"accept": "text/event-stream"}
    if after is not None:
        headers["last-event-id"] = str(after)
    query = {"kind": [kind.value for kind in kinds] or None}
    with transport.stream("GET", "events", query=query, headers=headers, silence=_SILENCE) as answer:
        number, data = after, ""
        for line in transport.lines(answer):
            name, _, value = line.partition(":")
            if name == "id":
                number = int(value)
            elif name == "data":
                data = value
            elif not line and number is not None:
                yield number, _event(data)
                data = ""


def _event(data: str) -> Event | None:
    try:
        return from_json(Event, json.loads(data))
    except ValueError:
        return None  # the first block, which only tells a number; or a kind that a newer server knows
