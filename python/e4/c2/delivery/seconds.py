"""Which second commands are dated with: announced in the database before the first of them leaves.

So no second is used again by a process that cannot know what another sent in it. Never dates ahead: a
clock that goes back, or is behind another process's, is waited for. Knows no command and no broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e4.c2.storage import Claim, Store

__all__ = ["Seconds"]


class Seconds:
    """The second that is being used.

    Args:
        store: where it is announced.
        clock: milliseconds since the epoch.

    Raises:
        DatabaseError: the database cannot be read.
    """

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        # A process before this one may have sent in this second, and nobody knows what.
        self._not_after = store.clock()
        self._current = -1
        self._claim: Claim | None = None
        self.shared = store.dialect != "sqlite"

    def use(self, claim: Claim) -> int | None:
        """The second to date a command with now; None while there is none to use.

        Args:
            claim: whose clients it goes to.

        Raises:
            DatabaseError: it cannot be announced, or the claim is lost.
        """
        now = self._clock() // 1000
        if now == self._current and (claim is self._claim or not self.shared):
            return now if now > claim.floor else None
        if now < self._current or now <= max(self._not_after, claim.floor):
            return None
        claim.check()
        announced = self._store.advance_clock(now)
        if announced != now:  # used by a process whose clock is ahead
            self._not_after = announced - 1
            return None
        self._current, self._claim = now, claim
        return now

    def outlast(self, wait: Callable[[float], object]) -> None:
        """Have nobody use the present second any more, for what was sent in it is not known.

        A process alone remembers for itself what it has sent. Several do not know it of each other.

        Args:
            wait: called with the seconds until the next one.

        Raises:
            DatabaseError: it cannot be announced.
        """
        if not self.shared or self._claim is None:
            return
        while (now := self._clock() // 1000) <= self._current:
            wait(self.wait())
        self._store.advance_clock(now)

    def released(self) -> None:
        """The claim is over."""
        self._claim = None

    def wait(self) -> float:
        """Seconds until the next second that could be used, never 0."""
        now = self._clock()
        return max(now // 1000 + 1, self._current, self._not_after + 1) - now / 1000

    def behind(self) -> int:
        """How far the clock is behind the last second that was used, in whole seconds; 0 if it is not."""
        return max(0, max(self._current, self._not_after) - self._clock() // 1000)
