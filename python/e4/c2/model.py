"""The values that storage, service, delivery and the APIs exchange. Imports none of them.

All times are whole milliseconds since the Unix epoch, UTC. No value here holds a key in the clear.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from e4 import _wire

__all__ = [
    "ANYBODY",
    "Actor",
    "AuditCheck",
    "AuditRow",
    "Call",
    "Client",
    "ClientDetails",
    "Command",
    "CommandKind",
    "CommandState",
    "Event",
    "EventKind",
    "ExportedClient",
    "ImportProgress",
    "Job",
    "JobKind",
    "JobState",
    "KeyInfo",
    "KeyState",
    "Mode",
    "Page",
    "Right",
    "Role",
    "ServerInfo",
    "Token",
    "Topic",
    "TopicDetails",
]

Mode = Literal["symkey", "pubkey"]
T = TypeVar("T")


class KeyState(enum.StrEnum):
    """Where a version of a key is in its life (C2, section 1)."""

    PENDING = "pending"  # made; the command that gives it has not reached the broker
    CURRENT = "current"
    PREVIOUS = "previous"  # kept until the current one is known to be in use


class CommandKind(enum.IntEnum):
    """A queued command's kind: the opcode of protocol section 4, or the end of a retained one."""

    REMOVE_TOPIC = _wire.REMOVE_TOPIC
    RESET_TOPICS = _wire.RESET_TOPICS
    SET_ID_KEY = _wire.SET_ID_KEY
    SET_TOPIC_KEY = _wire.SET_TOPIC_KEY
    REMOVE_PUB_KEY = _wire.REMOVE_PUB_KEY
    RESET_PUB_KEYS = _wire.RESET_PUB_KEYS
    SET_PUB_KEY = _wire.SET_PUB_KEY
    SET_C2_KEY = _wire.SET_C2_KEY
    CLEAR_RETAINED = 0x100  # not a command: an empty retained message, after a client was removed


class CommandState(enum.StrEnum):
    """Where a command is on its way."""

    QUEUED = "queued"
    SENT = "sent"  # the broker's PUBCOMP was seen
    SUPERSEDED = "superseded"  # a later operation made it needless before it was sent
    FAILED = "failed"  # refused by the broker, with a reason; it is tried again later, in its order


class JobKind(enum.StrEnum):
    """What a job sends, and to whom."""

    TOPIC_KEY = "topic-key"  # a rotated topic's key, to its members
    CLIENT_PUBLIC_KEY = "client-public-key"  # a client's new public key, to the clients linked to it
    C2_KEY = "c2-key"  # C2's new public key, to every client


class JobState(enum.StrEnum):
    """Where a job is."""

    RUNNING = "running"  # commands are still being queued or sent
    DONE = "done"
    SUPERSEDED = "superseded"  # a newer job of the same subject does the rest


class EventKind(enum.StrEnum):
    """What happened."""

    CLIENT_CREATED = "client.created"
    CLIENT_REPLACED = "client.replaced"  # an existing client got a key from the operator
    CLIENT_REMOVED = "client.removed"
    CLIENT_RESET = "client.reset"
    CLIENT_RESYNCED = "client.resynced"
    TOPIC_CREATED = "topic.created"
    TOPIC_REMOVED = "topic.removed"
    MEMBERSHIP_ADDED = "membership.added"  # source: client, target: topic
    MEMBERSHIP_REMOVED = "membership.removed"
    LINK_ADDED = "link.added"  # source: client, target: client
    LINK_REMOVED = "link.removed"
    KEY_TOPIC_ROTATED = "key.topic-rotated"
    KEY_CLIENT_PENDING = "key.client-pending"
    KEY_CLIENT_CURRENT = "key.client-current"
    KEY_CLIENT_CONFIRMED = "key.client-confirmed"
    KEY_C2_CURRENT = "key.c2-current"
    KEY_C2_CONFIRMED = "key.c2-confirmed"
    COMMAND_SENT = "command.sent"  # source: the client's name, target: the topic's or other client's, if any
    COMMAND_FAILED = "command.failed"
    JOB_DONE = "job.done"


class Role(enum.StrEnum):
    """What a token may do (C2, section 4.6); each role may do all that the one before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Right(enum.StrEnum):
    """What an operation asks of its caller."""

    VIEW = "view"
    OPERATE = "operate"
    ADMINISTER = "administer"
    PROTECT = "protect"  # separate: no role has it by itself


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls: a token's holder, or anybody where authentication is off."""

    name: str
    role: Role
    protect: bool
    token: int | None = None


