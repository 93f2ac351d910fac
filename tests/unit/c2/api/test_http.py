"""The HTTP application without a server: forms of answers and errors, ids, metrics; never a 500."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e4 import errors
from e4.c2.api.errors import MAX_REQUEST
from e4.c2.api.feed import Feed
from e4.c2.api.http import make_app
from e4.c2.model import Client
from tests.unit.c2.api._fakes import (
    ANSWERS,
    VIEWER,
    Answer,
    FakeAuthenticator,
    FakeHealth,
    FakeMetrics,
    FakeService,
    ask,
)

A = Client(1, bytes(16), "a", False, 1, 0, 0)
COUNTED = {"clients.count_clients": 4}


class Setting:
    def __init__(self, *, required: bool = False) -> None:
        self.service = FakeService(dict(COUNTED))
        self.authenticator = FakeAuthenticator(required=required)
        self.health, self.metrics = FakeHealth(), FakeMetrics()
        feed = Feed(self.service)  # type: ignore[arg-type]
        self.app = make_app(
            self.service,  # type: ignore[arg-type]
            self.authenticator,  # type: ignore[arg-type]
            feed,
            health=self.health,  # type: ignore[arg-type]
            metrics=self.metrics,  # type: ignore[arg-type]
        )

    async def ask(self, *arguments: Any, **options: Any) -> Answer:
        return await ask(self.app, *arguments, **options)


@pytest.fixture
def c2() -> Setting:
    return Setting()


@pytest.fixture
def guarded() -> Setting:
    return Setting(required=True)


def refused(answer: Answer, status: int, code: int) -> str:
    """The text of an error in the deployed form, and in nothing but it."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    body = answer.json
    assert body == {"error": body["error"], "code": code, "message": body["error"], "details": []}
    return str(body["error"])


async def test_an_answer(c2: Setting) -> None:
    answer = await c2.ask("GET", "/e4/clients/count")
    assert (answer.status, answer.body) == (200, b'{"count":"4"}')
    assert answer.headers["content-type"] == "application/json"
    assert c2.metrics.requests == [("http", "CountClients", "ok")]
    [call] = c2.service.calls
    assert (call.peer, call.request_id) == ("192.0.2.7", answer.headers["x-request-id"])


async def test_void(c2: Setting) -> None:
    answer = await c2.ask("POST", "/e4/client/pump", b'{"key":"aw=="}', headers={"Content-Type": "image/png"})
    assert (answer.status, answer.body) == (200, b"{}")
    assert c2.service.asked == [("clients.new_client", ("pump", b"k"))]


async def test_the_path_is_stronger_than_the_body(c2: Setting) -> None:
    await c2.ask("POST", "/e4/client/pump", b'{"key":"aw==","client":{"name":"other"}}')
    assert c2.service.asked == [("clients.new_client", ("pump", b"k"))]


WHOLE = b'{"topic":"t","binaryData":"aw=="}'


@pytest.mark.parametrize("body", [[WHOLE[:9], WHOLE[9:20], WHOLE[20:]], [WHOLE, b""]])
async def test_a_body_in_pieces(c2: Setting, body: list[bytes]) -> None:
    c2.service.answers["messages.protect_message"] = b"p"
    answer = await c2.ask("POST", "/e4/protect-message", body)
    assert answer.json == {"topic": "t", "protectedBinaryData": "cA=="}


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b" "])
async def test_no_body_is_an_empty_object(c2: Setting, body: bytes) -> None:
    c2.service.answers["keys.new_c2_key"] = errors.FailedPrecondition("not confirmed")
    assert refused(await c2.ask("POST", "/e4/new-c2-key", body), 400, 9) == "not confirmed"
    assert c2.service.asked == [("keys.new_c2_key", (False,))]


async def test_a_body_where_none_is_expected_is_not_read(c2: Setting) -> None:
    assert (await c2.ask("POST", "/e4/topic/a", b"{")).status == 200


@pytest.mark.parametrize(
    ("query", "page"),
    [
        (b"", (0, 0)),
        (b"count=5", (0, 5)),
        (b"offset=3&count=5", (3, 5)),
        (b"count=5&count=6", (0, 5)),
        (b"count=10001&x=y&count[]=1&&", (0, 10_000)),
        (b"count=%35", (0, 5)),
        (b"%63ount=5", (0, 5)),
        (b"count=%2B5", (0, 5)),
        (b"offset=9223372036854775807", (2**63 - 1, 0)),
        (b"\xff=\xfe&count=1", (0, 1)),
        (b"COUNT=7", (0, 0)),
    ],
)
async def test_pages(c2: Setting, query: bytes, page: tuple[int, int]) -> None:
    c2.service.answers["clients.get_clients"] = [A]
    answer = await c2.ask("GET", "/e4/clients", query=query)
    assert (answer.status, answer.body) == (200, b'{"clients":[{"name":"a"}]}')
    assert c2.service.asked == [("clients.get_clients", page)]


