"""Events, as a stream that can be taken up again, and as pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from e4.c2.api.http.v1 import events
from e4.c2.model import Role
from tests._keyserver import Keyserver, Serving, serving
from tests.unit.c2.api.v1._ask import Ask

STREAM = {"accept": "text/event-stream"}


class Stream:
    """The blocks of a stream, one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        self._lines = answer.iter_lines()

    def block(self) -> dict[str, str]:
        """The fields of the next block; a comment's name is empty."""
        found = {}
        for line in self._lines:
            if not line:
                return found
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")
        pytest.fail("the stream ended")

    def drain(self) -> None:
        """Read on until it ends."""
        for _ in self._lines:
            pass

    def event(self) -> tuple[int, str, str]:
        block = self.block()
        event = json.loads(block["data"])
        assert event["number"] == int(block["id"])
        return event["number"], event["kind"], event["source"]


@contextmanager
def following(served: Serving, query: str = "", **headers: str) -> Iterator[Stream]:
    asked = STREAM | {name.replace("_", "-"): value for name, value in headers.items()}
    with (
        httpx.Client(timeout=60) as http,
        http.stream("GET", f"{served.url}/api/v1/events{query}", headers=asked) as answer,
    ):
        yield Stream(answer)


@pytest.fixture
def served(server: Keyserver) -> Iterator[Serving]:
    with serving(server) as running:
        yield running


def test_new_ones_as_they_happen(server: Keyserver, served: Serving) -> None:
    server.add_clients("before")
    with following(served) as stream:
        assert stream.block() == {"retry": "1000", "id": "1"}  # where the stream stands
        server.add_clients("a")
        assert stream.event() == (2, "client.created", "a")
        server.service.clients.remove_client(server.call, "a")
        assert stream.event() == (3, "client.removed", "a")


@pytest.mark.parametrize("how", ["?after=1", "last_event_id"])
def test_from_where_it_broke_off(server: Keyserver, served: Serving, how: str) -> None:
    server.add_clients("a", "b", "c")
    headers = {how: "1"} if how == "last_event_id" else {}
    with following(served, "" if headers else how, **headers) as stream:
        assert stream.block()["id"] == "1"
        assert [stream.event()[2] for _ in range(2)] == ["b", "c"]


def test_the_header_counts_more_than_the_address(server: Keyserver, served: Serving) -> None:
    """A browser that reconnects repeats the address that it was given at first."""
    server.add_clients("a", "b")
    with following(served, "?after=0", last_event_id="1") as stream:
        assert stream.block()["id"] == "1"
        assert stream.event()[2] == "b"


def test_only_some_kinds(server: Keyserver, served: Serving) -> None:
    with following(served, "?after=0&kind=topic.created&kind=client.removed") as stream:
        assert stream.block()["id"] == "0"
        server.add_clients("a")
        assert stream.block() == {"id": "1"}  # what is not wanted is passed over when the stream is resumed
        server.service.topics.new_topic(server.call, "t")
        assert stream.event() == (2, "topic.created", "t")


def test_many_events(server: Keyserver, served: Serving) -> None:
    server.service.clients.new_clients(server.call, [(f"c{n:04}", server.key()) for n in range(1200)])
    with following(served, "?after=0") as stream:
        stream.block()
        assert [stream.event()[0] for _ in range(1200)] == list(range(1, 1201))


def test_something_is_said_now_and_then(
    server: Keyserver, served: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_IDLE", 0.05)
    with following(served) as stream:
        stream.block()
        assert stream.block() == {"": "nothing new"}
        server.add_clients("a")
        while "data" not in (block := stream.block()):
            assert block == {"": "nothing new"}
        assert json.loads(block["data"])["source"] == "a"


def test_a_revoked_token_ends_its_stream(guarded: Keyserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_IDLE", 0.05)
    secret = guarded.token(Role.VIEWER, name="short")
    with serving(guarded) as served:
        with following(served, authorization=f"Bearer {secret}") as stream:
            stream.block()
            assert stream.block() == {"": "nothing new"}
            token = guarded.service.tokens.page_tokens(guarded.call).items[0]
            guarded.service.tokens.revoke_token(guarded.call, token.id)
            stream.drain()
        with httpx.Client() as http:
            answer = http.get(f"{served.url}/api/v1/events", headers=STREAM)
        assert answer.status_code == 401


def test_streams_end_with_the_server(server: Keyserver) -> None:
    with serving(server) as served, following(served) as stream:
        stream.block()
        served.loop.call_soon_threadsafe(server.feed.close)
        stream.drain()


async def test_pages(ask: Ask, server: Keyserver) -> None:
    server.add_clients(*"abcdefg")
    server.service.topics.new_topic(server.call, "t")
    first = await ask.get("events", limit=3)
    assert [event["source"] for event in first["items"]] == ["a", "b", "c"]
    assert first["items"][0]["kind"] == "client.created"
    second = await ask.get("events", limit=3, cursor=first["next"])
    assert [event["source"] for event in second["items"]] == ["d", "e", "f"]
    rest = await ask.get("events", after=6)
    assert ([event["source"] for event in rest["items"]], rest["next"]) == (["g", "t"], None)


async def test_pages_of_some_kinds(ask: Ask, server: Keyserver) -> None:
    server.add_clients(*"abc")
    server.service.topics.new_topic(server.call, "t")
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ask.get("events", kind="topic.created", limit=2, **cursor)
        found += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [event["source"] for event in found] == ["t"]


async def test_what_is_refused(ask: Ask) -> None:
    for query in ("kind=nothing", "after=-1", "after=x", f"after={1 << 63}", "cursor=x", f"cursor={1 << 63}"):
        await ask.refused("InvalidRequest", 400, "GET", f"events?{query}")
    for number in ("x", "-1", ""):
        headers = STREAM | {"last-event-id": number}
        await ask.refused("InvalidRequest", 400, "GET", "events", headers=headers)
