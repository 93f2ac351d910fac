"""The gRPC server over a real port, with a service that answers as it is told."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from e4 import errors
from e4.c2.api.errors import MAX_REQUEST
from e4.c2.api.feed import Feed
from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.api.grpc.operations import OPERATIONS, STREAM
from e4.c2.api.grpc.server import GrpcServer, Tls
from e4.c2.model import EventKind
from tests._certificates import Authority
from tests.unit.c2.api._fakes import ANSWERS, VIEWER, FakeAuthenticator, FakeEvents, FakeMetrics, FakeService

SOON = 30


class Setting:
    def __init__(self, *, required: bool = False) -> None:
        self.service = FakeService()
        self.events = FakeEvents(self.service)
        self.authenticator = FakeAuthenticator(required=required)
        self.metrics = FakeMetrics()
        self.feed = Feed(self.service, 0.01)  # type: ignore[arg-type]
        self.port = 0

    def server(self, tls: Tls | None = None) -> GrpcServer:
        return GrpcServer(
            self.service,  # type: ignore[arg-type]
            self.authenticator,  # type: ignore[arg-type]
            self.feed,
            self.metrics,  # type: ignore[arg-type]
            tls=tls,
            workers=4,
        )

    async def ask(self, name: str, request: Any = b"", **metadata: str | bytes) -> Any:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            return await unary(channel, name)(encoded(request), metadata=pairs(metadata), timeout=SOON)

    async def refused(self, name: str, request: Any = b"", **metadata: str | bytes) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await self.ask(name, request, **metadata)
        return refusal.value


def encoded(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def pairs(metadata: dict[str, str | bytes]) -> list[tuple[str, str | bytes]]:
    return [(name.replace("_", "-"), value) for name, value in metadata.items()]


def unary(channel: grpc.aio.Channel, name: str) -> Any:
    known = OPERATIONS.get(name)
    return channel.unary_unary(f"/pb.C2/{name}", response_deserializer=known and known.response.FromString)


def stream(channel: grpc.aio.Channel, **metadata: str) -> Any:
    call = channel.unary_stream(f"/pb.C2/{STREAM}", response_deserializer=pb.Event.FromString)
    return call(b"", metadata=pairs(dict(metadata)))


@pytest.fixture(params=[False])
async def c2(request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    setting = Setting(required=request.param)
    server = setting.server()
    setting.port = await server.start("127.0.0.1:0")
    yield setting
    await server.stop(5)


guarded = pytest.mark.parametrize("c2", [True], indirect=True)


@pytest.fixture
async def channel(c2: Setting) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{c2.port}") as opened:
        yield opened


async def test_an_answer(c2: Setting, channel: grpc.aio.Channel) -> None:
    c2.service.answers["clients.count_clients"] = 4
    call = unary(channel, "CountClients")(b"", metadata=[("x-request-id", "r-1")])
    assert await call == pb.CountClientsResponse(count=4)
    assert list(await call.trailing_metadata()) == [("x-request-id", "r-1")]
    [asked] = c2.service.calls
    assert (asked.peer, asked.request_id) == ("127.0.0.1", "r-1")
    assert c2.metrics.requests == [("grpc", "CountClients", "ok")]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_no_call_is_unimplemented(c2: Setting, name: str) -> None:
    c2.service.answers |= ANSWERS
    assert isinstance(await c2.ask(name), OPERATIONS[name].response)


async def test_a_call_that_there_is_not(c2: Setting) -> None:
    assert (await c2.refused("C2Command")).code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotFound("client «é» not found"), grpc.StatusCode.NOT_FOUND),
        (errors.InvalidKey(), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.TimestampTooOld(), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.FailedPrecondition(), grpc.StatusCode.FAILED_PRECONDITION),
        (errors.PermissionDenied(), grpc.StatusCode.PERMISSION_DENIED),
        (errors.Conflict(), grpc.StatusCode.ALREADY_EXISTS),
        (errors.Unavailable(), grpc.StatusCode.UNAVAILABLE),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_errors(c2: Setting, error: errors.E4Error, code: grpc.StatusCode) -> None:
    c2.service.answers["clients.remove_client"] = error
    refusal = await c2.refused("RemoveClient", x_request_id="r-1")
    assert (refusal.code(), refusal.details()) == (code, str(error))
    assert list(refusal.trailing_metadata()) == [("x-request-id", "r-1")]
    assert c2.metrics.requests == [("grpc", "RemoveClient", type(error).__name__)]


async def test_the_unforeseen_is_in_the_log_alone(c2: Setting, caplog: pytest.LogCaptureFixture) -> None:
    c2.service.answers["topics.new_topic"] = KeyError("sealed")
    refusal = await c2.refused("NewTopic", pb.NewTopicRequest(topic="a"))
    assert (refusal.code(), refusal.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    [(name, request_id)] = refusal.trailing_metadata()
    assert (name, bool(re.fullmatch("[0-9a-f]{16}", request_id))) == ("x-request-id", True)
    [record] = [record for record in caplog.records if record.name == "e4.c2.api"]
    assert (record.message, record.levelname) == ("NewTopic failed", "ERROR")
    assert record.exc_info is not None


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x03\x0a\x01\xff"])
async def test_not_a_message(c2: Setting, data: bytes) -> None:
    refusal = await c2.refused("NewClient", data)
    assert (refusal.code(), refusal.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "not a NewClientRequest")
    assert c2.service.asked == []


async def test_size(c2: Setting) -> None:
    c2.service.answers["messages.protect_message"] = lambda topic, data: data
    largest = pb.ProtectMessageRequest(topic="a", binaryData=bytes(MAX_REQUEST - 20))
    assert (await c2.ask("ProtectMessage", largest)).protectedBinaryData == largest.binaryData
    refusal = await c2.refused("ProtectMessage", bytes(MAX_REQUEST + 1))
    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@guarded
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ("Bearer bad", grpc.StatusCode.UNAUTHENTICATED),
        ("Basic good", grpc.StatusCode.UNAUTHENTICATED),
        ("Bearer weak", grpc.StatusCode.PERMISSION_DENIED),
        ("Bearer often", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
@pytest.mark.parametrize("name", ["CountClients", "HealthCheck", "GetCryptoMode"])
async def test_credentials(c2: Setting, header: str | None, code: grpc.StatusCode, name: str) -> None:
    metadata = {"authorization": header} if header else {}
    assert (await c2.refused(name, b"\xff", **metadata)).code() is code
    assert c2.service.asked == []
    assert c2.authenticator.peers == ["127.0.0.1"]


@guarded
async def test_good_credentials(c2: Setting) -> None:
    await c2.ask("HealthCheck", authorization="bearer good")
    assert c2.service.calls[0].actor == VIEWER


@guarded
async def test_no_stream_without_credentials(c2: Setting, channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stream(channel).read()
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


@guarded
async def test_a_revoked_token_gets_no_more_events(c2: Setting, channel: grpc.aio.Channel) -> None:
    follower = stream(channel, authorization="Bearer good")
    await follower.initial_metadata()
    c2.events.add(EventKind.MEMBERSHIP_ADDED)
    assert (await follower.read()).source == "pump"
    c2.authenticator.good = "another"
    c2.events.add(EventKind.MEMBERSHIP_ADDED)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await asyncio.wait_for(follower.read(), SOON)
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_stream_begins_now_and_has_two_kinds(c2: Setting, channel: grpc.aio.Channel) -> None:
    c2.events.add(EventKind.MEMBERSHIP_ADDED, "before")
    followers = [stream(channel) for _ in range(5)]
    for follower in followers:
        await follower.initial_metadata()
    for kind in EventKind:
        c2.events.add(kind, "pump", "a/b")
    for follower in followers:
        for kind in (pb.CLIENT_SUBSCRIBED, pb.CLIENT_UNSUBSCRIBED):
            event = await asyncio.wait_for(follower.read(), SOON)
            assert (event.type, event.source, event.target) == (kind, "pump", "a/b")
            assert event.timestamp.ToMilliseconds() == 1_700_000_000_123


async def test_a_follower_that_leaves(c2: Setting, channel: grpc.aio.Channel) -> None:
    leaving, staying = stream(channel), stream(channel)
    for follower in (leaving, staying):
        await follower.initial_metadata()
    leaving.cancel()
    async with asyncio.timeout(SOON):
        while ("grpc", STREAM, "Cancelled") not in c2.metrics.requests:
            await asyncio.sleep(0.01)
    c2.events.add(EventKind.MEMBERSHIP_REMOVED)
    assert (await asyncio.wait_for(staying.read(), SOON)).type == pb.CLIENT_UNSUBSCRIBED


async def test_stopping(caplog: pytest.LogCaptureFixture) -> None:
    c2 = Setting()
    server = c2.server()
    port = await server.start("127.0.0.1:0")
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        entered.set()
        assert go_on.wait(SOON)
        return 4

    c2.service.answers["clients.count_clients"] = slow
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        followers = [stream(channel) for _ in range(2)]
        for follower in followers:
            await follower.initial_metadata()
        under_way = asyncio.ensure_future(unary(channel, "CountClients")(b""))
        await asyncio.to_thread(entered.wait, SOON)
        stopping = asyncio.create_task(server.stop(SOON))
        for follower in followers:
            with pytest.raises(grpc.aio.AioRpcError) as end:
                await asyncio.wait_for(follower.read(), SOON)
            assert (end.value.code(), end.value.details()) == (
                grpc.StatusCode.UNAVAILABLE,
                "the server is stopping",
            )
        go_on.set()
        assert await under_way == pb.CountClientsResponse(count=4)
        await asyncio.wait_for(stopping, SOON)
    assert caplog.records == []


async def test_the_port_is_in_use(c2: Setting) -> None:
    second = c2.server()
    with pytest.raises(OSError, match=f"^cannot listen on 127.0.0.1:{c2.port} for gRPC$"):
        await second.start(f"127.0.0.1:{c2.port}")
    c2.feed = Feed(c2.service)  # type: ignore[arg-type]
    await second.stop(0)


@pytest.mark.parametrize("client_certificates", [False, True])
async def test_tls(tmp_path: Path, client_certificates: bool) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = (file.read_bytes() for file in authority.issue("server"))
    ca = authority.file.read_bytes()
    tls = Tls(certificate, key, ca if client_certificates else None)
    assert repr(key) not in repr(tls)
    c2 = Setting()
    c2.service.answers["clients.count_clients"] = 1
    server = c2.server(tls)
    port = await server.start("127.0.0.1:0")
    own = [file.read_bytes() for file in authority.issue("client")]
    try:
        for shown, welcome in ((own, True), (None, not client_certificates)):
            credentials = grpc.ssl_channel_credentials(ca, *(reversed(shown) if shown else ()))
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
                asked = unary(channel, "CountClients")(b"", timeout=SOON)
                if welcome:
                    assert (await asked).count == 1
                else:
                    with pytest.raises(grpc.aio.AioRpcError) as refusal:
                        await asked
                    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        await server.stop(5)
