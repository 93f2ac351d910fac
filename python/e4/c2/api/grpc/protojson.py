"""The JSON form of the deployed interface's messages. Knows protobuf, and no HTTP.

Written: every member, also empty lists and zeros; int64 as a string, bytes in standard base64, enums by name.
Read: members that are not known are ignored, null is as good as missing; base64 may be of either alphabet,
with or without its padding, and nothing else may be in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from e4.errors import InvalidRequest

__all__ = ["fill", "parse", "render", "set_text"]

_WORDS = {FieldDescriptor.TYPE_STRING: "a string", FieldDescriptor.TYPE_BYTES: "base64 in a string"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_INT64 = range(-(1 << 63), 1 << 63)


def render(message: Message) -> bytes:
    """The JSON form of a message, in UTF-8; its members are in the order of its fields."""
    members = MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    ordered = {
        field.name: members[field.name] for field in message.DESCRIPTOR.fields if field.name in members
    }
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def parse(body: bytes) -> dict[str, Any]:
    """The members of a JSON object; none if the body is empty or null.

    Raises:
        InvalidRequest: it is not JSON in UTF-8, or not an object.
    """
    if not body.strip():
        return {}
    try:
        members = json.loads(body.decode())
    except (ValueError, RecursionError):  # no text: the body may hold a key
        raise InvalidRequest("the body is not JSON in UTF-8") from None
    if members is None:
        return {}
    if not isinstance(members, dict):
        raise InvalidRequest("the body is not a JSON object")
    return members


def fill(message: Message, members: Mapping[str, Any]) -> None:
    """Set a message's fields from the members of a JSON object.

    Raises:
        InvalidRequest: a member is not of its field's type.
    """
    for field in message.DESCRIPTOR.fields:
        value = members.get(field.name)
        if value is None:
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if not isinstance(value, dict):
                raise InvalidRequest(f"{field.name} must be an object")
            part = getattr(message, field.name)
            part.SetInParent()
            fill(part, value)
        elif field.type == FieldDescriptor.TYPE_BOOL:
            if not isinstance(value, bool):
                raise InvalidRequest(f"{field.name} must be true or false")
            setattr(message, field.name, value)
        else:
            if not isinstance(value, str):
                raise InvalidRequest(f"{field.name} must be {_WORDS[field.type]}")
            set_text(message, field.name, value)


def set_text(message: Message, name: str, text: str) -> None:
    """Set a string, bytes (from base64) or int64 field from text.

    Args:
        name: of the field, dotted where it is in a message in that message.

    Raises:
        InvalidRequest: the text does not say such a value.
    """
    *path, last = name.split(".")
    for part in path:
        message = getattr(message, part)
    kind = message.DESCRIPTOR.fields_by_name[last].type
    value: Any
    if kind == FieldDescriptor.TYPE_INT64:
        value = _integer(name, text)
    elif kind == FieldDescriptor.TYPE_BYTES:
        value = _base64(name, text)
    else:
        value = _string(name, text)
    setattr(message, last, value)


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text) or (value := int(text)) not in _INT64:
        raise InvalidRequest(f"{name} must be a whole number of 64 bits")
    return value


def _base64(name: str, text: str) -> bytes:
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):  # no text: it may be a key
        raise InvalidRequest(f"{name} is not base64") from None


def _string(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} is not Unicode") from None
    return text
