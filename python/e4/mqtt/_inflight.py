"""The messages that the broker was given and has not completed, by packet id. Knows no socket and no time."""

from __future__ import annotations

from collections import deque

from e4.mqtt._packets import PUBREC, REFUSED, Ack

__all__ = ["InFlight"]


class InFlight:
    """The window of a publisher.

    Args:
        window: how many messages may be in flight, 1 to 65535.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self._free = deque(range(1, window + 1))  # the id that is free for longest is taken next
        self._published: dict[int, int] = {}  # packet id → number of the message, until its PUBREC
        self._released: dict[int, int] = {}  # from there until its PUBCOMP

    def __len__(self) -> int:
        return len(self._published) + len(self._released)

    @property
    def room(self) -> int:
        """How many messages may still be sent."""
        return len(self._free)

    @property
    def next_id(self) -> int:
        """The packet id of the next message; only if there is room."""
        return self._free[0]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the messages in flight, rising."""
        return tuple(sorted((*self._published.values(), *self._released.values())))

    def add(self, number: int) -> None:
        """The message with this number leaves, under `next_id`."""
        self._published[self._free.popleft()] = number

    def acknowledge(self, ack: Ack) -> int | None:
        """The number of the message, if this completes it or refuses it; None if its PUBREL is due now.

        Raises:
            KeyError: no message with this id waits for this.
        """
        kind, id, reason = ack
        if kind == PUBREC and reason < REFUSED:
            self._released[id] = self._published.pop(id)
            return None
        number = (self._published if kind == PUBREC else self._released).pop(id)
        self._free.append(id)
        return number
