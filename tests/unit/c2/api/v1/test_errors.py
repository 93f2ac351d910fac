"""Problems: their form, what they say, and what they never say."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from e4.c2.api.errors import MAX_REQUEST
from e4.errors import DatabaseError, Unavailable
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import PROBLEM, Ask, text

SECRET = "MTIzNDU2Nzg5MGFiY2RlZg"  # a key that is cut off


async def test_a_problems_members(ask: Ask) -> None:
    answer = await ask("GET", "clients/nobody", headers={"x-request-id": "my-own-1"})
    assert answer.headers["content-type"] == PROBLEM
    assert answer.headers["x-request-id"] == "my-own-1"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "client 'nobody' is not known",
        "code": "NotFound",
        "request_id": "my-own-1",
    }


async def test_operations_and_outcomes_are_counted(ask: Ask, server: Keyserver) -> None:
    await ask.description()
    server.metrics.requests.clear()
    await ask.get("clients")
    await ask("GET", "clients/nobody")
    await ask("POST", "topics", {})
    await ask("POST", "topics", {"name": "t"})
    await ask("GET", "nothing")
    await ask("POST", "import/clients", content=b"", headers={"content-type": "text/csv"})
    assert server.metrics.requests == [
        ("page_clients", "ok"),
        ("get_client", "NotFound"),
        ("new_topic", "InvalidRequest"),
        ("new_topic", "ok"),
        ("unknown", "NotFound"),
        ("import_clients", "InvalidRequest"),
    ]


async def test_paths_and_methods_that_are_not_there(ask: Ask) -> None:
    await ask.refused("NotFound", 404, "GET", "nothing")
    await ask.refused("NotFound", 404, "GET", "clients/")
    await ask.refused("NotFound", 404, "GET", "clients/a/b")
    await ask.refused("MethodNotAllowed", 405, "PATCH", "clients/a")
    await ask.refused("InvalidRequest", 400, "GET", "clients/%FF")
    assert (await ask.http.get("docs")).status_code == 404


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"name": "a", "key": SECRET}, "InvalidKey", "key: key must be 32 bytes in base64 or hex"),
        ({"name": "a", "key": text(b"short")}, "InvalidKey", ""),
        ({"name": "a", "key": text(bytes(32))}, "InvalidKey", ""),
        ({"name": "a", "key": 5}, "InvalidKey", "key: key must be 32 bytes in base64 or hex"),
        ({"name": "a"}, "InvalidRequest", "key: field required"),
        ({"key": text(b"k" * 32)}, "InvalidRequest", "body: give either name or id"),
        (
            {"name": "a", "id": "00" * 16, "key": text(b"k" * 32)},
            "InvalidRequest",
            "body: give either name or id",
        ),
        ({"id": "00" * 15, "key": text(b"k" * 32)}, "InvalidId", "id: id must be 16 bytes in hex"),
        ({"id": "zz" * 16, "key": text(b"k" * 32)}, "InvalidId", "id: id must be 16 bytes in hex"),
        ({"name": "", "key": text(b"k" * 32)}, "InvalidRequest", ""),
        ({"name": "ü" * 200, "key": text(b"k" * 32)}, "InvalidName", ""),
        ({"name": "a\0b", "key": text(b"k" * 32)}, "InvalidName", ""),
        ({"name": 5, "key": text(b"k" * 32)}, "InvalidRequest", ""),
        (
            {"name": "a", "key": text(b"k" * 32), "extra": 1},
            "InvalidRequest",
            "extra: extra inputs are not permitted",
        ),
        ([], "InvalidRequest", "body: must be a JSON object, sent as Content-Type: application/json"),
        ("text", "InvalidRequest", "body: must be a JSON object, sent as Content-Type: application/json"),
    ],
)
async def test_bodies(ask: Ask, body: Any, code: str, said: str) -> None:
    if code == "InvalidName" and ask.server.mode == "pubkey":
        body = body | {"key": text(ask.server.key())}
    detail = await ask.refused(code, 400, "POST", "clients", body)
    assert said in (detail, "")
    assert SECRET not in detail
    assert (await ask.get("info"))["clients"] == 0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"name":"\\ud800","key":""}', b"[" * 100_000, b"1" * 5000, b"NaN"]
)
async def test_what_is_not_json(ask: Ask, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    await ask.refused("InvalidRequest", 400, "POST", "topics", content=content, headers=headers)
    await ask.refused("InvalidRequest", 400, "POST", "topics", content=content)


async def test_wrong_parameters(ask: Ask) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "limit=", "cursor=%FF", "cursor=nonsense", "id=zz"):
        code = "InvalidId" if query.startswith("id") else "InvalidRequest"
        await ask.refused(code, 400, "GET", f"clients?{query}")
    for path in ("commands", "jobs", "audit", "tokens", "events", "topics"):
        await ask.refused("InvalidRequest", 400, "GET", f"{path}?cursor=-")


async def test_parameters_that_are_none(ask: Ask) -> None:
    said = await ask.refused("InvalidRequest", 400, "GET", "commands?statee=failed&limit=5")
    assert said == "'statee' is no parameter of this operation"
    await ask.refused("InvalidRequest", 400, "GET", "info?a=b")
    await ask.refused("InvalidRequest", 400, "POST", "topics?name=t", {"name": "t"})


async def test_too_large(ask: Ask) -> None:
    body = b'{"name":"' + b"a" * MAX_REQUEST + b'"}'
    headers = {"content-type": "application/json"}
    await ask.refused("RequestTooLarge", 413, "POST", "topics", content=body, headers=headers)

    async def unannounced() -> Any:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    await ask.refused("RequestTooLarge", 413, "POST", "topics", content=unannounced(), headers=headers)


@pytest.mark.parametrize(("error", "status"), [(DatabaseError("away"), 503), (Unavailable("stopping"), 503)])
async def test_what_may_work_later(
    ask: Ask, server: Keyserver, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(server.service.clients, "count_clients", fail)
    answer = await ask("GET", "info")
    assert answer.status_code == status
    assert answer.headers["retry-after"]


async def test_what_was_not_foreseen_is_logged_and_not_told(
    ask: Ask, server: Keyserver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("inner workings")

    monkeypatch.setattr(server.service.clients, "count_clients", fail)
    with caplog.at_level(logging.ERROR):
        said = await ask.refused("Internal", 500, "GET", "info")
    assert said == "internal error"
    assert len([record for record in caplog.records if record.exc_info]) == 1
