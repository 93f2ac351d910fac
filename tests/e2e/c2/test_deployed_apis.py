"""The deployed interface, HTTP and gRPC: the same calls to two equal servers, and the same answers from both.

Section 3 of the specification, errors included. Nobody sends here: a broker that is away is no error.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e4 import crypto
from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.model import Role
from tests.e2e.c2._callers import PATHS, Answered, GrpcCaller, HttpCaller
from tests.e2e.c2._server import ADMIN, SOON, Listening

SYMKEY, PUBKEY = "symkey", "pubkey"
KEY = bytes(range(1, 33))
PAGE = ("offset", "count")


class Each:
    """A value that differs between the two servers."""

    def __init__(self, http: Any, grpc: Any) -> None:
        self.http, self.grpc = http, grpc


class Both:
    """One call to each of two equal servers."""

    def __init__(self, http: Listening, grpc: Listening) -> None:
        self.servers = (http, grpc)
        self.http, self.grpc = HttpCaller(http), GrpcCaller(grpc)

    def each(self, call: str, /, **fields: Any) -> Each:
        sides = [
            {
                name: getattr(value, side) if isinstance(value, Each) else value
                for name, value in fields.items()
            }
            for side in ("http", "grpc")
        ]
        return Each(self.http(call, sides[0]), self.grpc(call, sides[1]))

    def same(self, call: str, /, **fields: Any) -> Answered:
        answers = self.each(call, **fields)
        assert answers.http == answers.grpc
        assert isinstance(answers.http, Answered)
        return answers.http

    def ok(self, call: str, /, **fields: Any) -> Any:
        answer = self.same(call, **fields)
        assert answer.code == 0, answer.content
        return answer.content

    def refused(self, code: int, call: str, /, **fields: Any) -> str:
        answer = self.same(call, **fields)
        assert answer.code == code, answer.content
        assert answer.content
        return str(answer.content)

    def use_tokens(self, role: Role | None, *, protect: bool = False) -> None:
        for caller, server in zip((self.http, self.grpc), self.servers, strict=True):
            caller.token = server.token(role, protect=protect) if role else None

    def close(self) -> None:
        self.http.close()
        self.grpc.close()


def started(folder: Path, stack: ExitStack, mode: str, **options: Any) -> Both:
    servers = [stack.enter_context(Listening(folder / name, mode, **options)) for name in ("http", "grpc")]  # type: ignore[arg-type]
    both = Both(*servers)
    stack.callback(both.close)
    return both


@pytest.fixture(params=[SYMKEY, PUBKEY])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def both(tmp_path: Path, mode: str) -> Iterator[Both]:
    with ExitStack() as stack:
        yield started(tmp_path, stack, mode)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Both]:
    with ExitStack() as stack:
        yield started(tmp_path, stack, SYMKEY, auth=True, max_failed=5)


sk, pk = (pytest.mark.parametrize("mode", [mode], indirect=True) for mode in (SYMKEY, PUBKEY))


def new_key(mode: str) -> bytes:
    if mode == SYMKEY:
        return os.urandom(32)
    return crypto.ed25519_public_key(crypto.random_ed25519_private_key())


def names(clients: Any) -> list[str]:
    return [client["name"] for client in clients["clients"]]


def test_clients_topics_and_memberships(both: Both, mode: str) -> None:
    assert both.ok("CountClients") == {"count": "0"}
    assert both.ok("GetClients", count=10) == {"clients": []}
    assert both.ok("GetTopics", count=10) == {"topics": []}
    for name in ("pump", "alarm", "Tank", "café", "a/b", "50% off?", " "):
        assert both.ok("NewClient", client=name, key=new_key(mode)) == {}
    assert both.ok("NewClient", client="pump", key=new_key(mode)) == {}
    assert both.ok("CountClients") == {"count": "7"}
    assert names(both.ok("GetClients", count=10)) == [" ", "50% off?", "Tank", "a/b", "alarm", "café", "pump"]
    assert names(both.ok("GetClients", offset=2, count=3)) == ["Tank", "a/b", "alarm"]
    assert names(both.ok("GetClients", offset=6, count=3)) == ["pump"]
    assert both.ok("GetClients", offset=2**63 - 1, count=3) == {"clients": []}
    assert both.ok("GetClients") == {"clients": []}

    topics = ["/", "/a//b/", "a/clients", "a/clients/count", "plant/boiler 1", "plant/été", "x%2Fy", "\n"]
    for topic in topics:
        assert both.ok("NewTopic", topic=topic) == {}
        assert both.ok("NewTopicClient", client="a/b", topic=topic) == {}
        assert both.ok("NewTopicClient", client="a/b", topic=topic) == {}
        assert both.ok("CountClientsForTopic", topic=topic) == {"count": "1"}
    assert both.ok("CountTopics") == {"count": "8"}
    assert both.ok("GetTopics", count=100)["topics"] == sorted(topics)
    assert both.ok("GetTopicsForClient", client="a/b", count=2**63 - 1)["topics"] == sorted(topics)
    assert both.ok("GetTopicsForClient", client="a/b", offset=1, count=2)["topics"] == sorted(topics)[1:3]
    assert both.ok("GetTopicsForClient", client="a/b") == {"topics": []}
    assert both.ok("CountTopicsForClient", client="a/b") == {"count": "8"}
    assert both.ok("CountTopicsForClient", client="pump") == {"count": "0"}

    assert both.ok("NewTopicClient", client="pump", topic="/") == {}
    assert names(both.ok("GetClientsForTopic", topic="/", count=100)) == ["a/b", "pump"]
    assert names(both.ok("GetClientsForTopic", topic="/", offset=1, count=1)) == ["pump"]
    assert both.ok("NewTopic", topic="/") == {}
    assert both.ok("RemoveTopicClient", client="pump", topic="/") == {}
    assert both.ok("RemoveTopic", topic="a/clients") == {}
    assert both.ok("CountTopicsForClient", client="a/b") == {"count": "7"}
    assert both.ok("ResetClient", client="a/b") == {}
    assert both.ok("CountTopicsForClient", client="a/b") == {"count": "0"}
    assert both.ok("NewClientKey", client="pump") == {}
    assert both.ok("RemoveClient", client="pump") == {}
    assert both.refused(5, "RemoveClient", client="pump")
    assert both.ok("CountClients") == {"count": "6"}
    assert both.ok("HealthCheck") == {"Code": "0", "Status": "OK"}
    assert both.ok("GetCryptoMode") == {"CryptoMode": f"CRYPTOMODE_{mode.upper()}"}


@sk
def test_a_page_is_at_most_100(both: Both) -> None:
    for server in both.servers:
        server.service.clients.new_clients(ADMIN, [(f"client {n:03}", KEY) for n in range(103)])
        for n in range(103):
            server.service.topics.new_topic(ADMIN, f"topic {n:03}")
        server.service.members.new_topic_clients(ADMIN, [("client 000", f"topic {n:03}") for n in range(103)])
        server.service.members.new_topic_clients(ADMIN, [(f"client {n:03}", "topic 000") for n in range(103)])
    for count in (100, 101, 2**63 - 1):
        assert names(both.ok("GetClients", count=count)) == [f"client {n:03}" for n in range(100)]
        assert both.ok("GetTopics", offset=1, count=count)["topics"] == [
            f"topic {n:03}" for n in range(1, 101)
        ]
    assert len(both.ok("GetTopicsForClient", client="client 000", count=200)["topics"]) == 103
    assert len(both.ok("GetClientsForTopic", topic="topic 000", count=200)["clients"]) == 103


@pk
def test_links_and_public_keys(both: Both, mode: str) -> None:
    for name in ("pump", "tank", "alarm"):
        both.ok("NewClient", client=name, key=new_key(mode))
    for source in ("pump", "alarm", "pump"):
        assert both.ok("LinkClient", sourceClient=source, targetClient="tank") == {}
    assert both.ok("CountLinkedClients", client="tank") == {"count": "2"}
    assert both.ok("CountLinkedClients", client="pump") == {"count": "0"}
    assert names(both.ok("GetLinkedClients", client="tank", count=10)) == ["alarm", "pump"]
    assert names(both.ok("GetLinkedClients", client="tank", offset=1, count=10)) == ["pump"]
    assert both.ok("UnlinkClient", sourceClient="alarm", targetClient="tank") == {}
    assert names(both.ok("GetLinkedClients", client="tank", count=10)) == ["pump"]

    assert both.ok("SendClientPubKey", sourceClient="pump", targetClient="tank") == {}
    assert both.ok("RemoveClientPubKey", sourceClient="pump", targetClient="tank") == {}
    assert both.ok("ResetClientPubKeys", targetClient="tank") == {}
    for server in both.servers:
        sent = server.service.commands.page_commands(ADMIN, client="tank", limit=10).items
        kinds = [command.kind.name for command in sorted(sent, key=lambda command: command.id)]
        assert kinds == ["SET_PUB_KEY", "REMOVE_PUB_KEY", "RESET_PUB_KEYS"]
    assert both.refused(9, "NewC2Key")
    assert both.refused(9, "NewC2Key", force=False)
    assert both.ok("NewC2Key", force=True) == {}


@sk
def test_no_public_keys_in_symmetric_mode(both: Both) -> None:
    for name in ("pump", "tank"):
        both.ok("NewClient", client=name, key=KEY)
    for call in ("SendClientPubKey", "RemoveClientPubKey"):
        assert both.refused(9, call, sourceClient="pump", targetClient="tank")
    assert both.refused(9, "ResetClientPubKeys", targetClient="tank")
    assert both.refused(9, "NewC2Key", force=True)


def test_messages(both: Both) -> None:
    both.ok("NewTopic", topic="a/b")
    for data in (b"x", bytes(range(256)), bytes(100_000)):
        sealed = both.each("ProtectMessage", topic="a/b", binaryData=data)
        protected = Each(
            *(
                base64.b64decode(answer.content["protectedBinaryData"])
                for answer in (sealed.http, sealed.grpc)
            )
        )
        assert len(protected.http) == len(data) + 24
        opened = both.ok("UnprotectMessage", topic="a/b", protectedBinaryData=protected)
        assert opened == {"topic": "a/b", "binaryData": base64.b64encode(data).decode()}
        changed = Each(*(side[:-1] + bytes([side[-1] ^ 1]) for side in (protected.http, protected.grpc)))
        assert both.refused(3, "UnprotectMessage", topic="a/b", protectedBinaryData=changed)
    both.refused(3, "ProtectMessage", topic="a/b", binaryData=b"")
    both.refused(3, "ProtectMessage", topic="a/b")
    both.refused(3, "UnprotectMessage", topic="a/b", protectedBinaryData=b"")
    both.refused(3, "UnprotectMessage", topic="a/b", protectedBinaryData=b"short")
    both.refused(3, "UnprotectMessage", topic="a/b", protectedBinaryData=bytes(200))
    both.refused(5, "ProtectMessage", topic="other", binaryData=b"x")
    both.refused(5, "UnprotectMessage", topic="other", protectedBinaryData=bytes(200))


def test_unknown_clients_and_topics(both: Both, mode: str) -> None:
    both.ok("NewClient", client="pump", key=new_key(mode))
    both.ok("NewTopic", topic="a")
    for call in ("RemoveClient", "ResetClient", "NewClientKey", "CountTopicsForClient", "CountLinkedClients"):
        assert both.refused(5, call, client="nobody")
    for call in ("GetTopicsForClient", "GetLinkedClients"):
        assert both.refused(5, call, client="nobody", count=1)
        assert both.refused(5, call, client="nobody")
    for call in ("RemoveTopic", "CountClientsForTopic"):
        assert both.refused(5, call, topic="nothing")
    assert both.refused(5, "GetClientsForTopic", topic="nothing", count=1)
    for call in ("NewTopicClient", "RemoveTopicClient"):
        assert both.refused(5, call, client="nobody", topic="a")
        assert both.refused(5, call, client="pump", topic="nothing")
    for call in ("LinkClient", "UnlinkClient"):
        assert both.refused(5, call, sourceClient="nobody", targetClient="pump")
        assert both.refused(5, call, sourceClient="pump", targetClient="nobody")
    if mode == PUBKEY:
        for call in ("SendClientPubKey", "RemoveClientPubKey"):
            assert both.refused(5, call, sourceClient="nobody", targetClient="pump")
            assert both.refused(5, call, sourceClient="pump", targetClient="nobody")
        assert both.refused(5, "ResetClientPubKeys", targetClient="nobody")


def test_input_that_is_not_valid(both: Both, mode: str) -> None:
    good = new_key(mode)
    for name in ("", "x" * 256, "é" * 128, "a\0b"):
        assert both.refused(3, "NewClient", client=name, key=good)
        assert both.refused(3, "RemoveClient", client=name)
    assert both.ok("NewClient", client="é" * 127, key=good) == {}
    for key in (b"", bytes(31), bytes(32), bytes(33), bytes(64)):
        assert both.refused(3, "NewClient", client="pump", key=key)
    assert both.refused(3, "NewClient", client="pump")
    if mode == PUBKEY:
        assert both.refused(3, "NewClient", client="pump", key=b"\2" + bytes(31))
        assert both.refused(3, "NewClient", client="pump", key=b"\1" + bytes(31))
    for topic in ("", "a/+", "#", "a\0b", "x" * 65536):
        assert both.refused(3, "NewTopic", topic=topic)
        assert both.refused(3, "CountClientsForTopic", topic=topic)
        assert both.refused(3, "ProtectMessage", topic=topic, binaryData=b"x")
    for page in ({"offset": -1, "count": 1}, {"count": -1}, {"offset": -(2**63)}):
        assert both.refused(3, "GetClients", **page)
        assert both.refused(3, "GetTopics", **page)
        assert both.refused(3, "GetLinkedClients", client="é" * 127, **page)
    assert both.ok("CountClients") == {"count": "1"}

    longest = "é" * 32767 + "x"
    assert both.ok("NewTopic", topic=longest) == {}
    assert both.ok("GetTopics", count=1) == {"topics": [longest]}


# What each call needs. The rest of a role's calls are refused with PERMISSION_DENIED.
VIEWER = {call for call in PATHS if call.startswith(("Count", "Get"))} | {"HealthCheck"}
PROTECT = {"ProtectMessage", "UnprotectMessage"}
ADMINISTRATOR = {"NewC2Key"}
OPERATOR = set(PATHS) - VIEWER - PROTECT - ADMINISTRATOR
_VALID: dict[str, Any] = {
    "topic": "t",
    "key": KEY,
    "binaryData": b"x",
    "protectedBinaryData": b"x",
    "force": True,
}
FIELDS = {
    call: {
        field.name: _VALID.get(field.name, "c")
        for field in method.input_type.fields
        if field.name not in PAGE
    }
    for call, method in pb.DESCRIPTOR.services_by_name["C2"].methods_by_name.items()
}


@pytest.mark.parametrize(
    ("role", "protect", "allowed"),
    [
        (Role.VIEWER, False, VIEWER),
        (Role.VIEWER, True, VIEWER | PROTECT),
        (Role.OPERATOR, False, VIEWER | OPERATOR),
        (Role.ADMIN, False, VIEWER | OPERATOR | ADMINISTRATOR),
        (Role.ADMIN, True, set(PATHS)),
    ],
)
def test_who_may_do_what(guarded: Both, role: Role, protect: bool, allowed: set[str]) -> None:
    guarded.use_tokens(role, protect=protect)
    for call in PATHS:
        answer = guarded.same(call, **FIELDS[call])
        assert (answer.code != 7) == (call in allowed), (call, answer)
        assert answer.code != 16


def test_no_credentials_and_bad_ones(guarded: Both) -> None:
    for call in PATHS:
        assert guarded.refused(16, call, **FIELDS[call]) == "credentials are missing"
    status, headers, _ = guarded.http.raw("GET", "/e4/clients/count")
    assert (status, headers["www-authenticate"].split()[0]) == (401, "Bearer")

    guarded.use_tokens(Role.VIEWER)
    good = guarded.http.token, guarded.grpc.token
    guarded.ok("CountClients")
    guarded.http.token = guarded.grpc.token = "e4_" + "A" * 43
    for _ in range(5):
        guarded.refused(16, "CountClients")
    guarded.refused(8, "CountClients")
    guarded.http.token, guarded.grpc.token = good
    guarded.ok("CountClients")


@sk
def test_events(both: Both) -> None:
    server = both.servers[1]
    over_http = HttpCaller(server)
    try:
        both.ok("NewClient", client="pump", key=KEY)
        both.ok("NewTopic", topic="plant/boiler")
        both.ok("NewTopicClient", client="pump", topic="plant/boiler")
        followers = [both.grpc.follow() for _ in range(3)]
        both.ok("RemoveTopicClient", client="pump", topic="plant/boiler")
        over_http("NewTopic", {"topic": "other"})
        over_http("NewTopicClient", {"client": "pump", "topic": "plant/boiler"})
        for follower in followers:
            seen = [next(follower) for _ in range(2)]
            assert [(event.type, event.source, event.target) for event in seen] == [
                (pb.CLIENT_UNSUBSCRIBED, "pump", "plant/boiler"),
                (pb.CLIENT_SUBSCRIBED, "pump", "plant/boiler"),
            ]
            assert seen[0].timestamp.ToMilliseconds() <= seen[1].timestamp.ToMilliseconds()
            follower.cancel()
    finally:
        over_http.close()


@sk
def test_many_at_once(both: Both) -> None:
    def work(n: int) -> list[int]:
        caller = (HttpCaller, GrpcCaller)[n % 2](both.servers[n % 2])
        try:
            codes = []
            for m in range(5):
                client, topic = f"client {n}-{m}", f"topic {m}"
                codes.append(caller("NewClient", {"client": client, "key": KEY}).code)
                codes.append(caller("NewTopic", {"topic": topic}).code)
                codes.append(caller("NewTopicClient", {"client": client, "topic": topic}).code)
            return codes
        finally:
            caller.close()

    with ThreadPoolExecutor(8) as pool:
        assert [code for codes in pool.map(work, range(8), timeout=4 * SOON) for code in codes] == [0] * 120
    assert both.ok("CountTopics") == {"count": "5"}
    assert both.ok("CountClients") == {"count": "20"}
    assert both.ok("CountClientsForTopic", topic="topic 3") == {"count": "4"}


@sk
def test_http_alone(both: Both) -> None:
    raw = both.http.raw
    assert (
        raw("POST", "/e4/client/pump", b'{"key":"' + base64.urlsafe_b64encode(KEY).rstrip(b"=") + b'"}')[0]
        == 200
    )
    for body in (b"{", b"[]", b'{"key":5}', b'{"key":"!"}', b"\xff", b'{"key":"\xc3"}'):
        status, _, answer = raw("POST", "/e4/client/tank", body)
        assert status == 400
        assert b'"code":3' in answer
    assert raw("POST", "/e4/topic//a//b/", b"not read")[0] == 200
    assert raw("GET", "/e4/topics?count=5&count=x&unknown=1")[2] == b'{"topics":["/a//b/"]}'
    assert raw("GET", "/e4/topic//a//b//clients/count")[2] == b'{"count":"0"}'
    assert raw("GET", "/e4/topic/%2Fa%2F%2fb%2F/clients?count=1")[2] == b'{"clients":[]}'
    for path in (
        "/e4/topic/%FF",
        "/e4/topic/%zz",
        "/e4/clients?count=1e1",
        "/e4/clients?offset=9223372036854775808",
    ):
        status, _, answer = raw("GET" if "?" in path else "POST", path)
        assert status == 400, path
        assert b'"code":3' in answer
    assert [raw("GET", path)[0] for path in ("/", "/e4", "/e4/", "/e4/clients/", "/e4//clients")] == [404] * 5
    status, headers, answer = raw("GET", "/e4/topic/a")
    assert (status, headers["allow"], b'"code":12' in answer) == (405, "DELETE, POST", True)
    status, headers, answer = raw("HEAD", "/e4/clients/count")
    assert (status, answer, headers["content-type"]) == (200, b"", "application/json")
    assert raw("POST", "/e4/protect-message", bytes(5 << 20))[0] == 413
