"""The paths and bodies of requests, from the arguments of `Remote`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from e4.c2.jsonform import from_json
from e4.c2.remote._transport import segment
from e4.errors import InvalidId

__all__ = [
    "client_path",
    "json_line",
    "membership_body",
    "memberships_body",
    "name_of",
    "names_body",
    "new_client_body",
    "optional",
    "topic_path",
]

T = TypeVar("T")

_ID_LEN = 16


def name_of(client: str | bytes) -> str:
    """What the server calls a client: its name, or its id in hex."""
    return client if isinstance(client, str) else _hex_id(client)


def client_path(client: str | bytes) -> str:
    """Where a client is."""
    return f"clients/{segment(name_of(client))}"


def topic_path(topic: str) -> str:
    """Where a topic is."""
    return f"topics/{segment(topic)}"


def new_client_body(client: str | bytes, key: bytes) -> dict[str, Any]:
    """A client to register."""
    named = {"name": client} if isinstance(client, str) else {"id": _hex_id(client)}
    return {**named, "key": base64.b64encode(key).decode()}


def names_body(clients: Iterable[str | bytes]) -> dict[str, Any]:
    """Clients that something is done to."""
    return {"clients": [name_of(client) for client in clients]}


def membership_body(client: str | bytes, topic: str) -> dict[str, Any]:
    """A client and a topic."""
    return {"client": name_of(client), "topic": topic}


def memberships_body(pairs: Iterable[tuple[str | bytes, str]]) -> dict[str, Any]:
    """Clients and topics."""
    return {"memberships": [membership_body(client, topic) for client, topic in pairs]}


def json_line(value: Any) -> bytes:
    """A value as a line of its own."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def optional(kind: type[T], data: Any) -> T | None:
    """A value, or None for null."""
    return None if data is None else from_json(kind, data)


def _hex_id(id: bytes) -> str:
    if len(id) != _ID_LEN:
        raise InvalidId
    return id.hex()
