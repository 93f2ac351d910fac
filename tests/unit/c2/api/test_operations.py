"""Every call of the interface: its messages and numbers as in section 3.1, what it asks of the service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor

from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.api.grpc.events import render
from e4.c2.api.grpc.operations import OPERATIONS, STREAM
from e4.c2.model import ANYBODY, Call, Client, Event, EventKind, Topic
from e4.errors import InvalidRequest, NotFound
from tests.unit.c2.api._fakes import FakeService

CALL = Call(ANYBODY, "r1")
FOLDER = Path(pb.__file__).parent

# Section 3.1: fields in the order of their numbers, "*" for repeated ones.
CLIENT = "client:Client"
PAGE = "offset:int64 count:int64"
INTERFACE = {
    "NewClient": (f"{CLIENT} key:bytes", ""),
    "RemoveClient": (CLIENT, ""),
    "ResetClient": (CLIENT, ""),
    "NewClientKey": (CLIENT, ""),
    "NewTopic": ("topic:string", ""),
    "RemoveTopic": ("topic:string", ""),
    "NewTopicClient": (f"{CLIENT} topic:string", ""),
    "RemoveTopicClient": (f"{CLIENT} topic:string", ""),
    "CountTopicsForClient": (CLIENT, "count:int64"),
    "GetTopicsForClient": (f"{CLIENT} {PAGE}", "topics:string*"),
    "CountClientsForTopic": ("topic:string", "count:int64"),
    "GetClientsForTopic": (f"topic:string {PAGE}", "clients:Client*"),
    "CountClients": ("", "count:int64"),
    "CountTopics": ("", "count:int64"),
    "GetClients": (PAGE, "clients:Client*"),
    "GetTopics": (PAGE, "topics:string*"),
    "LinkClient": ("sourceClient:Client targetClient:Client", ""),
    "UnlinkClient": ("sourceClient:Client targetClient:Client", ""),
    "CountLinkedClients": (CLIENT, "count:int64"),
    "GetLinkedClients": (f"{CLIENT} {PAGE}", "clients:Client*"),
    "SendClientPubKey": ("sourceClient:Client targetClient:Client", ""),
    "RemoveClientPubKey": ("sourceClient:Client targetClient:Client", ""),
    "ResetClientPubKeys": ("targetClient:Client", ""),
    "NewC2Key": ("force:bool", ""),
    "ProtectMessage": ("topic:string binaryData:bytes", "topic:string protectedBinaryData:bytes"),
    "UnprotectMessage": ("topic:string protectedBinaryData:bytes", "topic:string binaryData:bytes"),
    "HealthCheck": ("", "Code:int64 Status:string"),
    "GetCryptoMode": ("", "CryptoMode:CryptoMode"),
}
_TYPES = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name for name in ("string", "bytes", "bool", "int64")
}


def fields_of(message: Any) -> str:
    words = []
    for number, field in enumerate(message.fields, 1):
        assert field.number == number
        kind = field.message_type or field.enum_type
        words.append(f"{field.name}:{kind.name if kind else _TYPES[field.type]}{'*' * field.is_repeated}")
    return " ".join(words)


def test_calls_and_messages() -> None:
    service = pb.DESCRIPTOR.services_by_name["C2"]
    assert pb.DESCRIPTOR.package == "pb"
    found = {}
    for method in service.methods:
        assert not method.client_streaming
        assert method.server_streaming == (method.name == STREAM)
        assert method.input_type.name == f"{method.name}Request"
        if method.name != STREAM:
            assert method.output_type.name == f"{method.name}Response"
            found[method.name] = (fields_of(method.input_type), fields_of(method.output_type))
    assert found == INTERFACE
    assert set(OPERATIONS) == set(INTERFACE)


def test_the_event_stream_and_the_enums() -> None:
    assert service_output() == "type:EventType source:string target:string timestamp:Timestamp"
    assert (
        pb.Event.DESCRIPTOR.fields_by_name["timestamp"].message_type.full_name == "google.protobuf.Timestamp"
    )
    assert fields_of(pb.Client.DESCRIPTOR) == "name:string"
    assert dict(pb.EventType.items()) == {"UNDEFINED": 0, "CLIENT_SUBSCRIBED": 1, "CLIENT_UNSUBSCRIBED": 2}
    assert dict(pb.CryptoMode.items()) == {
        "CRYPTOMODE_UNDEFINED": 0,
        "CRYPTOMODE_SYMKEY": 1,
        "CRYPTOMODE_PUBKEY": 2,
    }


def service_output() -> str:
    method = pb.DESCRIPTOR.services_by_name["C2"].methods_by_name[STREAM]
    assert method.output_type.name == "Event"
    return fields_of(method.output_type)


def test_the_generated_files_are_those_of_the_proto_file(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc")
    root, name = FOLDER.parents[3], "e4/c2/api/grpc/c2.proto"
    include = Path(protoc.__file__).parent / "_proto"
    arguments = [f"-I{root}", f"-I{include}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", name]
    assert protoc.main(["protoc", f"--descriptor_set_out={tmp_path / 'set'}", *arguments]) == 0

    [made] = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    made.ClearField("source_code_info")
    committed = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(committed)
    for message in made.message_type:  # the compiler writes names for JSON, the pool leaves them out
        for field in message.field:
            field.ClearField("json_name")
    assert made == committed

    def text(file: Path) -> str:  # but for the compiler's version
        return re.sub(r"(?m)^(# Protobuf Python Version: .*|    \d+,)$", "", file.read_text())

    fresh = (tmp_path / name).with_name("c2_pb2.py")
    assert text(fresh) == text(FOLDER / "c2_pb2.py")
    stub = fresh.with_suffix(".pyi").read_text()
    assert [line for line in stub.splitlines() if line.startswith("class")] == [
        line for line in (FOLDER / "c2_pb2.pyi").read_text().splitlines() if line.startswith("class")
    ]


def test_the_generated_code_loads_with_the_oldest_protobuf_allowed() -> None:
    text = (FOLDER / "c2_pb2.py").read_text()
    [version] = [line for line in text.splitlines() if line.startswith("# Protobuf Python Version: ")]
    assert tuple(map(int, version.rpartition(" ")[2].split("."))) <= (6, 33, 0)


PUMP, TANK = pb.Client(name="pump"), pb.Client(name="tank")
A, B = (Client(i, bytes(16), name, False, 1, 0, 0) for i, name in enumerate(("a", "b")))
T = Topic(1, "a/b", bytes(16), 1, 0, 0)


@pytest.mark.parametrize(
    ("call", "request_", "asked", "result", "answer"),
    [
        ("NewClient", {"client": PUMP, "key": b"k"}, ("clients.new_client", ("pump", b"k")), A, {}),
        ("RemoveClient", {"client": PUMP}, ("clients.remove_client", ("pump",)), None, {}),
        ("ResetClient", {"client": PUMP}, ("clients.reset_client", ("pump",)), None, {}),
        ("NewClientKey", {"client": PUMP}, ("keys.new_client_key", ("pump",)), A, {}),
        ("CountClients", {}, ("clients.count_clients", ()), 3, {"count": 3}),
        ("GetClients", {"offset": 2, "count": 9}, ("clients.get_clients", (2, 9)), [A, B], {"clients": "ab"}),
        ("NewTopic", {"topic": "t"}, ("topics.new_topic", ("t",)), (T, None), {}),
        ("RemoveTopic", {"topic": "t"}, ("topics.remove_topic", ("t",)), None, {}),
        ("CountTopics", {}, ("topics.count_topics", ()), 0, {}),
        ("GetTopics", {"count": 100}, ("topics.get_topics", (0, 100)), [T], {"topics": ["a/b"]}),
        ("GetTopics", {"count": 101}, ("topics.get_topics", (0, 101)), [], {}),
        ("GetClients", {"count": 2**62}, ("clients.get_clients", (0, 10_000)), [], {}),
        ("GetClients", {"offset": -1, "count": -2}, ("clients.get_clients", (-1, -2)), [], {}),
        (
            "NewTopicClient",
            {"client": PUMP, "topic": "t"},
            ("members.new_topic_client", ("pump", "t")),
            None,
            {},
        ),
        (
            "RemoveTopicClient",
            {"client": PUMP, "topic": "t"},
            ("members.remove_topic_client", ("pump", "t")),
            None,
            {},
        ),
        (
            "CountTopicsForClient",
            {"client": PUMP},
            ("members.count_topics_for_client", ("pump",)),
            1,
            {"count": 1},
        ),
        (
            "GetTopicsForClient",
            {"client": PUMP, "offset": 1, "count": 2**40},
            ("members.get_topics_for_client", ("pump", 1, 10_000)),
            [T],
            {"topics": ["a/b"]},
        ),
        (
            "CountClientsForTopic",
            {"topic": "t"},
            ("members.count_clients_for_topic", ("t",)),
            1,
            {"count": 1},
        ),
        (
            "GetClientsForTopic",
            {"topic": "t", "count": 500},
            ("members.get_clients_for_topic", ("t", 0, 500)),
            [A],
            {"clients": "a"},
        ),
        (
            "LinkClient",
            {"sourceClient": PUMP, "targetClient": TANK},
            ("links.link_client", ("pump", "tank")),
            None,
            {},
        ),
        (
            "UnlinkClient",
            {"sourceClient": PUMP, "targetClient": TANK},
            ("links.unlink_client", ("pump", "tank")),
            None,
            {},
        ),
        ("CountLinkedClients", {"client": PUMP}, ("links.count_linked_clients", ("pump",)), 1, {"count": 1}),
        (
            "GetLinkedClients",
            {"client": PUMP, "count": 5},
            ("links.get_linked_clients", ("pump", 0, 5)),
            [B],
            {"clients": "b"},
        ),
        (
            "SendClientPubKey",
            {"sourceClient": PUMP, "targetClient": TANK},
            ("links.send_client_pubkey", ("tank", "pump")),
            None,
            {},
        ),
        (
            "RemoveClientPubKey",
            {"sourceClient": PUMP, "targetClient": TANK},
            ("links.remove_client_pubkey", ("tank", "pump")),
            None,
            {},
        ),
        ("ResetClientPubKeys", {"targetClient": TANK}, ("links.reset_client_pubkeys", ("tank",)), None, {}),
        ("NewC2Key", {"force": True}, ("keys.new_c2_key", (True,)), object(), {}),
        ("NewC2Key", {}, ("keys.new_c2_key", (False,)), object(), {}),
        (
            "ProtectMessage",
            {"topic": "t", "binaryData": b"d"},
            ("messages.protect_message", ("t", b"d")),
            b"p",
            {"topic": "t", "protectedBinaryData": b"p"},
        ),
        (
            "UnprotectMessage",
            {"topic": "t", "protectedBinaryData": b"p"},
            ("messages.unprotect_message", ("t", b"p")),
            b"d",
            {"topic": "t", "binaryData": b"d"},
        ),
        ("HealthCheck", {}, ("events.last_event", ()), 5, {"Status": "OK"}),
        ("GetCryptoMode", {}, ("keys.get_crypto_mode", ()), "symkey", {"CryptoMode": pb.CRYPTOMODE_SYMKEY}),
        ("GetCryptoMode", {}, ("keys.get_crypto_mode", ()), "pubkey", {"CryptoMode": pb.CRYPTOMODE_PUBKEY}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_asks_the_service(
    call: str, request_: dict[str, Any], asked: tuple[str, Any], result: object, answer: dict[str, Any]
) -> None:
    operation = OPERATIONS[call]
    service = FakeService({asked[0]: result})
    if isinstance(answer.get("clients"), str):
        answer = {"clients": [pb.Client(name=name) for name in answer["clients"]]}
    sent = operation.parse(operation.request(**request_).SerializeToString())
    assert operation(service, CALL, sent) == operation.response(**answer)  # type: ignore[arg-type]
    assert service.asked == [asked]
    assert service.calls == [CALL]


def test_no_client_is_one_without_a_name() -> None:
    service = FakeService({"clients.remove_client": NotFound()})
    with pytest.raises(NotFound):
        OPERATIONS["RemoveClient"](service, CALL, pb.RemoveClientRequest())  # type: ignore[arg-type]
    assert service.asked == [("clients.remove_client", ("",))]


@pytest.mark.parametrize("data", [b"\x0a", b"\xff", b"\x0a\x03\x0a\x01\xff"])
def test_not_the_message(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not a NewClientRequest"):
        OPERATIONS["NewClient"].parse(data)


def test_events() -> None:
    at = 1_700_000_000_123
    added = render(Event(1, EventKind.MEMBERSHIP_ADDED, "pump", "a/b", at))
    assert added == pb.Event(
        type=pb.CLIENT_SUBSCRIBED, source="pump", target="a/b", timestamp=added.timestamp
    )
    assert added.timestamp.ToMilliseconds() == at
    removed = render(Event(2, EventKind.MEMBERSHIP_REMOVED, "pump", "a/b", at))
    assert removed is not None
    assert removed.type == pb.CLIENT_UNSUBSCRIBED
    others = set(EventKind) - {EventKind.MEMBERSHIP_ADDED, EventKind.MEMBERSHIP_REMOVED}
    assert [render(Event(3, kind, "pump", "a/b", at)) for kind in others] == [None] * len(others)
