"""The deployed event stream: clients that are given a topic, and clients that it is taken from.

Nothing of an event is kept for a follower that is away: a stream starts with what happens after it.
"""

from __future__ import annotations

from e4.c2.api.grpc import c2_pb2 as pb
from e4.c2.model import Event, EventKind

__all__ = ["render"]

_TYPES = {
    EventKind.MEMBERSHIP_ADDED: pb.CLIENT_SUBSCRIBED,
    EventKind.MEMBERSHIP_REMOVED: pb.CLIENT_UNSUBSCRIBED,
}


def render(event: Event) -> pb.Event | None:
    """The message of an event; None if it is of a kind that deployed followers do not know."""
    kind = _TYPES.get(event.kind)
    if kind is None:
        return None
    message = pb.Event(type=kind, source=event.source, target=event.target)
    message.timestamp.FromMilliseconds(event.at)
    return message
