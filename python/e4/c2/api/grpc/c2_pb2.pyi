import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNDEFINED: _ClassVar[EventType]
    CLIENT_SUBSCRIBED: _ClassVar[EventType]
    CLIENT_UNSUBSCRIBED: _ClassVar[EventType]

class CryptoMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CRYPTOMODE_UNDEFINED: _ClassVar[CryptoMode]
    CRYPTOMODE_SYMKEY: _ClassVar[CryptoMode]
    CRYPTOMODE_PUBKEY: _ClassVar[CryptoMode]
UNDEFINED: EventType
CLIENT_SUBSCRIBED: EventType
CLIENT_UNSUBSCRIBED: EventType
CRYPTOMODE_UNDEFINED: CryptoMode
CRYPTOMODE_SYMKEY: CryptoMode
CRYPTOMODE_PUBKEY: CryptoMode

class Client(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class NewClientRequest(_message.Message):
    __slots__ = ("client", "key")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    client: Client
    key: bytes
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., key: _Optional[bytes] = ...) -> None: ...

class NewClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveClientRequest(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class RemoveClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetClientRequest(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class ResetClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NewClientKeyRequest(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class NewClientKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountClientsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountClientsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetClientsRequest(_message.Message):
    __slots__ = ("offset", "count")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    offset: int
    count: int
    def __init__(self, offset: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetClientsResponse(_message.Message):
    __slots__ = ("clients",)
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    clients: _containers.RepeatedCompositeFieldContainer[Client]
    def __init__(self, clients: _Optional[_Iterable[_Union[Client, _Mapping]]] = ...) -> None: ...

class NewTopicRequest(_message.Message):
    __slots__ = ("topic",)
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    topic: str
    def __init__(self, topic: _Optional[str] = ...) -> None: ...

class NewTopicResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveTopicRequest(_message.Message):
    __slots__ = ("topic",)
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    topic: str
    def __init__(self, topic: _Optional[str] = ...) -> None: ...

class RemoveTopicResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountTopicsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountTopicsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetTopicsRequest(_message.Message):
    __slots__ = ("offset", "count")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    offset: int
    count: int
    def __init__(self, offset: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetTopicsResponse(_message.Message):
    __slots__ = ("topics",)
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    topics: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, topics: _Optional[_Iterable[str]] = ...) -> None: ...

class NewTopicClientRequest(_message.Message):
    __slots__ = ("client", "topic")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    client: Client
    topic: str
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., topic: _Optional[str] = ...) -> None: ...

class NewTopicClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveTopicClientRequest(_message.Message):
    __slots__ = ("client", "topic")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    client: Client
    topic: str
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., topic: _Optional[str] = ...) -> None: ...

class RemoveTopicClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountTopicsForClientRequest(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class CountTopicsForClientResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetTopicsForClientRequest(_message.Message):
    __slots__ = ("client", "offset", "count")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    offset: int
    count: int
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., offset: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetTopicsForClientResponse(_message.Message):
    __slots__ = ("topics",)
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    topics: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, topics: _Optional[_Iterable[str]] = ...) -> None: ...

class CountClientsForTopicRequest(_message.Message):
    __slots__ = ("topic",)
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    topic: str
    def __init__(self, topic: _Optional[str] = ...) -> None: ...

class CountClientsForTopicResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetClientsForTopicRequest(_message.Message):
    __slots__ = ("topic", "offset", "count")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    topic: str
    offset: int
    count: int
    def __init__(self, topic: _Optional[str] = ..., offset: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetClientsForTopicResponse(_message.Message):
    __slots__ = ("clients",)
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    clients: _containers.RepeatedCompositeFieldContainer[Client]
    def __init__(self, clients: _Optional[_Iterable[_Union[Client, _Mapping]]] = ...) -> None: ...

class LinkClientRequest(_message.Message):
    __slots__ = ("sourceClient", "targetClient")
    SOURCECLIENT_FIELD_NUMBER: _ClassVar[int]
    TARGETCLIENT_FIELD_NUMBER: _ClassVar[int]
    sourceClient: Client
    targetClient: Client
    def __init__(self, sourceClient: _Optional[_Union[Client, _Mapping]] = ..., targetClient: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class LinkClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UnlinkClientRequest(_message.Message):
    __slots__ = ("sourceClient", "targetClient")
    SOURCECLIENT_FIELD_NUMBER: _ClassVar[int]
    TARGETCLIENT_FIELD_NUMBER: _ClassVar[int]
    sourceClient: Client
    targetClient: Client
    def __init__(self, sourceClient: _Optional[_Union[Client, _Mapping]] = ..., targetClient: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class UnlinkClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountLinkedClientsRequest(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class CountLinkedClientsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetLinkedClientsRequest(_message.Message):
    __slots__ = ("client", "offset", "count")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    offset: int
    count: int
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., offset: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetLinkedClientsResponse(_message.Message):
    __slots__ = ("clients",)
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    clients: _containers.RepeatedCompositeFieldContainer[Client]
    def __init__(self, clients: _Optional[_Iterable[_Union[Client, _Mapping]]] = ...) -> None: ...

class SendClientPubKeyRequest(_message.Message):
    __slots__ = ("sourceClient", "targetClient")
    SOURCECLIENT_FIELD_NUMBER: _ClassVar[int]
    TARGETCLIENT_FIELD_NUMBER: _ClassVar[int]
    sourceClient: Client
    targetClient: Client
    def __init__(self, sourceClient: _Optional[_Union[Client, _Mapping]] = ..., targetClient: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class SendClientPubKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveClientPubKeyRequest(_message.Message):
    __slots__ = ("sourceClient", "targetClient")
    SOURCECLIENT_FIELD_NUMBER: _ClassVar[int]
    TARGETCLIENT_FIELD_NUMBER: _ClassVar[int]
    sourceClient: Client
    targetClient: Client
    def __init__(self, sourceClient: _Optional[_Union[Client, _Mapping]] = ..., targetClient: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class RemoveClientPubKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetClientPubKeysRequest(_message.Message):
    __slots__ = ("targetClient",)
    TARGETCLIENT_FIELD_NUMBER: _ClassVar[int]
    targetClient: Client
    def __init__(self, targetClient: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class ResetClientPubKeysResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NewC2KeyRequest(_message.Message):
    __slots__ = ("force",)
    FORCE_FIELD_NUMBER: _ClassVar[int]
    force: bool
    def __init__(self, force: bool = ...) -> None: ...

class NewC2KeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProtectMessageRequest(_message.Message):
    __slots__ = ("topic", "binaryData")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    BINARYDATA_FIELD_NUMBER: _ClassVar[int]
    topic: str
    binaryData: bytes
    def __init__(self, topic: _Optional[str] = ..., binaryData: _Optional[bytes] = ...) -> None: ...

class ProtectMessageResponse(_message.Message):
    __slots__ = ("topic", "protectedBinaryData")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PROTECTEDBINARYDATA_FIELD_NUMBER: _ClassVar[int]
    topic: str
    protectedBinaryData: bytes
    def __init__(self, topic: _Optional[str] = ..., protectedBinaryData: _Optional[bytes] = ...) -> None: ...

class UnprotectMessageRequest(_message.Message):
    __slots__ = ("topic", "protectedBinaryData")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PROTECTEDBINARYDATA_FIELD_NUMBER: _ClassVar[int]
    topic: str
    protectedBinaryData: bytes
    def __init__(self, topic: _Optional[str] = ..., protectedBinaryData: _Optional[bytes] = ...) -> None: ...

class UnprotectMessageResponse(_message.Message):
    __slots__ = ("topic", "binaryData")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    BINARYDATA_FIELD_NUMBER: _ClassVar[int]
    topic: str
    binaryData: bytes
    def __init__(self, topic: _Optional[str] = ..., binaryData: _Optional[bytes] = ...) -> None: ...

class SubscribeToEventStreamRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Event(_message.Message):
    __slots__ = ("type", "source", "target", "timestamp")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    type: EventType
    source: str
    target: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, type: _Optional[_Union[EventType, str]] = ..., source: _Optional[str] = ..., target: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HealthCheckRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HealthCheckResponse(_message.Message):
    __slots__ = ("Code", "Status")
    CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    Code: int
    Status: str
    def __init__(self, Code: _Optional[int] = ..., Status: _Optional[str] = ...) -> None: ...

class GetCryptoModeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCryptoModeResponse(_message.Message):
    __slots__ = ("CryptoMode",)
    CRYPTOMODE_FIELD_NUMBER: _ClassVar[int]
    CryptoMode: CryptoMode
    def __init__(self, CryptoMode: _Optional[_Union[CryptoMode, str]] = ...) -> None: ...
