"""Which topics may pass in clear, and what an MQTT topic filter matches (MQTT 5.0, section 4.7).

Knows no client, no key and no connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from e4 import _wire
from e4.errors import InvalidTopic

__all__ = ["ClearTopics", "check_filter", "matches"]


@dataclass(frozen=True, slots=True)
class ClearTopics:
    """The topics without a key on which messages may pass unprotected; by default none may.

    A topic for which the client holds a key is protected whatever is named here, and so is one that
    had a key at any time while the connection object lived. C2's commands never pass in clear.

    Args:
        incoming: topic filters, with ``+`` and ``#``, whose messages are delivered as they came.
        outgoing: topic filters whose messages are published as they are.

    Raises:
        InvalidTopic: not a topic filter.
    """

    incoming: Iterable[str] = ()
    outgoing: Iterable[str] = ()

    def __post_init__(self) -> None:
        for name in ("incoming", "outgoing"):
            filters = getattr(self, name)
            if isinstance(filters, str):
                raise InvalidTopic(f"{name} takes a list of topic filters, not one string")
            object.__setattr__(self, name, tuple(check_filter(filter) for filter in filters))


def check_filter(filter: str) -> str:
    """The filter itself, if it is one.

    Raises:
        InvalidTopic: empty, over 65535 bytes of UTF-8, with NUL, or with a wildcard out of place.
    """
    if not isinstance(filter, str):
        raise TypeError(f"topic filter must be str, not {type(filter).__name__}")
    try:
        size = len(filter.encode())
    except UnicodeEncodeError:
        size = 0
    levels = filter.split("/")
    if (
        not 1 <= size <= _wire.TOPIC_MAX
        or "\0" in filter
        or "#" in levels[:-1]
        or any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
    ):
        raise InvalidTopic(
            "topic filter must be 1 to 65535 bytes of UTF-8 without NUL; '+' stands alone between "
            "slashes, '#' alone at the end"
        )
    return filter


def matches(filter: str, topic: str) -> bool:
    """Whether a valid filter matches a topic name; a leading wildcard matches no ``$`` topic (4.7.2)."""
    if topic.startswith("$") and filter[0] in "+#":
        return False
    wanted, found = filter.split("/"), topic.split("/")
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i == len(found) or level not in ("+", found[i]):
            return False
    return len(wanted) == len(found)
