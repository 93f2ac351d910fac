"""The bodies of requests, which are checked here, and those of answers, for the OpenAPI description.

Answers are written by `e4.c2.jsonform`; a test holds them against what is described here.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)

from e4.c2.api.http.v1.encodings import base64_bytes, hex_id, key_bytes, moment
from e4.c2.jsonform import KINDS
from e4.c2.model import CommandState, EventKind, JobKind, JobState, KeyState, Mode, Role
from e4.errors import InvalidRequest

T = TypeVar("T")

_BATCH = 1000
_ID_TEXT = "522b276a356bdf39013dfabea2cd43e1"


def _schema(text: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": text, **more})


# --- Requests


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


NameIn = Annotated[str, Field(min_length=1, max_length=255, examples=["sensor-1"])]
TopicIn = Annotated[str, Field(min_length=1, max_length=65535, examples=["plant/boiler/temperature"])]
IdIn = Annotated[
    bytes,
    BeforeValidator(hex_id),
    _schema("16 bytes in hex", pattern="^[0-9a-fA-F]{32}$", examples=[_ID_TEXT]),
]
KeyIn = Annotated[
    bytes,
    BeforeValidator(key_bytes),
    _schema(
        "32 bytes in base64 or hex: the symmetric key (symkey), or the Ed25519 public key (pubkey)",
        pattern="^([0-9a-fA-F]{64}|[0-9a-zA-Z+/]{43}=)$",
        examples=["X9KAyX5BLJ+ITeGzUNUcqYFgMkjgqfoMAzGdZi4yMDA="],
        writeOnly=True,
    ),
]
DataIn = Annotated[
    bytes,
    BeforeValidator(base64_bytes),
    _schema("base64", contentEncoding="base64", minLength=4, examples=["MjEuNSBDZWxzaXVz"]),
]


class NewClientKey(_In):
    """The key of a client that the path names."""

    key: KeyIn = Field(repr=False)


class NewClient(_In):
    """A client to register: by its name, or by its id alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["name"]}, {"required": ["id"]}],
            "example": {"name": "sensor-1", "key": "X9KAyX5BLJ+ITeGzUNUcqYFgMkjgqfoMAzGdZi4yMDA="},
        }
    )

    name: NameIn = ""
    id: IdIn = b""
    key: KeyIn = Field(repr=False)

    @model_validator(mode="after")
    def _one_of_both(self) -> NewClient:
        if bool(self.name) == bool(self.id):
            raise InvalidRequest("give either name or id")
        return self

    def client(self) -> str | bytes:
        """The name; or the id, where it is registered by that alone."""
        return self.name or self.id


class NewClients(_In):
    """Clients to register: all, or none if one is refused."""

    clients: list[NewClient] = Field(min_length=1, max_length=_BATCH)


class Names(_In):
    """Clients that something is done to: to all, or to none if one is unknown."""

    clients: list[NameIn] = Field(min_length=1, max_length=_BATCH)


class Membership(_In):
    """A client and a topic."""

    client: NameIn
    topic: TopicIn


class Memberships(_In):
    """Memberships that something is done to: to all, or to none if a client or topic is unknown."""

    memberships: list[Membership] = Field(min_length=1, max_length=_BATCH)

    def pairs(self) -> list[tuple[str | bytes, str]]:
        """As the service takes them."""
        return [(each.client, each.topic) for each in self.memberships]


class NewTopic(_In):
    """A topic to make, or to rotate."""

    name: TopicIn


class Force(_In):
    """Whether something far-reaching is meant."""

    force: StrictBool = Field(default=False, description="must be true")


class Plain(_In):
    """Data to protect."""

    topic: TopicIn
    data: DataIn = Field(repr=False)


class Protected(_In):
    """A message to open."""

    topic: TopicIn
    protected: DataIn = Field(repr=False)


class NewToken(_In):
    """A token to make."""

    name: str = Field(min_length=1, max_length=255, examples=["dashboard"])
    role: Role
    protect: StrictBool = Field(default=False, description="the right to protect and unprotect messages")
    expires_at: Annotated[
        int | None,
        BeforeValidator(moment),
        WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
    ] = None


# --- Answers


class _Out(BaseModel):
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


Hex16 = Annotated[str, Field(pattern="^[0-9a-f]{32}$", examples=[_ID_TEXT])]
Time = Annotated[
    str,
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-05-08T12:30:00.125Z"]}),
]
MaybeTime = Annotated[
    str | None, WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]})
]
Count = Annotated[int, Field(ge=0)]