ANYBODY = Actor("anybody", Role.ADMIN, protect=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: who, from where, and the id it has in the log.

    Args:
        actor: whose rights count.
        request_id: appears in the log and the audit.
        peer: address of the caller, for the audit; empty for the command line on the same machine.
        idempotency_key: a second call with the same key and actor has no second effect.
        fingerprint: what was asked for (a hash): the same key with another fingerprint is a `Conflict`.
        render: with an idempotency key, makes the answer that is stored beside the operation's effect: a
            status and a body, from the operation's result. The same call again gets it as it was.
    """

    actor: Actor
    request_id: str
    peer: str = ""
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    render: Callable[[Any], tuple[int, bytes]] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """A client.

    Args:
        row: number of its row, never used again.
        id: 16 bytes.
        name: unique; the id in lower-case hex where it was registered by id alone.
        by_id: whether it was registered by id alone.
        key_version: the newest version of its key: under which the next command is queued.
        c2_key_version: the version of C2's key that it will hold when its queue is sent; 0 in SK mode.
        created_at: when.
    """

    row: int
    id: bytes
    name: str
    by_id: bool
    key_version: int
    c2_key_version: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic; `version` counts its keys from 1, `hash` is 16 bytes."""

    row: int
    name: str
    hash: bytes
    version: int
    created_at: int
    rotated_at: int


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """All of a key but the key."""

    version: int
    state: KeyState
    created_at: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command and how far it has come.

    Args:
        id: rises; the order of sending among one client's commands.
        client: name of the client, or the hex id of one that was removed.
        subject: the topic's or the other client's name, if the kind has one and it still exists.
        attempts: how often the broker was given it, or refused it, without success.
        error: why the last attempt failed; empty if none did.
        timestamp: seconds since the epoch, as sent; None before.
    """

    id: int
    client: str
    kind: CommandKind
    subject: str
    state: CommandState
    attempts: int
    error: str
    created_at: int
    sent_at: int | None
    timestamp: int | None
    job: int | None


@dataclass(frozen=True, slots=True)
class ClientDetails:
    """What `show` tells of a client."""

    client: Client
    keys: tuple[KeyInfo, ...]
    topics: int
    links: int
    queued: int
    last_commands: tuple[Command, ...]  # newest first, at most 10


@dataclass(frozen=True, slots=True)
class TopicDetails:
    """What `show` tells of a topic."""

    topic: Topic
    keys: tuple[KeyInfo, ...]
    clients: int
    job: Job | None  # the newest of it


@dataclass(frozen=True, slots=True)
class Job:
    """Work on many clients.

    Args:
        subject: name of the topic or client it is about; empty for C2's key.
        total: clients to send to, as counted at its start; the final number once all are queued.
        queued: commands made so far.
        done: of these, sent or superseded.
        finished_at: None while it runs.
    """

    id: int
    kind: JobKind
    subject: str
    state: JobState
    total: int
    queued: int
    done: int
    created_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Numbers rise, and a reader never sees one appear below one it has seen."""

    number: int
    kind: EventKind
    source: str
    target: str
    at: int


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what, when, and how it ended.

    Args:
        number: from 1, without holes.
        hash: SHA-256 over the hash of the row before and this row's content, 32 bytes.
        outcome: ``done``, or the name of the error.
    """

    number: int
    at: int
    actor: str
    peer: str
    request_id: str
    operation: str
    subject: str
    outcome: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What a check of the audit's chain found.

    Args:
        rows: how many are as they were written.
        broken: number of the first that is not; None if all are.
        head: hash of the last good row, 32 bytes. Rows cut off at the end leave a chain that is whole: who
            noted an earlier head, and the number of its row, can tell.
    """

    rows: int
    broken: int | None = None
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret."""

    id: int
    name: str
    role: Role
    protect: bool
    created_at: int
    expires_at: int | None
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import has come: counts since its start, and the rows refused since the last report.

    Args:
        done: rows read; the sum of the counts that follow.
        created: clients, or memberships, that are new.
        replaced: clients that got another key.
        unchanged: rows that said what was so already.
        refused: rows that were left out.
        errors: line and reason of rows refused since the last report; the first line is 1.
    """

    done: int = 0
    created: int = 0
    replaced: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ExportedClient:
    """A client as an export has it, without its key.

    Args:
        topics: names of those it is a member of.
        links: names of the sources linked to it.
    """

    name: str
    id: bytes
    by_id: bool
    created_at: int
    topics: tuple[str, ...]
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server tells of itself: its mode and version, and how much it holds."""

    mode: Mode
    version: str
    clients: int
    topics: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items in order, and where the next page starts (None: this was the last)."""

    items: list[T] = field(default_factory=list)
    next: str | None = None