@pytest.mark.parametrize(
    "query",
    [
        b"count",
        b"count=",
        b"count=x",
        b"count=1.5",
        b"count=+5",
        b"count=\xff",
        b"offset=9223372036854775808",
    ],
)
async def test_no_numbers(c2: Setting, query: bytes) -> None:
    assert refused(await c2.ask("GET", "/e4/topics", query=query), 400, 3).endswith("whole number of 64 bits")
    assert c2.service.asked == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NotFound("client not found"), 404, 5),
        (errors.InvalidName(), 400, 3),
        (errors.NotAuthentic(), 400, 3),
        (errors.FailedPrecondition(), 400, 9),
        (errors.PermissionDenied(), 403, 7),
        (errors.Conflict(), 409, 6),
        (errors.Unavailable(), 503, 14),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_errors(c2: Setting, error: errors.E4Error, status: int, code: int) -> None:
    c2.service.answers["clients.remove_client"] = error
    assert refused(await c2.ask("DELETE", "/e4/client/pump"), status, code) == str(error)
    assert c2.metrics.requests == [("http", "RemoveClient", type(error).__name__)]


async def test_the_unforeseen_is_in_the_log_alone(c2: Setting, caplog: pytest.LogCaptureFixture) -> None:
    bound = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            bound.append(structlog.contextvars.get_contextvars().get("request_id"))

    handler = Handler()
    logging.getLogger("e4.c2.api").addHandler(handler)
    try:
        c2.service.answers["topics.new_topic"] = KeyError("sealed")
        answer = await c2.ask("POST", "/e4/topic/a", headers={"X-Request-Id": "r-1"})
    finally:
        logging.getLogger("e4.c2.api").removeHandler(handler)
    assert refused(answer, 500, 13) == "internal error"
    assert bound == ["r-1"]
    [record] = caplog.records
    assert (record.message, record.levelname) == ("NewTopic failed", "ERROR")
    assert record.exc_info is not None
    assert c2.metrics.requests == [("http", "NewTopic", "Internal")]


