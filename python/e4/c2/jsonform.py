"""The JSON form of model's values: the HTTP API writes it, the remote client reads it. Knows no HTTP.

One rule per type, for every value alike: bytes are hex, times are RFC 3339 in UTC with milliseconds, enums
are their names, a command's kind is its name in words (``set-topic-key``). Row numbers are the database's own
business: they are left out, and 0 where a value was read from JSON.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from e4.c2.model import CommandKind, ImportProgress, Page

__all__ = [
    "KINDS",
    "command_kind",
    "from_json",
    "kind_name",
    "page_from_json",
    "time_text",
    "time_value",
    "to_json",
]

T = TypeVar("T")

_INTERNAL = "row"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
KINDS = {kind.name.lower().replace("_", "-"): kind for kind in CommandKind}


def to_json(value: Any) -> dict[str, Any]:
    """A value of `e4.c2.model` as what `json` can write."""
    if isinstance(value, Page):
        return {"items": [to_json(item) for item in value.items], "next": value.next}
    return {member.name: member.write(getattr(value, member.name)) for member in _members(type(value))}


def from_json(kind: type[T], data: Any) -> T:
    """The value of that type from its JSON form; members that are not known are ignored.

    Raises:
        ValueError: it is not of that form.
    """
    if not isinstance(data, dict):
        raise ValueError(f"not the JSON form of {kind.__name__}: {type(data).__name__}")
    values: dict[str, Any] = {_INTERNAL: 0} if _has_row(kind) else {}
    for member in _members(kind):
        try:
            values[member.name] = member.read(data[member.name])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"not the JSON form of {kind.__name__}: member {member.name!r}") from error
    return kind(**values)


def page_from_json(kind: type[T], data: Any) -> Page[T]:
    """A page of values of that type. Raises `ValueError` as `from_json` does."""
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        raise ValueError("not the JSON form of a page")
    return Page([from_json(kind, item) for item in data["items"]], data.get("next"))


def time_text(at: int) -> str:
    """Milliseconds since the epoch as RFC 3339: ``2026-05-08T12:30:00.125Z``."""
    moment = _EPOCH + at * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def time_value(text: str) -> int:
    """Milliseconds since the epoch from RFC 3339, of any offset. Raises `ValueError`."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset, or Z")
    return (moment - _EPOCH) // _MILLISECOND


def kind_name(kind: CommandKind) -> str:
    """A command's kind in words: ``set-topic-key``."""
    return kind.name.lower().replace("_", "-")


def command_kind(name: str) -> CommandKind:
    """The kind of that name. Raises `ValueError`."""
    try:
        return KINDS[name]
    except KeyError:
        raise ValueError(f"no command is called {name!r}") from None


class _Member(NamedTuple):
    name: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


_known: dict[type, tuple[_Member, ...]] = {}


def _has_row(kind: type) -> bool:
    return any(field.name == _INTERNAL for field in dataclasses.fields(kind))


def _members(kind: type) -> tuple[_Member, ...]:
    """How each member of a dataclass is written and read, from its name and its annotation."""
    if kind not in _known:
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind) if field.name != _INTERNAL]
        _known[kind] = tuple(_Member(name, *_rule(kind, name, hints[name])) for name in names)
    return _known[kind]


def _rule(kind: type, name: str, hint: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    if (kind, name) == (ImportProgress, "errors"):
        return _write_errors, _read_errors
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):  # the only unions of the model are with None
        write, read = _rule(kind, name, next(a for a in arguments if a is not type(None)))
        return _unless_none(write), _unless_none(read)
    if typing.get_origin(hint) is tuple:
        write, read = _rule(kind, name, arguments[0])
        return (lambda items: [write(item) for item in items]), (lambda items: tuple(map(read, items)))
    if name == "at" or name.endswith("_at"):
        return time_text, time_value
    if hint is CommandKind:
        return kind_name, command_kind
    if hint is bytes:
        return bytes.hex, bytes.fromhex
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return (lambda member: member.value), hint
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return to_json, _reader(hint)
    return _as_is, _checked(hint if isinstance(hint, type) else str)


def _reader(kind: type) -> Callable[[Any], Any]:
    return lambda data: from_json(kind, data)


def _unless_none(rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else rule(value)


def _as_is(value: Any) -> Any:
    return value


def _checked(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"not {kind.__name__}")
        return value

    return read


def _write_errors(errors: tuple[tuple[int, str], ...]) -> list[dict[str, Any]]:
    return [{"line": line, "error": text} for line, text in errors]


def _read_errors(items: list[dict[str, Any]]) -> tuple[tuple[int, str], ...]:
    return tuple((int(item["line"]), str(item["error"])) for item in items)
