"""The eight commands by which C2 changes a client (protocol, section 4), as values.

The functions make a command from what an operator has, names and topics, and check its keys.
`parse` reads the bytes of one and checks its layout alone: whether a client accepts its keys is
decided when it is applied. A command travels as the payload of a protected message
(`e4.crypto.protect_sym_key`) on the client's control topic.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar

from e4 import _wire
from e4._names import read_buffer, read_id
from e4.backend import get
from e4.crypto import hash_id_alias, hash_topic
from e4.errors import InvalidKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "Command",
    "RemovePubKey",
    "RemoveTopic",
    "ResetPubKeys",
    "ResetTopics",
    "SetC2Key",
    "SetIdKey",
    "SetPubKey",
    "SetTopicKey",
    "parse",
    "remove_pub_key",
    "remove_topic",
    "reset_pub_keys",
    "reset_topics",
    "set_c2_key",
    "set_id_key",
    "set_pub_key",
    "set_topic_key",
]


@dataclass(frozen=True, slots=True)
class Command:
    """Base of the eight commands: a frozen value whose repr shows no key."""

    opcode: ClassVar[int]

    def encode(self, *, backend: str | None = None) -> bytes:
        """The command's bytes: opcode(1) ‖ its fields, in order.

        Raises:
            InvalidCommand: a field is not of its exact length.
        """
        return get(backend).encode_command(self.opcode, *(getattr(self, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class RemoveTopic(Command):
    """0x00 ‖ topic hash(16): forget the topic's current and previous key."""

    opcode = _wire.REMOVE_TOPIC
    topic_hash: bytes


@dataclass(frozen=True, slots=True)
class ResetTopics(Command):
    """0x01: forget all topic keys."""

    opcode = _wire.RESET_TOPICS


@dataclass(frozen=True, slots=True)
class SetIdKey(Command):
    """0x02 ‖ key: replace the client's own key; 32 bytes in SK mode, a 64-byte private key in PK mode."""

    opcode = _wire.SET_ID_KEY
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetTopicKey(Command):
    """0x03 ‖ key(32) ‖ topic hash(16): set the topic's current key."""

    opcode = _wire.SET_TOPIC_KEY
    key: bytes = field(repr=False)
    topic_hash: bytes


@dataclass(frozen=True, slots=True)
class RemovePubKey(Command):
    """0x04 ‖ id(16), PK mode: forget one public key."""

    opcode = _wire.REMOVE_PUB_KEY
    id: bytes


@dataclass(frozen=True, slots=True)
class ResetPubKeys(Command):
    """0x05, PK mode: forget all public keys."""

    opcode = _wire.RESET_PUB_KEYS


@dataclass(frozen=True, slots=True)
class SetPubKey(Command):
    """0x06 ‖ Ed25519 public key(32) ‖ id(16), PK mode: store a public key under an id."""

    opcode = _wire.SET_PUB_KEY
    public_key: bytes
    id: bytes


@dataclass(frozen=True, slots=True)
class SetC2Key(Command):
    """0x07 ‖ X25519 public key(32), PK mode: replace C2's public key."""

    opcode = _wire.SET_C2_KEY
    public_key: bytes


_BY_OPCODE: dict[int, type[Command]] = {
    cls.opcode: cls
    for cls in (
        RemoveTopic,
        ResetTopics,
        SetIdKey,
        SetTopicKey,
        RemovePubKey,
        ResetPubKeys,
        SetPubKey,
        SetC2Key,
    )
}


def parse(data: Buffer, *, backend: str | None = None) -> Command:
    """The command that these bytes are.

    Raises:
        InvalidCommand: unknown opcode, or a length that is not exactly that of its opcode.
    """
    opcode, *parts = get(backend).parse_command(data)
    command = _BY_OPCODE[opcode]
    return command(*parts[: len(fields(command))])


def remove_topic(topic: str) -> RemoveTopic:
    """Make the client forget a topic's keys. Raises `InvalidTopic`."""
    return RemoveTopic(hash_topic(topic))


def reset_topics() -> ResetTopics:
    """Make the client forget all topic keys."""
    return ResetTopics()


def set_id_key(key: Buffer) -> SetIdKey:
    """Replace the client's own key.

    Args:
        key: 32 bytes, not all zero, for SK mode; an Ed25519 private key of 64 bytes for PK mode.

    Raises:
        InvalidKey: another length, or a key that the key checks of section 4 refuse.
    """
    key = read_buffer(key)
    if len(key) == _wire.PRIVATE_KEY_LEN:
        get().ed25519_public_key(key)
    elif len(key) == _wire.KEY_LEN:
        get().SymKey(key)
    else:
        raise InvalidKey("client key must be 32 bytes (SK mode) or 64 bytes (PK mode)")
    return SetIdKey(key)


def set_topic_key(key: Buffer, topic: str) -> SetTopicKey:
    """Give the client a topic's key.

    Args:
        key: 32 bytes, not all zero.
        topic: the topic's name.

    Raises:
        InvalidKey: not such a key.
        InvalidTopic: not a topic name.
    """
    key = read_buffer(key)
    get().SymKey(key)
    return SetTopicKey(key, hash_topic(topic))


def remove_pub_key(name: str | bytes) -> RemovePubKey:
    """Make a PK client forget the public key of a client.

    Args:
        name: the other client's name, or its 16-byte id.

    Raises:
        InvalidName: a name of a wrong length.
        InvalidId: an id that is not 16 bytes.
    """
    return RemovePubKey(_id_of(name))


def reset_pub_keys() -> ResetPubKeys:
    """Make a PK client forget all public keys."""
    return ResetPubKeys()


def set_pub_key(public_key: Buffer, name: str | bytes) -> SetPubKey:
    """Give a PK client the public key of another client.

    Args:
        public_key: the other client's Ed25519 public key, 32 bytes.
        name: the other client's name, or its 16-byte id.

    Raises:
        InvalidKey: not a curve point, or of small order.
        InvalidName: a name of a wrong length.
        InvalidId: an id that is not 16 bytes.
    """
    public_key = read_buffer(public_key)
    get().PublicKey(public_key)
    return SetPubKey(public_key, _id_of(name))


def set_c2_key(public_key: Buffer) -> SetC2Key:
    """Give a PK client a new public key of C2.

    Args:
        public_key: X25519, 32 bytes.

    Raises:
        InvalidKey: another length, or a key that gives an all-zero shared secret.
    """
    public_key = read_buffer(public_key)
    get().check_curve25519_public_key(public_key)
    return SetC2Key(public_key)


def _id_of(name: str | bytes) -> bytes:
    return hash_id_alias(name) if isinstance(name, str) else read_id(name)
