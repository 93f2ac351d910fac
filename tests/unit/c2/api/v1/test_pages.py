"""Pages: every item exactly once, in order, whatever is added and removed meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask, at


async def pages(ask: Ask, path: str, limit: int, between: Callable[[], None] = lambda: None) -> list[Any]:
    """All items, page by page."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ask.get(path, limit=limit, **cursor)
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        assert len(page["items"]) == limit
        cursor = {"cursor": page["next"]}
        between()


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_every_list(ask: Ask, server: Keyserver, limit: int) -> None:
    names = [f"c{n}" for n in range(7)]
    call, service = server.call, server.service
    server.add_clients("all", *names)
    for name in names:
        service.topics.new_topic(call, f"t/{name}")
        service.members.new_topic_client(call, "all", f"t/{name}")
        service.members.new_topic_client(call, name, "t/c0")
        service.links.link_client(call, name, "all")
        service.topics.new_topic(call, f"t/{name}")
        server.token(name=name)
    by_name = ["all", *names]
    assert [c["name"] for c in await pages(ask, "clients", limit)] == by_name
    assert [t["name"] for t in await pages(ask, "topics", limit)] == [f"t/{name}" for name in names]
    assert [t["name"] for t in await pages(ask, "clients/all/topics", limit)] == [f"t/{n}" for n in names]
    assert [c["name"] for c in await pages(ask, f"topics/{at('t/c0')}/clients", limit)] == by_name
    assert [c["name"] for c in await pages(ask, "clients/all/links", limit)] == names
    assert [t["name"] for t in await pages(ask, "tokens", limit)] == names
    for path, key, rising in [
        ("events", "number", True),
        ("audit", "number", False),
        ("commands", "id", False),
        ("jobs", "id", False),
    ]:
        numbers = [item[key] for item in await pages(ask, path, limit)]
        assert len(numbers) == len(set(numbers)) >= 7
        assert numbers == sorted(numbers, reverse=not rising)


async def test_only_names_that_begin_so(ask: Ask, server: Keyserver) -> None:
    server.add_clients("a", "a/1", "a/2", "a_1", "a%", "b", "ä", "A")
    found = {
        prefix: [client["name"] for client in (await ask.get("clients", prefix=prefix))["items"]]
        for prefix in ("", "a", "a/", "a_", "a%", "ä", "c")
    }
    assert found == {
        "": ["A", "a", "a%", "a/1", "a/2", "a_1", "b", "ä"],
        "a": ["a", "a%", "a/1", "a/2", "a_1"],
        "a/": ["a/1", "a/2"],
        "a_": ["a_1"],
        "a%": ["a%"],
        "ä": ["ä"],
        "c": [],
    }


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stay=st.sets(NAMES, min_size=1, max_size=12),
    come=st.lists(NAMES, max_size=12),
    go=st.lists(NAMES, max_size=8),
    limit=st.integers(1, 5),
)
def test_what_stays_is_seen_once(stay: set[str], come: list[str], go: list[str], limit: int) -> None:
    """Clients appear and disappear between the pages; those that stay are all there, once, in order."""
    with tempfile.TemporaryDirectory() as folder:
        server = Keyserver(Path(folder))
        leaving = [name for name in dict.fromkeys(go) if name not in stay]
        coming = [name for name in dict.fromkeys(come) if name not in stay and name not in leaving]
        server.add_clients(*stay, *leaving)

        def between() -> None:
            if leaving:
                server.service.clients.remove_client(server.call, leaving.pop())
            if coming:
                server.add_clients(coming.pop())

        seen = asyncio.run(pages(Ask(server), "clients", limit, between))
        server.close()
    names = [client["name"] for client in seen]
    assert names == sorted(names, key=lambda name: name.encode())
    assert len(names) == len(set(names))
    assert stay <= set(names)
