"""What the storage takes and gives beside the values of `e4.c2.model`. Keys are sealed; no repr shows one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from e4.c2.model import CommandKind, JobKind, KeyState, Mode

__all__ = [
    "JobWork",
    "NewClient",
    "NewCommand",
    "NewTopic",
    "Outgoing",
    "Sent",
    "StoredC2Key",
    "StoredCall",
    "StoredKey",
    "StoredVault",
]


class NewClient(NamedTuple):
    """A client to insert; `row` is one of those that were reserved."""

    row: int
    id: bytes
    name: str
    by_id: bool
    key_version: int
    c2_key_version: int
    created_at: int


class NewTopic(NamedTuple):
    """A topic to insert; `row` was reserved."""

    row: int
    name: str
    hash: bytes
    version: int
    created_at: int
    rotated_at: int


class NewCommand(NamedTuple):
    """A command to queue: what it is about, never a key.

    Args:
        key_version: of the client's key, under which it goes out.
        c2_key_version: of C2's key, PK mode; 0 in SK mode.
        new_version: of the client's key that SetIdKey brings, or of C2's that SetC2Key brings.
    """

    client_id: bytes
    client_row: int
    kind: CommandKind
    created_at: int
    key_version: int
    c2_key_version: int = 0
    topic_row: int | None = None
    topic_hash: bytes | None = None
    source_row: int | None = None
    source_id: bytes | None = None
    new_version: int | None = None
    job: int | None = None


class Sent(NamedTuple):
    """A command whose PUBCOMP was seen: its timestamp in seconds, and the client's key it went under."""

    id: int
    timestamp: int
    key_version: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One version of a client's or a topic's key. `transit`: see `client_keys` in the schema."""

    version: int
    state: KeyState
    sealed: bytes = field(repr=False)
    transit: bytes | None = field(repr=False)
    created_at: int


@dataclass(frozen=True, slots=True)
class StoredC2Key:
    """One version of C2's key pair."""

    version: int
    state: KeyState
    sealed: bytes = field(repr=False)
    public: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class StoredVault:
    """What the vault needs to open: no secret without the passphrase."""

    mode: Mode
    database_id: bytes
    created_at: int
    salt: bytes
    time_cost: int
    memory_kib: int
    lanes: int
    wrapped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call with an idempotency key; `status` and `response` once it has been answered."""

    fingerprint: bytes
    created_at: int
    status: int | None
    response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class JobWork:
    """A job whose commands are not all queued. `cursor`: the last row that was looked at, 0 at first."""

    id: int
    kind: JobKind
    subject_row: int
    subject: str
    version: int
    total: int
    queued: int
    cursor: int
    created_at: int


@dataclass(slots=True, eq=False)  # frozen would take ten times as long to make
class Outgoing:
    """A claimed command with all that it takes to protect it, as it is at the moment of the claim.

    What is gone (a client or a topic was removed) is None, and its name empty.

    Args:
        key_version: as queued, or the one that the operator has since given the client (`move_key_version`).
        client_key: sealed, at `key_version`.
        topic_version, topic_key: the topic's newest.
        source_version, source_key: the newest of the client whose public key is sent.
        new_key: SetIdKey: the sealed key of `new_version`; in PK mode the private one, gone once it was sent.
        job: the job it belongs to.
        last_timestamp: newest timestamp, in seconds, among the commands sent to this client id.
    """

    command: int
    client_id: bytes
    client_row: int
    client: str
    kind: CommandKind
    key_version: int
    client_key: bytes | None = field(repr=False)
    c2_key_version: int
    topic_row: int | None
    topic_hash: bytes | None
    topic: str
    topic_version: int | None
    topic_key: bytes | None = field(repr=False)
    source_row: int | None
    source_id: bytes | None
    source: str
    source_version: int | None
    source_key: bytes | None = field(repr=False)
    new_version: int | None
    new_key: bytes | None = field(repr=False)
    attempts: int
    job: int | None
    last_timestamp: int | None
