"""Every call of the deployed interface but the event stream: its messages, and what it asks of the service.

One table for gRPC and for the deployed HTTP interface. Decides nothing: what is valid, who may do it and what
it does is the service's business. A client that a request does not name has the empty name, which is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.model import Call, Client, Topic
from e4.c2.service import Service
from e4.errors import InvalidRequest

__all__ = ["OPERATIONS", "STREAM", "Operation"]

STREAM = "SubscribeToEventStream"

_PAGE_MAX = 10_000  # an answer is one message; the service's own limits are lower for some lists

# What a call asks of the service: the members of its answer. What a void answer is given is left out.
_Run = Callable[[Service, Call, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: the types of its messages, and what it does."""

    name: str
    request: type[Message]
    response: type[Message]
    _run: _Run

    def parse(self, data: bytes) -> Message:
        """The request from its protobuf form.

        Raises:
            InvalidRequest: it is not of that form.
        """
        try:
            return self.request.FromString(data)
        except DecodeError:
            raise InvalidRequest(f"not a {self.request.DESCRIPTOR.name}") from None

    def __call__(self, service: Service, call: Call, request: Message) -> Message:
        """Do it, and give the answer.

        Raises:
            E4Error: as the service does.
        """
        return self.response(**self._run(service, call, request))


def _void(run: Callable[[Service, Call, Any], object]) -> _Run:
    def answer(service: Service, call: Call, request: Any) -> Mapping[str, Any]:
        run(service, call, request)
        return {}

    return answer


def _clients(found: Iterable[Client]) -> Mapping[str, Any]:
    return {"clients": [pb.Client(name=client.name) for client in found]}


def _topics(found: Iterable[Topic]) -> Mapping[str, Any]:
    return {"topics": [topic.name for topic in found]}


def _page(request: Any) -> tuple[int, int]:
    return request.offset, min(request.count, _PAGE_MAX)


def _protect(service: Service, call: Call, request: Any) -> Mapping[str, Any]:
    message = service.messages.protect_message(call, request.topic, request.binaryData)
    return {"topic": request.topic, "protectedBinaryData": message}


def _unprotect(service: Service, call: Call, request: Any) -> Mapping[str, Any]:
    data = service.messages.unprotect_message(call, request.topic, request.protectedBinaryData)
    return {"topic": request.topic, "binaryData": data}


def _health(service: Service, call: Call, request: Any) -> Mapping[str, Any]:
    service.events.last_event(call)  # the database answers
    return {"Code": 0, "Status": "OK"}


def _mode(service: Service, call: Call, request: Any) -> Mapping[str, Any]:
    return {"CryptoMode": f"CRYPTOMODE_{service.keys.get_crypto_mode(call).upper()}"}


_RUN: dict[str, _Run] = {
    "NewClient": _void(lambda s, c, r: s.clients.new_client(c, r.client.name, r.key)),
    "RemoveClient": _void(lambda s, c, r: s.clients.remove_client(c, r.client.name)),
    "ResetClient": _void(lambda s, c, r: s.clients.reset_client(c, r.client.name)),
    "NewClientKey": _void(lambda s, c, r: s.keys.new_client_key(c, r.client.name)),
    "CountClients": lambda s, c, r: {"count": s.clients.count_clients(c)},
    "GetClients": lambda s, c, r: _clients(s.clients.get_clients(c, *_page(r))),
    "NewTopic": _void(lambda s, c, r: s.topics.new_topic(c, r.topic)),
    "RemoveTopic": _void(lambda s, c, r: s.topics.remove_topic(c, r.topic)),
    "CountTopics": lambda s, c, r: {"count": s.topics.count_topics(c)},
    "GetTopics": lambda s, c, r: _topics(s.topics.get_topics(c, *_page(r))),
    "NewTopicClient": _void(lambda s, c, r: s.members.new_topic_client(c, r.client.name, r.topic)),
    "RemoveTopicClient": _void(lambda s, c, r: s.members.remove_topic_client(c, r.client.name, r.topic)),
    "CountTopicsForClient": lambda s, c, r: {"count": s.members.count_topics_for_client(c, r.client.name)},
    "GetTopicsForClient": lambda s, c, r: _topics(
        s.members.get_topics_for_client(c, r.client.name, *_page(r))
    ),
    "CountClientsForTopic": lambda s, c, r: {"count": s.members.count_clients_for_topic(c, r.topic)},
    "GetClientsForTopic": lambda s, c, r: _clients(s.members.get_clients_for_topic(c, r.topic, *_page(r))),
    "LinkClient": _void(lambda s, c, r: s.links.link_client(c, r.sourceClient.name, r.targetClient.name)),
    "UnlinkClient": _void(lambda s, c, r: s.links.unlink_client(c, r.sourceClient.name, r.targetClient.name)),
    "CountLinkedClients": lambda s, c, r: {"count": s.links.count_linked_clients(c, r.client.name)},
    "GetLinkedClients": lambda s, c, r: _clients(s.links.get_linked_clients(c, r.client.name, *_page(r))),
    "SendClientPubKey": _void(
        lambda s, c, r: s.links.send_client_pubkey(c, r.targetClient.name, r.sourceClient.name)
    ),
    "RemoveClientPubKey": _void(
        lambda s, c, r: s.links.remove_client_pubkey(c, r.targetClient.name, r.sourceClient.name)
    ),
    "ResetClientPubKeys": _void(lambda s, c, r: s.links.reset_client_pubkeys(c, r.targetClient.name)),
    "NewC2Key": _void(lambda s, c, r: s.keys.new_c2_key(c, r.force)),
    "ProtectMessage": _protect,
    "UnprotectMessage": _unprotect,
    "HealthCheck": _health,
    "GetCryptoMode": _mode,
}


def _operation(method: MethodDescriptor) -> Operation:
    request, response = (GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    return Operation(method.name, request, response, _RUN[method.name])


OPERATIONS: dict[str, Operation] = {
    method.name: _operation(method)
    for method in pb.DESCRIPTOR.services_by_name["C2"].methods
    if method.name != STREAM
}
