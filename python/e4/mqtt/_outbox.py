"""Messages that publish has accepted and the broker has not yet acknowledged.

They wait here as plaintext and are protected when they are sent, since receivers refuse what is older
than their limit. Does no I/O; everything but `Publication` is called with the session's lock held.
"""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING

from e4.errors import E4Error, MqttError, NotConnected, NotDelivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from e4.client import Limits
    from e4.mqtt._gate import Gate

__all__ = ["Entry", "Outbox", "Publication", "settle"]


def settle(future: Future[None], error: E4Error | None = None) -> None:
    """Give a future its outcome, unless it has one."""
    with contextlib.suppress(InvalidStateError):  # cancelled by whoever waited
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


class Publication:
    """One message on its way to the broker.

    With QoS 1 and 2 it is done when the broker has taken it over, with QoS 0 when it was written to
    the connection.

    Attributes:
        topic: where it is published.
        qos: 0, 1 or 2.
        retain: whether the broker keeps it for later subscribers.
    """

    def __init__(self, topic: str, qos: int, retain: bool, may_wait: Callable[[], None]) -> None:
        self.topic = topic
        self.qos = qos
        self.retain = retain
        self._future: Future[None] = Future()
        self._may_wait = may_wait

    def __repr__(self) -> str:
        state = "acknowledged" if self.is_acknowledged else "failed" if self.done else "pending"
        return f"<Publication {self.topic!r} qos={self.qos} {state}>"

    @property
    def done(self) -> bool:
        """Whether it has been acknowledged or has failed."""
        return self._future.done()

    @property
    def is_acknowledged(self) -> bool:
        """Whether the broker has taken the message over."""
        return self._future.done() and self._future.exception() is None

    @property
    def error(self) -> E4Error | None:
        """Why it failed; None while it has not."""
        error = self._future.exception() if self._future.done() else None
        return error if isinstance(error, E4Error) else None

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the broker's acknowledgement, also across reconnections.

        Args:
            timeout: seconds; None for as long as it takes.

        Raises:
            NotDelivered: not acknowledged in time (the message stays accepted), or the client was closed.
            NotConnected: a QoS 0 message, and the connection is gone.
            TopicKeyMissing: the topic's key was taken away before the message could be sent.
            MqttError: the broker refused the message; or this is a callback, in which waiting cannot end.
        """
        if not self._future.done():
            self._may_wait()
        try:
            self._future.result(timeout)
        except FutureTimeoutError:
            raise NotDelivered(
                f"the broker has not acknowledged the message within {timeout:g} seconds"
            ) from None


class Entry:
    """A publication with what is needed to send it, also more than once."""

    __slots__ = ("message", "payload", "protected_at", "publication")

    def __init__(self, publication: Publication, payload: bytes) -> None:
        self.publication = publication
        self.payload = payload
        self.message: bytes | None = None  # as sent
        self.protected_at: int | None = None  # None: passed in clear, or not sent yet


class Outbox:
    """Accepted messages in order: those waiting, and a window of those in flight.

    Args:
        gate: protects them.
        now: the client's clock, in whole seconds.
        limits: what receivers are taken to accept.
        max_queued: how many unacknowledged messages to keep; 0 for no limit.
    """

    def __init__(self, gate: Gate, now: Callable[[], int], limits: Limits, max_queued: int) -> None:
        self._gate = gate
        self._now = now
        self._max_ahead = limits.max_ahead
        # Leaves time for the broker to pass it on, and for clocks that differ.
        self._max_age = limits.max_age - min(60, limits.max_age // 10)
        self._max_queued = max_queued
        self._count = 0
        self._waiting: deque[Entry] = deque()
        self._in_flight: dict[int, Entry] = {}
        self._orphans: set[int] = set()
        self._shared_mids: set[int] = set()

    def __len__(self) -> int:
        """How many messages of QoS 1 and 2 the broker has not acknowledged."""
        return self._count

    def add(self, entry: Entry) -> None:
        """Accept a message.

        Raises:
            MqttError: there are `max_queued` unacknowledged messages already.
        """
        if entry.publication.qos:
            if self._max_queued and self._count >= self._max_queued:
                raise MqttError(f"{self._count} messages wait for the broker already: this one is not taken")
            self._count += 1
        self._waiting.append(entry)

    def take(self, window: int) -> Entry | None:
        """The next message that may be sent now; `sent` or `finish` must follow."""
        if not self._waiting:
            return None
        if self._waiting[0].publication.qos and len(self._in_flight) + len(self._orphans) >= window:
            return None
        return self._waiting.popleft()

    def seal(self, entry: Entry) -> bytes:
        """What to send for it: protected now, or as it was sent before if that is recent enough.

        Raises:
            TopicKeyMissing: the topic's key has been taken away; it never leaves in clear instead.
        """
        if entry.message is None or self._is_stale(entry):
            now = self._now()
            entry.message, protected = self._gate.seal(entry.publication.topic, entry.payload)
            entry.protected_at = now if protected else None
        return entry.message

    def sent(self, entry: Entry, mid: int) -> None:
        """The connection has taken the message, under this packet identifier."""
        if entry.publication.qos:
            self._in_flight[mid] = entry
            return
        # Packet identifiers wrap around, so a QoS 0 message may get one that is still in flight.
        if mid in self._in_flight or mid in self._orphans:
            self._shared_mids.add(mid)
        self.finish(entry, None)

    def finish(self, entry: Entry, error: E4Error | None) -> None:
        """The message's story is over: for an error, or well."""
        if entry.publication.qos:
            self._count -= 1
        settle(entry.publication._future, error)

    def acknowledged(self, mid: int, refused: str | None = None) -> MqttError | None:
        """The broker has answered for this packet identifier; returns the error if it refused a message."""
        if mid in self._shared_mids:
            self._shared_mids.discard(mid)
            return None
        self._orphans.discard(mid)
        entry = self._in_flight.pop(mid, None)
        if entry is None:
            return None
        error = None
        if refused is not None:
            error = MqttError(f"the broker refused the message on {entry.publication.topic}: {refused}")
        self.finish(entry, error)
        return error

    def lost(self) -> None:
        """The connection is gone: QoS 0 messages with it, the others stay."""
        self._shared_mids.clear()
        waiting, self._waiting = self._waiting, deque()
        for entry in waiting:
            if entry.publication.qos:
                self._waiting.append(entry)
            else:
                self.finish(entry, NotConnected())

    def resume(self, session_present: bool) -> list[int]:
        """A new connection is there: decide about each message in flight.

        With the session, the MQTT library goes on where it was. A message that receivers would refuse
        as too old by now is protected anew and sent as a new one. The old copy of a QoS 2 message still
        has to finish its handshake, or the broker would keep its packet identifier for ever.

        Returns:
            The packet identifiers that the library must forget.
        """
        forget: list[int] = []
        again: list[Entry] = []
        if not session_present:
            forget += self._orphans
            self._orphans.clear()
        for mid, entry in list(self._in_flight.items()):
            if session_present and not self._is_stale(entry):
                continue
            del self._in_flight[mid]
            again.append(entry)
            if session_present and entry.publication.qos == 2:
                self._orphans.add(mid)
            else:
                forget.append(mid)
        self._waiting.extendleft(reversed(again))
        return forget

    def fail_all(self, error: Callable[[], E4Error]) -> int:
        """Give up everything; returns how many messages of QoS 1 and 2 that were."""
        count = self._count
        for entry in (*self._in_flight.values(), *self._waiting):
            self.finish(entry, error())
        self._in_flight.clear()
        self._waiting.clear()
        return count

    def _is_stale(self, entry: Entry) -> bool:
        if entry.protected_at is None:
            return False
        return not -self._max_ahead <= self._now() - entry.protected_at <= self._max_age