@pytest.mark.parametrize(("given", "taken"), [("r-1", True), ("a b", False), ("x" * 65, False)])
async def test_request_id(c2: Setting, given: str, taken: bool) -> None:
    for path in ("/e4/clients/count", "/nowhere", "/healthz"):
        answer = await c2.ask("GET", path, headers={"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) == taken


@pytest.mark.parametrize(
    "path", ["/", "/e4/", "/e4/x", "/e4/clients/", "/clients", "/healthz/", "/metrics/x", ""]
)
async def test_no_such_path(c2: Setting, path: str) -> None:
    assert refused(await c2.ask("GET", path), 404, 5) == "no such path"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/e4/topic/a", "DELETE, POST"),
        ("OPTIONS", "/e4/clients", "GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("BREW", "/e4/crypto-mode", "GET"),
    ],
)
async def test_no_such_method(c2: Setting, method: str, path: str, allow: str) -> None:
    answer = await c2.ask(method, path)
    assert refused(answer, 405, 12) == "this path has no such method"
    assert sorted(answer.headers["allow"].split(", ")) == allow.split(", ")


async def test_head_is_get(c2: Setting) -> None:
    assert (await c2.ask("HEAD", "/e4/clients/count")).status == 200
    assert c2.service.asked == [("clients.count_clients", ())]


REFUSED = [
    (None, 401, 16),
    ("Bearer bad", 401, 16),
    ("Basic good", 401, 16),
    ("Bearer weak", 403, 7),
    ("Bearer often", 429, 8),
]


@pytest.mark.parametrize(("header", "status", "code"), REFUSED)
@pytest.mark.parametrize("path", ["/e4/clients/count", "/e4/health-check", "/e4/crypto-mode", "/metrics"])
async def test_credentials(guarded: Setting, header: str | None, status: int, code: int, path: str) -> None:
    answer = await guarded.ask("GET", path, headers={"Authorization": header} if header else {})
    refused(answer, status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert guarded.service.asked == []
    assert guarded.authenticator.peers == ["192.0.2.7"]


async def test_good_credentials(guarded: Setting) -> None:
    answer = await guarded.ask("GET", "/e4/clients/count", headers={"Authorization": "bearer good"})
    assert answer.json == {"count": "4"}
    assert guarded.service.calls[0].actor == VIEWER


async def test_credentials_come_before_the_rest(guarded: Setting) -> None:
    refused(await guarded.ask("POST", "/e4/client/pump", b"{"), 401, 16)
    refused(await guarded.ask("GET", "/e4/clients", query=b"count=x"), 401, 16)


async def test_malformed_credentials_matter_only_where_some_are_needed(c2: Setting) -> None:
    assert (await c2.ask("GET", "/e4/clients/count", headers={"Authorization": "Basic x"})).status == 200


@pytest.mark.parametrize("chunks", [[bytes(MAX_REQUEST + 1)], [bytes(MAX_REQUEST), b"", b"x", b"y" * 9]])
async def test_too_large(c2: Setting, chunks: list[bytes]) -> None:
    answer = await c2.ask("POST", "/e4/protect-message", chunks)
    refused(answer, 413, 8)
    assert answer.headers["connection"] == "close"
    assert c2.service.asked == []


async def test_far_too_large_is_not_read_to_its_end(c2: Setting) -> None:
    chunks = [bytes(MAX_REQUEST)] * 20
    refused(await c2.ask("POST", "/e4/protect-message", chunks), 413, 8)


async def test_a_caller_that_leaves(c2: Setting) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        pass

    scope = {
        "type": "http", "method": "POST", "path": "/e4/new-c2-key", "raw_path": b"/e4/new-c2-key",
        "query_string": b"", "headers": [], "root_path": "",
    }  # fmt: skip
    await c2.app(scope, receive, send)
    assert c2.metrics.requests == [("http", "NewC2Key", "Cancelled")]


async def test_monitors(guarded: Setting) -> None:
    assert (await guarded.ask("GET", "/healthz")).json == {"status": "alive"}
    assert (await guarded.ask("GET", "/readyz")).json == {"status": "ready"}
    guarded.health.good = False
    answer = await guarded.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (503, {"status": "not ready"})
    answer = await guarded.ask("GET", "/metrics", headers={"Authorization": "Bearer good"})
    assert answer.body == b"requests 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {operation for _, operation, _ in guarded.metrics.requests} == {"alive", "ready", "measured"}


async def test_what_is_asked_for_is_not_in_the_metrics(c2: Setting) -> None:
    await c2.ask("GET", "/secret-name")
    await c2.ask("GET", "/e4/secret-name")
    assert {request[1] for request in c2.metrics.requests} == {"unknown"}


async def test_the_loop_goes_on_while_the_service_works(c2: Setting) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> int:
        asyncio.run_coroutine_threadsafe(_set(started), loop).result(timeout=30)
        return 4

    c2.service.answers["clients.count_clients"] = slow
    assert (await c2.ask("GET", "/e4/clients/count")).status == 200
    assert started.is_set()


async def _set(event: asyncio.Event) -> None:
    event.set()


starts = st.sampled_from(
    [
        *(
            b"/",
            b"/e4/",
            b"/e4/client/",
            b"/e4/topic/",
            b"/e4/client/a/topic/",
            b"/e4/topics",
            b"/e4/clients",
        ),
        *(b"/e4/new-c2-key", b"/e4/protect-message", b"/e4/client/a/link/", b"/e4/send-client-pubkey"),
    ]
)
bodies = st.binary(max_size=60) | st.sampled_from(
    [
        b'{"key":"AA"}',
        b'{"topic":"a","binaryData":"AAA="}',
        b'{"force":true}',
        b'{"sourceClient":{"name":"a"}}',
    ]
)
queries = st.binary(max_size=30) | st.sampled_from([b"count=", b"offset="]).flatmap(
    lambda start: st.binary(max_size=20).map(lambda rest: start + rest)
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    start=starts,
    rest=st.binary(max_size=40),
    query=queries,
    body=bodies,
)
def test_any_bytes(method: str, start: bytes, rest: bytes, query: bytes, body: bytes) -> None:
    c2 = Setting()
    c2.service.answers |= ANSWERS
    answer = asyncio.run(ask(c2.app, method, start + rest, body, query=query))
    assert answer.status in (200, 400, 404, 405), answer
    assert answer.json is not None