class Problem(_Out):
    """An error (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str = Field(description="what went wrong; never a key")
    code: str = Field(description="name of the error", examples=["NotFound"])
    request_id: str = Field(description="under which the log and the audit have it")


class _Many(_Out):
    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """The name in the description: `PageOfClient`."""
        return f"{cls.__name__}{params[0].__name__.removesuffix('Out')}"


class PageOf(_Many, Generic[T]):
    """Some items in order."""

    items: list[T]
    next: str | None = Field(description="cursor of the next page; null if this was the last")


class ListOf(_Many, Generic[T]):
    """Items in the order in which they were given."""

    items: list[T]


class KeyOut(_Out):
    """All of a key but the key."""

    version: Count
    state: KeyState
    created_at: Time


class ClientOut(_Out):
    """A client."""

    id: Hex16
    name: str = Field(description="the id, where it was registered by id alone")
    by_id: bool
    key_version: Count
    c2_key_version: Count = Field(description="0 in symkey mode")
    created_at: Time


class TopicOut(_Out):
    """A topic; `version` counts its keys."""

    name: str
    hash: Hex16
    version: Count
    created_at: Time
    rotated_at: Time


class CommandOut(_Out):
    """A command and how far it has come."""

    id: int
    client: str = Field(description="name; or the hex id of a client that was removed")
    kind: str = Field(json_schema_extra={"enum": list(KINDS)})
    subject: str = Field(
        description="the topic or the other client, if the kind has one and it is still there"
    )
    state: CommandState
    attempts: Count
    error: str = Field(description="why the last attempt failed; empty if none did")
    created_at: Time
    sent_at: MaybeTime
    timestamp: int | None = Field(description="as sent: seconds since the epoch")
    job: int | None


class RetriedOut(_Out):
    """How many commands are tried again."""

    count: Count


class JobOut(_Out):
    """Work on many clients, and how far it has come."""

    id: int
    kind: JobKind
    subject: str
    state: JobState
    total: Count = Field(description="clients to send to; final once all commands are queued")
    queued: Count
    done: Count = Field(description="commands that were sent, or became needless")
    created_at: Time
    finished_at: MaybeTime


class ClientDetailsOut(_Out):
    """A client with what belongs to it."""

    client: ClientOut
    keys: list[KeyOut]
    topics: Count
    links: Count
    queued: Count = Field(description="commands that wait")
    last_commands: list[CommandOut] = Field(max_length=10, description="newest first")


class TopicDetailsOut(_Out):
    """A topic with what belongs to it."""

    topic: TopicOut
    keys: list[KeyOut]
    clients: Count
    job: JobOut | None = Field(description="the newest")


class NewTopicOut(_Out):
    """A topic that was made or rotated, and the job that sends its key; null where it has no members."""

    topic: TopicOut
    job: JobOut | None


class C2KeyOut(_Out):
    """The public half of C2's key."""

    public_key: str = Field(description="X25519, 32 bytes in base64", min_length=44, max_length=44)


class ProtectedOut(_Out):
    """A protected message."""

    protected: str = Field(description="base64")


class PlainOut(_Out):
    """What a message held."""

    data: str = Field(description="base64")


class EventOut(_Out):
    """Something that happened."""

    number: int
    kind: EventKind
    source: str
    target: str
    at: Time


class AuditRowOut(_Out):
    """Who did what, when, and how it ended."""

    number: int
    at: Time
    actor: str
    peer: str
    request_id: str
    operation: str
    subject: str
    outcome: str = Field(description="`done`, or the name of the error")
    hash: str = Field(pattern="^[0-9a-f]{64}$")


class AuditCheckOut(_Out):
    """What a check of the audit found."""

    rows: Count = Field(description="rows that are as they were")
    broken: int | None = Field(description="number of the first that is not")
    head: str = Field(pattern="^([0-9a-f]{64})?$", description="hash of the last row that is as it was")


class TokenOut(_Out):
    """A token without its secret."""

    id: int
    name: str
    role: Role
    protect: bool
    created_at: Time
    expires_at: MaybeTime
    revoked_at: MaybeTime


class NewTokenOut(_Out):
    """A new token and its secret, which cannot be had again."""

    token: TokenOut
    secret: str


class ServerInfoOut(_Out):
    """What a server tells of itself."""

    mode: Mode
    version: str
    clients: Count
    topics: Count
