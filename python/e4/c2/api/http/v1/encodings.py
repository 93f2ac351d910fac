"""Keys, payloads, ids and times as text: base64, hex, RFC 3339. The errors never repeat what was given."""

from __future__ import annotations

import base64
import binascii

from e4.c2.jsonform import time_value
from e4.errors import InvalidId, InvalidKey, InvalidRequest

__all__ = ["base64_bytes", "hex_id", "key_bytes", "moment"]

_HEX_KEY = 64  # characters; the base64 of 32 bytes has 44
_ID = 16  # bytes
_LATEST = 253_402_300_799_999  # the last millisecond that RFC 3339 can write


def key_bytes(text: object) -> bytes:
    """A key in base64, or in hex if it has 64 characters. Its length is the service's business.

    Raises:
        InvalidKey: it is neither.
    """
    try:
        if isinstance(text, str):
            return bytes.fromhex(text) if len(text) == _HEX_KEY else base64.b64decode(text, validate=True)
    except ValueError:
        pass
    raise InvalidKey("key must be 32 bytes in base64 or hex")


def base64_bytes(text: object) -> bytes:
    """Bytes in base64. Raises `InvalidRequest`."""
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise InvalidRequest("must be base64")


def hex_id(text: object) -> bytes:
    """A client's id, 16 bytes, in hex. Raises `InvalidId`."""
    try:
        if isinstance(text, str) and len(text) == 2 * _ID:
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise InvalidId("id must be 16 bytes in hex")


def moment(text: object) -> int | None:
    """A time in RFC 3339 as milliseconds since the epoch; None for null. Raises `InvalidRequest`."""
    if text is None:
        return None
    try:
        at = time_value(text) if isinstance(text, str) else -1
    except (ValueError, OverflowError):
        at = -1
    if not 0 <= at <= _LATEST:
        raise InvalidRequest("must be a time in RFC 3339, such as 2027-01-31T12:00:00Z")
    return at
