"""The JSON form of messages: what is written, what is read, and what is not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.api.grpc.operations import OPERATIONS
from e4.c2.api.grpc.protojson import fill, parse, render, set_text
from e4.c2.api.http._paths import RULES
from e4.errors import InvalidRequest

KEY = bytes(range(32))


TWO = [pb.Client(name="a"), pb.Client(name="b")]


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (pb.NewClientResponse(), "{}"),
        (pb.CountClientsResponse(), '{"count":"0"}'),
        (pb.CountClientsResponse(count=4), '{"count":"4"}'),
        (pb.GetClientsResponse(), '{"clients":[]}'),
        (pb.GetClientsResponse(clients=TWO), '{"clients":[{"name":"a"},{"name":"b"}]}'),
        (pb.GetTopicsResponse(topics=["é/1"]), '{"topics":["é/1"]}'),
        (pb.UnprotectMessageResponse(topic="t"), '{"topic":"t","binaryData":""}'),
        (pb.UnprotectMessageResponse(binaryData=b"\xff\xfe"), '{"topic":"","binaryData":"//4="}'),
        (pb.HealthCheckResponse(Status="OK"), '{"Code":"0","Status":"OK"}'),
        (pb.GetCryptoModeResponse(CryptoMode=pb.CRYPTOMODE_PUBKEY), '{"CryptoMode":"CRYPTOMODE_PUBKEY"}'),
        (pb.GetCryptoModeResponse(), '{"CryptoMode":"CRYPTOMODE_UNDEFINED"}'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_written(message: Any, written: str) -> None:
    assert render(message).decode() == written


@pytest.mark.parametrize(
    "body", [b"", b"  \r\n", b"null", b"{}", b'{"other": [1, {"key": 2}]}', b'{"key": null}']
)
def test_nothing_is_as_good_as_an_empty_object(body: bytes) -> None:
    message = pb.NewClientRequest()
    fill(message, parse(body))
    assert message == pb.NewClientRequest()


NOT_JSON = [
    b"{",
    b"nul",
    b"{}{}",
    b"{'key': 1}",
    b"\xff",
    b'{"key": "\xff"}',
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    b"[" * 100_000,
    b'{"a":' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_not_json(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="the body is not JSON in UTF-8"):
        parse(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"true"])
def test_not_an_object(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="the body is not a JSON object"):
        parse(body)


@pytest.mark.parametrize(
    "text",
    ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"],
)
def test_key(text: str) -> None:
    message = pb.NewClientRequest()
    fill(message, {"key": text, "client": {"name": "pump", "more": 1}})
    assert message == pb.NewClientRequest(key=KEY, client=pb.Client(name="pump"))


@given(data=st.binary())
def test_base64_of_either_alphabet(data: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for text in (encode(data).decode(), encode(data).decode().rstrip("=")):
            message = pb.NewClientRequest()
            fill(message, {"key": text})
            assert message.key == data


@pytest.mark.parametrize(
    "text", ["!", "A", "AAAAA", "AA AA", "AA\nAA", "AA==AA", "é", "\ud800", "AAA.", "=A"]
)
def test_not_base64(text: str) -> None:
    with pytest.raises(InvalidRequest, match="key is not base64"):
        fill(pb.NewClientRequest(), {"key": text})


@pytest.mark.parametrize(
    ("message", "members", "text"),
    [
        (pb.NewClientRequest, {"key": 5}, "key must be base64 in a string"),
        (pb.NewClientRequest, {"key": [1, 2]}, "key must be base64 in a string"),
        (pb.NewClientRequest, {"client": "pump"}, "client must be an object"),
        (pb.NewClientRequest, {"client": {"name": 5}}, "name must be a string"),
        (pb.ProtectMessageRequest, {"topic": False}, "topic must be a string"),
        (pb.ProtectMessageRequest, {"topic": "\ud800"}, "topic is not Unicode"),
        (pb.NewC2KeyRequest, {"force": "true"}, "force must be true or false"),
        (pb.NewC2KeyRequest, {"force": 1}, "force must be true or false"),
    ],
)
def test_wrong_types(message: Any, members: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{text}$"):
        fill(message(), members)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("+5", 5), ("-1", -1), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63))],
)
def test_numbers(text: str, number: int) -> None:
    message = pb.GetClientsRequest()
    set_text(message, "count", text)
    assert message.count == number


NOT_NUMBERS = ["", " 1", "1 ", "1.0", "1e2", "0x10", "1_0", "٣", "x", "9" * 50, str(2**63), str(-(2**63) - 1)]


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_not_numbers(text: str) -> None:
    with pytest.raises(InvalidRequest, match="offset must be a whole number of 64 bits"):
        set_text(pb.GetClientsRequest(), "offset", text)


def test_dotted() -> None:
    message = pb.LinkClientRequest()
    set_text(message, "sourceClient.name", "pump")
    assert message == pb.LinkClientRequest(sourceClient=pb.Client(name="pump"))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["name", "client", "key", "topic"]), inner)
    ),
)


@given(
    members=st.dictionaries(
        st.sampled_from(["client", "key", "topic", "binaryData", "force", "sourceClient"]), json_values
    ),
    call=st.sampled_from([rule.call for rule in RULES if rule.body]),
)
def test_any_object_is_read_or_refused(members: dict[str, Any], call: str) -> None:
    message = OPERATIONS[call].request()
    try:
        fill(message, parse(json.dumps(members).encode()))
    except InvalidRequest:
        return
    render(message)


def test_bodies_have_no_types_but_those_that_are_read() -> None:
    known = {getattr(FieldDescriptor, f"TYPE_{name}") for name in ("STRING", "BYTES", "BOOL", "MESSAGE")}
    for rule in RULES:
        if rule.body:
            assert {field.type for field in OPERATIONS[rule.call].request.DESCRIPTOR.fields} <= known
