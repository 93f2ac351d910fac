"""Whatever bytes arrive as a path, query, body or message, with the real service behind: never a 500."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e4.c2.api.errors import INTERNAL, answer_to
from e4.c2.api.feed import Feed
from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.api.grpc.operations import OPERATIONS, Operation
from e4.c2.api.http import make_app
from e4.c2.auth import Authenticator
from e4.errors import E4Error
from tests.e2e.c2._server import ADMIN, Listening, Monitor
from tests.unit.c2.api._fakes import ask

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

NAMES = [b"pump", b"tank", b"", b"%00", b"%F0%9F%98%80", b"x" * 256]
TOPICS = [b"a", b"a/b", b"", b"%23", b"%00", b"%20", b"%C3%A9/clients"]


@pytest.fixture(scope="module", params=["symkey", "pubkey"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    made = Listening(tmp_path_factory.mktemp("c2") / "server", request.param)
    for name, first in (("pump", 3), ("tank", 4)):
        made.service.clients.new_client(ADMIN, name, bytes([first]) + bytes(31))
    made.service.topics.new_topic(ADMIN, "a")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def app(server: Listening) -> Any:
    monitor: Any = Monitor()
    authenticator = Authenticator(server.store, required=False)
    return make_app(server.service, authenticator, Feed(server.service), health=monitor, metrics=monitor)


names, topics = (st.sampled_from(known) | st.binary(max_size=12) for known in (NAMES, TOPICS))
paths = st.one_of(
    st.binary(max_size=30).map(lambda rest: b"/e4/" + rest),
    names.map(lambda name: b"/e4/client/" + name),
    topics.map(lambda topic: b"/e4/topic/" + topic),
    st.tuples(names, topics).map(lambda pair: b"/e4/client/%b/topic/%b" % pair),
    st.tuples(names, st.sampled_from([b"topics", b"link", b"topics/count", b"link/count"])).map(
        lambda pair: b"/e4/client/%b/%b" % pair
    ),
    st.tuples(topics, st.sampled_from([b"clients", b"clients/count"])).map(
        lambda pair: b"/e4/topic/%b/%b" % pair
    ),
    st.tuples(names, st.sampled_from([b"link", b"unlink"]), names).map(
        lambda parts: b"/e4/client/%b/%b/%b" % parts
    ),
    st.sampled_from(
        [
            *(
                b"/e4/protect-message",
                b"/e4/unprotect-message",
                b"/e4/new-c2-key",
                b"/e4/clients",
                b"/e4/topics",
            ),
            *(b"/e4/send-client-pubkey", b"/e4/remove-client-pubkey", b"/e4/reset-client-pubkeys"),
        ]
    ),
)
numbers = st.sampled_from([b"", b"0", b"1", b"-1", b"100", b"9223372036854775807", b"99999999999999999999"])
queries = st.binary(max_size=20) | st.tuples(numbers, numbers | st.binary(max_size=5)).map(
    lambda pair: b"offset=%b&count=%b" % pair
)
bodies = st.binary(max_size=40) | st.sampled_from(
    [
        b'{"key":"BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}',
        b'{"sourceClient":{"name":"pump"},"targetClient":{"name":"tank"}}',
        b'{"sourceClient":{"name":"nobody"},"targetClient":{}}',
        b'{"topic":"a","binaryData":"AA=="}',
        b'{"topic":"a","protectedBinaryData":"' + b"A" * 200 + b'"}',
        b'{"topic":"\\u0000","binaryData":"AA=="}',
        b'{"targetClient":{"name":"\\ud83d"}}',
        b'{"force":false}',
    ]
)


@many
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), path=paths, query=queries, body=bodies
)
def test_http(app: Any, method: str, path: bytes, query: bytes, body: bytes) -> None:
    answer = asyncio.run(ask(app, method, path, body, query=query))
    assert answer.status in (200, 400, 404, 405), answer
    assert isinstance(answer.json, dict)


def field_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return st.builds(pb.Client, name=st.sampled_from(["pump", "tank"]) | st.text(max_size=5))
    return {
        FieldDescriptor.TYPE_STRING: st.sampled_from(["a"]) | st.text(max_size=5),
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=40) | st.binary(min_size=32, max_size=32),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    }[field.type]


def encoded(operation: Operation) -> st.SearchStrategy[bytes]:
    fields = {field.name: field_of(field) for field in operation.request.DESCRIPTOR.fields}
    messages = st.fixed_dictionaries({}, optional=fields)
    return messages.map(lambda given: operation.request(**given).SerializeToString())


calls = st.sampled_from(sorted(OPERATIONS)).flatmap(
    lambda name: st.tuples(st.just(OPERATIONS[name]), encoded(OPERATIONS[name]) | st.binary(max_size=60))
)


@many
@given(call=calls)
def test_grpc(server: Listening, call: tuple[Operation, bytes]) -> None:
    (operation, data), refusal = call, None
    try:
        operation(server.service, ADMIN, operation.parse(data)).SerializeToString()
    except E4Error as error:
        refusal = answer_to(error)
    assert refusal != INTERNAL
