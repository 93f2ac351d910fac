"""The sender: takes a part of the outbox, publishes it, and writes down what the broker has acknowledged.

It is killed at any moment without harm. What it has not written down goes out again, in order and with
fresh timestamps; the database tells in which second it last sent, so that it never uses that one again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from e4.c2.delivery.batch import Batch, SentNow
from e4.c2.delivery.protecting import Protector
from e4.c2.delivery.seconds import Seconds
from e4.c2.delivery.worker import Worker, delay_after
from e4.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from e4.c2.service import Service
    from e4.c2.settings import Delivery
    from e4.c2.storage import Claim, Outgoing, Store, StoredC2Key
    from e4.c2.vault import Vault
    from e4.mqtt.publisher import Outcome

__all__ = ["Connection", "Sender", "SenderStatus"]

_logger = logging.getLogger("e4.c2.delivery")

_NARROWER = 8
_LAST_MOMENT = 2.0  # seconds to write down what is known, after the connection was given up


class Connection(Protocol):
    """What the sender needs of `e4.mqtt.publisher.Publisher`."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""

    @property
    def in_flight(self) -> int:
        """How many messages are not completed."""

    def connect(self) -> None:
        """Make a new one."""

    def send(
        self, messages: Iterable[tuple[str, bytes, bool]], timeout_without_progress: float
    ) -> Iterator[Outcome]:
        """Publish, and tell of each."""

    def idle(self, timeout: float) -> bool:
        """Keep it alive."""

    def wake(self) -> None:
        """End `idle`."""

    def abort(self) -> None:
        """Give it up."""

    def close(self) -> None:
        """End it, for good."""


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """How sending is doing.

    Args:
        alive: whether its thread runs.
        connected: whether the connection to the broker stands.
        error: what keeps it from sending, in plain words; empty if nothing does.
        clock_behind: seconds by which the clock is behind the last second used; it waits for that to pass.
        pending: commands in the outbox.
        oldest: when the oldest of them was queued, in ms since the epoch; None if there is none.
        in_flight: published, and not yet acknowledged.
        sent: acknowledged, since the start; failed and superseded likewise.
    """

    alive: bool
    connected: bool
    error: str
    clock_behind: int
    pending: int
    oldest: int | None
    in_flight: int
    sent: int
    failed: int
    superseded: int


