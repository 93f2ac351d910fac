"""What comes in, checked once: names, ids, topics, keys, pages. Knows no storage.

A client is meant by its name, or by its 16-byte id where it was registered by id alone.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from e4 import _wire
from e4._names import encode_name, encode_topic, read_id
from e4.backend import get
from e4.c2.model import Mode
from e4.errors import InvalidKey, InvalidName, InvalidRequest

__all__ = [
    "BATCH_MAX",
    "LIMIT_MAX",
    "Ref",
    "check_client_key",
    "check_topic",
    "id_of",
    "label",
    "page_size",
    "plain",
    "read_name_cursor",
    "read_number_cursor",
    "read_ref",
    "window",
    "write_name_cursor",
]

Ref = str | bytes

LIMIT_MAX: Final = 1000  # items of one page
BATCH_MAX: Final = 10_000  # items of one batch, which is one transaction
DEPLOYED_PAGE_MAX: Final = 100  # of GetClients and GetTopics (C2, section 3.2)
_NUMBER_MAX: Final = (1 << 63) - 1
_ZERO_KEY: Final = bytes(_wire.KEY_LEN)
_SUBJECT_MAX: Final = 300


def read_ref(client: Ref) -> Ref:
    """A client's name or id, as given. Raises `InvalidName`, `InvalidId`."""
    if not isinstance(client, str):
        return read_id(client)
    encode_name(client)
    if "\0" in client:
        raise InvalidName("name must not contain NUL")
    return client


def id_of(client: Ref) -> bytes:
    """The 16-byte id that a checked name or id means."""
    if isinstance(client, bytes):
        return client
    return get().sha3_256(client.encode())[: _wire.ID_LEN]


def label(client: Ref) -> str:
    """A client as it is named in an error or the audit: its name, or its id in hex."""
    return plain(client if isinstance(client, str) else bytes(client).hex())


def plain(text: str) -> str:
    """Text that every database takes, of bounded length."""
    if len(text) > _SUBJECT_MAX:
        text = text[:_SUBJECT_MAX] + "…"
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def check_topic(topic: str) -> str:
    """A topic's name, as given. Raises `InvalidTopic`."""
    encode_topic(topic)
    return topic


def check_client_key(mode: Mode, key: bytes) -> bytes:
    """A client's key, as given.

    Raises:
        InvalidKey: SK mode: not 32 bytes, or all zero. PK mode: not the 32 bytes of an Ed25519 public key
            that is a curve point and not of small order.
    """
    if mode == "pubkey":
        get().PublicKey(key)
    elif len(key) != _wire.KEY_LEN:
        raise InvalidKey(f"a client's key must be {_wire.KEY_LEN} bytes")
    elif key == _ZERO_KEY:
        raise InvalidKey("key is all zero")
    return bytes(key)


def page_size(limit: int) -> int:
    """The size of a page by cursor. Raises `InvalidRequest`."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidRequest(f"limit must be from 1 to {LIMIT_MAX}")
    return limit


def window(offset: int, count: int, most: int = _NUMBER_MAX) -> tuple[int, int]:
    """The offset and count of a page of the deployed interface. Raises `InvalidRequest`."""
    for name, value in (("offset", offset), ("count", count)):
        if not 0 <= value <= _NUMBER_MAX:
            raise InvalidRequest(f"{name} must be from 0 to 2**63 - 1")
    return offset, min(count, most)


def write_name_cursor(name: str) -> str:
    """Where a page by names goes on after this name."""
    return base64.urlsafe_b64encode(name.encode()).rstrip(b"=").decode()


def read_name_cursor(cursor: str | None) -> str | None:
    """The name after which a page begins. Raises `InvalidRequest`."""
    if cursor is None:
        return None
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name = data.decode()
    except (ValueError, binascii.Error):
        raise InvalidRequest("cursor is not one that a page gave") from None
    if not name or "\0" in name:
        raise InvalidRequest("cursor is not one that a page gave")
    return name


def read_number_cursor(cursor: str | None) -> int | None:
    """The number after which a page begins. Raises `InvalidRequest`."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor[:20]) > _NUMBER_MAX:
        raise InvalidRequest("cursor is not one that a page gave")
    return int(cursor[:20])
