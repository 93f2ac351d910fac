"""One claimed part of the outbox on its way: what may leave now, in which order, and how each ended.

Knows no thread and no connection: the messages are pulled from it one by one as the broker takes them, and
each is protected, and dated, only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from e4 import crypto
from e4.c2.delivery.protecting import Gone
from e4.c2.model import CommandKind
from e4.errors import DatabaseError, E4Error

if TYPE_CHECKING:
    from e4.c2.delivery.protecting import Protector
    from e4.c2.delivery.seconds import Seconds
    from e4.c2.storage import Claim, Outgoing

__all__ = ["Batch", "SentNow"]


class SentNow:
    """What this process has sent within the present second, by client."""

    def __init__(self) -> None:
        self._second = -1
        self._messages: dict[bytes, set[bytes]] = {}

    def take(self, out: Outgoing, message: bytes, second: int) -> bool:
        """Note that this message leaves in this second; False if it must not.

        A client takes equal bytes for a replay. What another process has sent to the client in this second
        is not known here, so after it nothing goes before the next.

        Args:
            out: the command.
            message: protected with this second; empty for one that clears a retained message.
            second: the present one.
        """
        if second != self._second:
            self._second = second
            self._messages.clear()
        messages = self._messages.get(out.client_id)
        if messages is None:
            if out.last_timestamp is not None and out.last_timestamp >= second:
                return False
            self._messages[out.client_id] = {message}
            return True
        if message and message in messages:
            return False
        messages.add(message)
        return True


class Batch:
    """The commands of one claim.

    `messages` and the calls of `acknowledged` and `refused` take turns; then `sent`, `failed` and
    `superseded` tell how the commands ended. What is in none of them stays in the outbox as it was.

    Args:
        claim: for each of its clients the beginning of its queue, in order.
        protector: makes the messages.
        seconds: what they are dated with.
        sent_now: what has left in the present second.
        retain: whether the broker keeps each client's last command.
        go_on: whether more may leave; asked before each.
    """

    def __init__(
        self,
        claim: Claim,
        protector: Protector,
        seconds: Seconds,
        sent_now: SentNow,
        retain: bool,
        go_on: Callable[[], bool],
    ) -> None:
        self._claim = claim
        self._protector = protector
        self._seconds = seconds
        self._sent_now = sent_now
        self._retain = retain
        self._go_on = go_on
        self._left: list[tuple[Outgoing, int]] = []  # in the order in which they left
        self._done: set[int] = set()  # of these, by number, what the broker has
        self._answers = 0
        self._held: set[bytes] = set()  # clients to whom nothing more goes in this batch
        self.failed: list[tuple[Outgoing, str]] = []
        self.superseded: list[Outgoing] = []
        self.error: DatabaseError | None = None  # what ended it early

    def messages(self) -> Iterator[tuple[str, bytes, bool]]:
        """Topic, payload and retain flag of each command that may leave, at the moment when it does.

        Raises nothing: what is in flight must come to its end first.
        """
        for out in self._claim.outgoing:
            if not self._go_on():
                return
            if out.client_id in self._held:
                continue
            try:
                second = self._seconds.use(self._claim)
            except DatabaseError as error:
                self.error = error
                return
            if second is None:
                return
            clears = out.kind == CommandKind.CLEAR_RETAINED
            try:
                message = b"" if clears else self._protector.protect(out, second)
            except Gone:
                self.superseded.append(out)
                continue
            except DatabaseError as error:
                self.error = error
                return
            except E4Error as error:
                self._fail(out, f"it cannot be protected: {error}")
                continue
            if not self._sent_now.take(out, message, second):
                self._held.add(out.client_id)
                continue
            self._left.append((out, second))
            yield crypto.topic_for_id(out.client_id), message, clears or self._retain

    @property
    def unknown(self) -> bool:
        """Whether the broker has given no answer for some of those that have left."""
        return self._answers < len(self._left)

    def acknowledged(self, number: int) -> None:
        """The broker has this one of `messages`, counted from 0."""
        self._answers += 1
        self._done.add(number)

    def refused(self, number: int, reason: str) -> None:
        """The broker has refused this one of `messages`; its client's later ones wait behind it."""
        self._answers += 1
        self._fail(self._left[number][0], reason)

    def give_up(self, reason: str) -> None:
        """Take what has had no answer as refused."""
        for number, (out, _) in enumerate(self._left):
            if number not in self._done:
                self._fail(out, reason)

    def sent(self) -> list[tuple[Outgoing, int]]:
        """The commands that are done, with the second they are dated with.

        A command whose client has not got all earlier ones is sent again after them.
        """
        done: list[tuple[Outgoing, int]] = []
        broken: set[bytes] = set()
        for number, (out, second) in enumerate(self._left):
            if number not in self._done:
                broken.add(out.client_id)
            elif out.client_id not in broken:
                done.append((out, second))
        return done

    def _fail(self, out: Outgoing, reason: str) -> None:
        self.failed.append((out, reason))
        self._held.add(out.client_id)
