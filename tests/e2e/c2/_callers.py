"""Two callers of the deployed interface, HTTP and gRPC; they know the server's messages, none of its code."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass

from e4.c2.api.grpc import c2_pb2 as pb
from tests.e2e.c2._server import SOON, Listening

Fields = dict[str, Any]

# Section 3.2. "?" after a path: the other fields go into the query; "=": into the body.
PATHS = {
    "NewClient": "POST /e4/client/{client}=",
    "RemoveClient": "DELETE /e4/client/{client}",
    "ResetClient": "PUT /e4/client/{client}",
    "NewClientKey": "PATCH /e4/client/{client}",
    "NewTopic": "POST /e4/topic/{topic}",
    "RemoveTopic": "DELETE /e4/topic/{topic}",
    "NewTopicClient": "PUT /e4/client/{client}/topic/{topic}",
    "RemoveTopicClient": "DELETE /e4/client/{client}/topic/{topic}",
    "CountTopicsForClient": "GET /e4/client/{client}/topics/count",
    "GetTopicsForClient": "GET /e4/client/{client}/topics?",
    "CountClientsForTopic": "GET /e4/topic/{topic}/clients/count",
    "GetClientsForTopic": "GET /e4/topic/{topic}/clients?",
    "CountClients": "GET /e4/clients/count",
    "GetClients": "GET /e4/clients?",
    "CountTopics": "GET /e4/topics/count",
    "GetTopics": "GET /e4/topics?",
    "LinkClient": "POST /e4/client/{targetClient}/link/{sourceClient}",
    "UnlinkClient": "DELETE /e4/client/{targetClient}/unlink/{sourceClient}",
    "CountLinkedClients": "GET /e4/client/{client}/link/count",
    "GetLinkedClients": "GET /e4/client/{client}/link?",
    "SendClientPubKey": "POST /e4/send-client-pubkey=",
    "RemoveClientPubKey": "POST /e4/remove-client-pubkey=",
    "ResetClientPubKeys": "POST /e4/reset-client-pubkeys=",
    "NewC2Key": "POST /e4/new-c2-key=",
    "ProtectMessage": "POST /e4/protect-message=",
    "UnprotectMessage": "POST /e4/unprotect-message=",
    "HealthCheck": "GET /e4/health-check",
    "GetCryptoMode": "GET /e4/crypto-mode",
}
HTTP_STATUS = {0: 200, 3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 16: 401}
_METHODS = pb.DESCRIPTOR.services_by_name["C2"].methods_by_name


@dataclass(frozen=True)
class Answered:
    """Code 0 and the members of the answer, or another code and the text of the error."""

    code: int
    content: Any


class HttpCaller:
    """Over one connection."""

    def __init__(self, server: Listening) -> None:
        self.token: str | None = None
        context = ssl.create_default_context(cafile=server.ca)
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", server.http, context=context, timeout=SOON
        )

    def __call__(self, call: str, fields: Fields) -> Answered:
        verb, _, path = PATHS[call].partition(" ")
        rest, body = dict(fields), None
        for name in ("client", "targetClient", "sourceClient", "topic"):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", quote(rest.pop(name, ""), safe=""))
        if path.endswith("?"):
            path += urlencode(rest)
        elif path.endswith("="):
            path = path[:-1]
            body = json.dumps({name: _member(name, value) for name, value in rest.items()})
        status, _, data = self.raw(verb, path, body)
        answer = json.loads(data)
        if status == 200:
            return Answered(0, answer)
        assert answer == {
            "error": answer["message"],
            "code": answer["code"],
            "message": answer["message"],
            "details": [],
        }
        assert HTTP_STATUS[answer["code"]] == status
        return Answered(answer["code"], answer["message"])

    def raw(self, verb: str, path: str, body: str | bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self._connection.request(verb, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def close(self) -> None:
        self._connection.close()


class GrpcCaller:
    """Over one channel."""

    def __init__(self, server: Listening) -> None:
        self.token: str | None = None
        credentials = grpc.ssl_channel_credentials(server.ca.read_bytes())
        self._channel = grpc.secure_channel(f"127.0.0.1:{server.grpc}", credentials)

    def __call__(self, call: str, fields: Fields) -> Answered:
        method = _METHODS[call]
        request = GetMessageClass(method.input_type)()
        for name, value in fields.items():
            if name.lower().endswith("client"):
                getattr(request, name).name = value
            else:
                setattr(request, name, value)
        ask = self._channel.unary_unary(
            f"/pb.C2/{call}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            answer = ask(request, timeout=SOON, metadata=self._metadata())
        except grpc.RpcError as error:
            return Answered(error.code().value[0], error.details())
        return Answered(
            0,
            MessageToDict(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            ),
        )

    def follow(self) -> Any:
        """The event stream; nothing escapes it once this returns."""
        call = self._channel.unary_stream(
            "/pb.C2/SubscribeToEventStream", response_deserializer=pb.Event.FromString
        )(b"", metadata=self._metadata())
        call.initial_metadata()
        return call

    def _metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    def close(self) -> None:
        self._channel.close()


def _member(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return {"name": value} if name.lower().endswith("client") else value
