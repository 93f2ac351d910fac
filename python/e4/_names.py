"""Names, passwords, topics, ids and limits of time as arguments, checked once where they come in.

Lives here: the rules of the protocol's section 6. Knows no crypto and no state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from e4 import _wire
from e4.errors import InvalidId, InvalidInput, InvalidName, InvalidPassword, InvalidTopic

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Limits", "encode_name", "encode_password", "encode_topic", "read_buffer", "read_id"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a message's timestamp may be from the receiver's clock, in whole seconds (section 3).

    Args:
        max_ahead: how far ahead of the clock a timestamp may be. Deployed Go clients allow 0,
            deployed C clients 600.
        max_age: how old a message may be.
        max_previous_age: how long the key before the current one still opens messages.

    Raises:
        InvalidInput: a limit is negative.
    """

    max_ahead: int = _wire.MAX_AHEAD
    max_age: int = _wire.MAX_AGE
    max_previous_age: int = _wire.MAX_PREVIOUS_AGE

    def __post_init__(self) -> None:
        for name in ("max_ahead", "max_age", "max_previous_age"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 0 <= value < 1 << 64:
                raise InvalidInput(f"{name} must be whole seconds from 0 to 2**64 - 1")


def encode_name(name: str) -> bytes:
    """A client's name as 1 to 255 bytes of UTF-8, or `InvalidName`."""
    encoded = _encode(name, "name", InvalidName)
    if not 1 <= len(encoded) <= _wire.NAME_MAX:
        raise InvalidName
    return encoded


def encode_password(password: str) -> bytes:
    """A password as at least 16 bytes of UTF-8, or `InvalidPassword`."""
    encoded = _encode(password, "password", InvalidPassword)
    if len(encoded) < _wire.PASSWORD_MIN:
        raise InvalidPassword
    return encoded


def encode_topic(topic: str) -> bytes:
    """A topic name as 1 to 65535 bytes of UTF-8 without NUL, ``+`` or ``#``, or `InvalidTopic`."""
    encoded = _encode(topic, "topic", InvalidTopic)
    if not 1 <= len(encoded) <= _wire.TOPIC_MAX or any(c in topic for c in "\0+#"):
        raise InvalidTopic
    return encoded


def read_id(id: Buffer) -> bytes:
    """A client's id: exactly 16 bytes, or `InvalidId`."""
    data = read_buffer(id)
    if len(data) != _wire.ID_LEN:
        raise InvalidId
    return data


def read_buffer(data: Buffer) -> bytes:
    """The bytes of any contiguous buffer; unlike ``bytes(5)``, a number is a `TypeError`."""
    return data if type(data) is bytes else memoryview(data).tobytes()


def _encode(text: str, what: str, error: type[InvalidInput]) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates; the text itself may be a secret
        raise error from None
