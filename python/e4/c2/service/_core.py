"""How every operation runs: its right, its transaction, its audit row, its events, and the same call twice.

A change is one transaction. In it, in this order: the idempotency key, the operation's own work, its events,
its audit row; then it is committed, and whoever waits for commands or events is told. What is refused
leaves an audit row in a transaction of its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from e4.c2 import audit
from e4.c2.auth import require
from e4.c2.model import Call, Mode, Right
from e4.c2.service._change import Change
from e4.c2.service._checks import plain
from e4.c2.storage import Transient
from e4.errors import Conflict, DatabaseError, E4Error, FailedPrecondition, Unavailable

if TYPE_CHECKING:
    from e4.c2.storage import Store, Transaction
    from e4.c2.vault import Vault

__all__ = ["Attempt", "Core", "Replayed"]

T = TypeVar("T")

_TRIES: Final = 8
_PAUSE: Final = 0.02  # seconds, doubled from try to try, with jitter


class Replayed(Exception):
    """The call was made before with this idempotency key: here is what it was answered. Not an error.

    Args:
        status: as `Call.render` gave it.
        response: likewise.
    """

    def __init__(self, status: int, response: bytes) -> None:
        super().__init__("this call was answered before")
        self.status = status
        self.response = response


class Core:
    """What all groups of operations share."""

    def __init__(
        self, store: Store, vault: Vault, mode: Mode, clock: Callable[[], int], notify: Callable[[], None]
    ) -> None:
        self.store = store
        self.vault = vault
        self.mode: Mode = mode
        self.clock = clock
        self.notify = notify

    @contextmanager
    def attempt(
        self, call: Call, operation: str, subject: str = "", right: Right = Right.OPERATE
    ) -> Iterator[Attempt]:
        """An attempt at a change: whatever refuses it inside the block is audited.

        Args:
            call: who asks.
            operation: its name, for the audit.
            subject: what it is about, for the audit.
            right: what it asks of the caller.

        Raises:
            PermissionDenied: the caller does not have the right.
        """
        attempt = Attempt(self, call, operation, plain(subject))
        try:
            require(call.actor, right)
            yield attempt
        except (DatabaseError, Unavailable):
            raise  # nothing was refused: it could not be tried
        except E4Error as error:
            outcome = type(error).__name__
            self.transact(lambda change: change.audit(call, operation, attempt.subject, outcome))
            raise

    @contextmanager
    def reading(self, call: Call, right: Right = Right.VIEW) -> Iterator[Transaction]:
        """One snapshot, for a caller who may see it. Raises `PermissionDenied`."""
        require(call.actor, right)
        with self.store.read() as tx:
            yield tx

    def require_public_keys(self) -> None:
        """Raises `FailedPrecondition` in SK mode, where nobody has a public key."""
        if self.mode != "pubkey":
            raise FailedPrecondition("the operation exists in public-key mode only")

    def transact(self, work: Callable[[Change], T], *, once: bool = False) -> T:
        """Do some work in one transaction, again from the start where it got into another's way.

        Raises:
            DatabaseError: it did so too often, or, if it is to be done once, at all: then `Transient`.
        """
        for tries in range(_TRIES):
            try:
                with self.store.write() as tx:
                    change = Change(tx, self.vault, self.mode, self.clock())
                    result = work(change)
                    change.finish()
            except Transient:
                if once:
                    raise
                time.sleep(_PAUSE * 2**tries * (0.5 + random.random()))
                continue
            if change.news:
                self.notify()
            return result
        raise DatabaseError("the database is too busy: the operation was tried several times and is not done")


class Attempt:
    """One call of an operation that changes something."""

    def __init__(self, core: Core, call: Call, operation: str, subject: str) -> None:
        self._core = core
        self._call = call
        self._operation = operation
        self.subject = subject

    def commit(
        self,
        work: Callable[[Change], T],
        *,
        replayable: bool = True,
        once: bool = False,
        each: Callable[[T], list[str]] | None = None,
    ) -> T:
        """Do the operation's work, in one transaction with its audit row.

        Args:
            work: what it does; it may run more than once.
            once: it is too long to be tried again.
            replayable: False where the answer holds a secret: it is not stored.
            each: a batch has an audit row for each of these subjects.

        Raises:
            Replayed: the call was made before, with the same idempotency key.
            Conflict: another call was.
        """
        call = self._call

        def whole(change: Change) -> T:
            if call.idempotency_key is not None:
                self._first_time(change.tx, change.now)
            result = work(change)
            if call.idempotency_key is not None and call.render is not None and replayable:
                status, response = call.render(result)
                change.tx.idempotency.answer(call.actor.name, call.idempotency_key, status, response)
            for subject in [self.subject] if each is None else each(result):
                change.audit(call, self._operation, plain(subject), audit.DONE)
            return result

        return self._core.transact(whole, once=once)

    def _first_time(self, tx: Transaction, now: int) -> None:
        call = self._call
        key = call.idempotency_key
        assert key is not None
        # Before the work: where another process does the same call now, this waits for its end.
        if tx.idempotency.put(call.actor.name, key, call.fingerprint, now):
            return
        before = tx.idempotency.get(call.actor.name, key)
        if before is None:  # it was just pruned, or the other process failed
            raise Transient
        if before.fingerprint != call.fingerprint:
            raise Conflict("the idempotency key was used for another request")
        if before.status is None or before.response is None:
            raise Conflict("the request was carried out before, and its answer was not kept")
        raise Replayed(before.status, before.response)