class Sender(Worker):
    """Drains the outbox, in a thread of its own.

    Args:
        store: the database.
        service: writes down how commands ended.
        vault: opens the stored keys.
        publisher: makes the connection to the broker; called in the sender's thread.
        settings: batch and waiting times.
        retain: whether the broker keeps each client's last command.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        service: Service,
        vault: Vault,
        publisher: Callable[[], Connection],
        settings: Delivery,
        *,
        retain: bool,
        clock: Callable[[], int],
    ) -> None:
        super().__init__("sender", settings.retry_min_seconds, settings.retry_max_seconds)
        self._store = store
        self._service = service
        self._clock = clock
        self._settings = settings
        self._retain = retain
        self._make_publisher = publisher
        self._publisher: Connection | None = None
        self._protector = Protector(vault, self._c2_keys if service.mode == "pubkey" else None)
        self._seconds: Seconds | None = None
        self._sent_now = SentNow()
        self._limit = settings.batch
        self._sent = self._failed_count = self._superseded = 0
        self._pending: tuple[int, int | None] = (0, None)

    def wake(self) -> None:
        """Look at the outbox now; from any thread."""
        super().wake()
        if self._publisher is not None:
            self._publisher.wake()

    def stop(self, drain_seconds: float) -> bool:
        """Take no more commands, let those in flight come to their end, and leave.

        Args:
            drain_seconds: how long that may take. What is then not acknowledged stays in the outbox.

        Returns:
            Whether its thread has ended.
        """
        if not super().stop(drain_seconds) and self._publisher is not None:
            _logger.warning("sender: the broker has not acknowledged everything in time")
            self._publisher.abort()
            return super().stop(_LAST_MOMENT)
        return not self._thread.is_alive()

    def status(self) -> SenderStatus:
        """How it is doing. Reads the database; without one, what is in the outbox is as last known."""
        try:
            with self._store.read() as tx:
                self._pending = tx.commands.pending()
        except DatabaseError:
            pass  # its own check says so
        publisher, behind = self._publisher, self._seconds.behind() if self._seconds else 0
        error = self.error
        if not error and behind > 1:
            error = f"the clock is {behind} seconds behind the last command sent: waiting for it"
        return SenderStatus(
            alive=self._thread.is_alive(),
            connected=publisher is not None and publisher.connected,
            error=error,
            clock_behind=behind,
            pending=self._pending[0],
            oldest=self._pending[1],
            in_flight=publisher.in_flight if publisher is not None else 0,
            sent=self._sent,
            failed=self._failed_count,
            superseded=self._superseded,
        )

    def step(self) -> float:
        """Send one part of the outbox."""
        publisher = self._connected()
        if self._seconds is None:
            self._seconds = Seconds(self._store, self._clock)
        poll = self._settings.poll_seconds
        if self._seconds.behind() > 0:
            return min(self._seconds.wait(), poll)
        with self._store.claim(self._limit, self._clock()) as claim:
            if not claim.outgoing:
                return poll
            try:
                moved = self._send(publisher, claim, self._seconds)
            finally:
                self._seconds.released()
                self._protector.forget()
        # Whatever is left must wait for the next second.
        return 0 if moved else min(self._seconds.wait(), poll)

    def pause(self, seconds: float) -> None:
        """Wait, and keep the connection alive meanwhile."""
        if self._publisher is not None and self._publisher.connected:
            self._publisher.idle(seconds)
        else:
            super().pause(seconds)

    def end(self) -> None:
        """Say farewell to the broker."""
        if self._publisher is not None:
            self._publisher.close()

    def _connected(self) -> Connection:
        if self._publisher is None:
            self._publisher = self._make_publisher()
        if not self._publisher.connected:
            self._publisher.connect()
            _logger.info("sender: connected to the broker")
        return self._publisher

    def _send(self, publisher: Connection, claim: Claim, seconds: Seconds) -> bool:
        """Publish what may leave now, and write down how it ended; returns whether anything did."""
        batch = Batch(
            claim, self._protector, seconds, self._sent_now, self._retain, lambda: not self.stopping
        )
        error: Exception | None = None
        try:
            for outcome in publisher.send(batch.messages(), self._settings.stall_seconds):
                if outcome.error is None:
                    batch.acknowledged(outcome.number)
                else:
                    batch.refused(outcome.number, str(outcome.error))
        except Exception as caught:  # what is known by now is written down first
            error = caught
        if not batch.unknown:
            self._limit = self._settings.batch
        elif not batch.sent() and not self.stopping:
            self._narrow(batch, str(error))
        if batch.unknown:
            seconds.outlast(time.sleep)
        moved = self._settle(claim, batch, seconds)
        if error is None:
            error = batch.error
        if error is not None:
            raise error
        return moved

    def _narrow(self, batch: Batch, reason: str) -> None:
        """The connection was lost with nothing done. If that goes on, find the command that it is lost over.

        Some brokers end the connection where others would refuse one message. So fewer commands are sent at
        once each time, and one that is alone when it happens has failed: it waits, and the others go on.
        """
        if self._limit == 1:
            batch.give_up(reason)
        self._limit = max(1, self._limit // _NARROWER)

    def _settle(self, claim: Claim, batch: Batch, seconds: Seconds) -> bool:
        sent = batch.sent()
        failed = [(out, reason, self._retry_at(out)) for out, reason in batch.failed]
        if not (sent or failed or batch.superseded):
            if seconds.shared:
                with claim.write():  # only says that the claim came to its end
                    pass
            return False
        with claim.write() as tx:
            self._service.delivered(tx, sent, failed, batch.superseded)
        self._service.notify()
        self._sent += len(sent)
        self._failed_count += len(failed)
        self._superseded += len(batch.superseded)
        if sent:
            self._failures = 0  # the broker is there: the next wait for it is a first one
        for out, reason, _ in failed:
            level = logging.DEBUG if out.attempts else logging.WARNING
            _logger.log(level, "sender: command %d was not taken: %s", out.command, reason)
        return True

    def _retry_at(self, out: Outgoing) -> int:
        least, most = self._settings.retry_min_seconds, self._settings.retry_max_seconds
        return self._clock() + int(1000 * delay_after(out.attempts + 1, least, most))

    def _c2_keys(self) -> Mapping[int, StoredC2Key]:
        with self._store.read() as tx:
            return {key.version: key for key in tx.keys.c2_keys()}
