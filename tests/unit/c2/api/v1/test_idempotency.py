"""The same change twice: one effect, one answer; also when both come at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from e4.c2.model import Role
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask, text

KEY = {"idempotency-key": "4711"}
REPLAYED = "idempotent-replayed"


async def audited(ask: Ask) -> list[tuple[str, str]]:
    rows = (await ask.get("audit"))["items"]
    return [(row["operation"], row["outcome"]) for row in reversed(rows)]


CHANGES = [
    ("POST", "clients", "client", 201),
    ("POST", "topics", {"name": "u"}, 201),
    ("POST", "topics", {"name": "t"}, 200),
    ("POST", "clients/a/reset", None, 204),
    ("POST", "clients/a/resync", None, 204),
    ("POST", "clients/a/new-key", None, 200),
    ("POST", "batch/reset", {"clients": ["a"]}, 204),
    ("POST", "batch/memberships", {"memberships": [{"client": "a", "topic": "t"}]}, 204),
    ("POST", "commands/retry", None, 200),
    ("PUT", "clients/a/topics/t", None, 204),
    ("PUT", "clients/a/links/b", None, 204),
    ("DELETE", "clients/a", None, 204),
    ("DELETE", "topics/t", None, 204),
]


@pytest.mark.parametrize(("verb", "path", "body", "status"), CHANGES)
async def test_twice_is_once(
    ask: Ask, server: Keyserver, verb: str, path: str, body: Any, status: int
) -> None:
    server.add_clients("a", "b")
    server.service.topics.new_topic(server.call, "t")
    if body == "client":
        body = {"name": "new", "key": text(server.key())}
    first = await ask(verb, path, body, headers=KEY)
    assert first.status_code == status
    assert REPLAYED not in first.headers
    before = (await audited(ask), (await ask.get("events"))["items"], (await ask.get("commands"))["items"])
    again = await ask(verb, path, body, headers=KEY)
    assert (again.status_code, again.content) == (status, first.content)
    assert again.headers.get("content-type") == first.headers.get("content-type")
    assert again.headers[REPLAYED] == "true"
    after = (await audited(ask), (await ask.get("events"))["items"], (await ask.get("commands"))["items"])
    assert after == before


async def test_a_key_is_for_one_request(ask: Ask) -> None:
    await ask.done("POST", "topics", {"name": "t"}, 201)
    assert (await ask("POST", "topics", {"name": "t"}, headers=KEY)).status_code == 200
    for verb, path, body in [
        ("POST", "topics", {"name": "u"}),
        ("POST", "commands/retry", None),
        ("DELETE", "topics/t", None),
    ]:
        said = await ask.refused("Conflict", 409, verb, path, body, headers=KEY)
        assert said == "the idempotency key was used for another request"
    assert (await ask.get("topics/t"))["topic"]["version"] == 2


async def test_what_was_refused_may_be_tried_again(ask: Ask, server: Keyserver) -> None:
    await ask.refused("NotFound", 404, "POST", "clients/a/reset", headers=KEY)
    server.add_clients("a")
    answer = await ask("POST", "clients/a/reset", headers=KEY)
    assert answer.status_code == 204
    assert REPLAYED not in answer.headers


async def test_at_once(ask: Ask) -> None:
    answers = await asyncio.gather(*(ask("POST", "topics", {"name": "t"}, headers=KEY) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert [REPLAYED in answer.headers for answer in answers].count(False) == 1
    assert (await ask.get("topics/t"))["topic"]["version"] == 1


async def test_keys_of_two_callers_are_two(knock: Ask, guarded: Keyserver) -> None:
    tokens = [guarded.token(Role.OPERATOR) for _ in range(2)]
    statuses = [
        (await knock("POST", "topics", {"name": "t"}, token=token, headers=KEY)).status_code
        for token in tokens
    ]
    assert statuses == [201, 200]


async def test_a_tokens_secret_is_not_kept(ask: Ask, server: Keyserver) -> None:
    body = {"name": "x", "role": "viewer"}
    made = await ask("POST", "tokens", body, headers=KEY)
    assert made.status_code == 201
    await ask.refused("Conflict", 409, "POST", "tokens", body, headers=KEY)
    with server.store.read() as tx:
        kept = tx.idempotency.get("anybody", "4711")
    assert kept is not None
    assert kept.response is None


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256])
async def test_a_key_that_is_none(ask: Ask, key: str) -> None:
    headers = {"idempotency-key": key.encode("latin-1")}
    await ask.refused("InvalidRequest", 400, "POST", "topics", {"name": "t"}, headers=headers)
    assert (await ask.get("topics"))["items"] == []
