"""Removes what was kept for long enough: commands that are done, events, answers to repeated requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from e4.c2.delivery.worker import Worker

if TYPE_CHECKING:
    from e4.c2.settings import Delivery
    from e4.c2.storage import Store

__all__ = ["Janitor"]

_ROWS = 1000  # in one transaction, so that nobody waits for it
_BREATH = 0.1  # seconds between two
_EVERY = 600.0  # seconds
_DAY = 86_400_000  # milliseconds
_HOUR = 3_600_000


class Janitor(Worker):
    """Prunes the database, in a thread of its own.

    Args:
        store: the database.
        settings: how long things are kept.
        clock: milliseconds since the epoch.
    """

    def __init__(self, store: Store, settings: Delivery, clock: Callable[[], int]) -> None:
        super().__init__("janitor", settings.retry_min_seconds, settings.retry_max_seconds)
        self._store = store
        self._settings = settings
        self._clock = clock

    def step(self) -> float:
        """Remove a few rows of each kind."""
        now, keep = self._clock(), self._settings
        with self._store.write() as tx:
            commands = tx.commands.prune(now - int(keep.keep_commands_days * _DAY), _ROWS)
        with self._store.write() as tx:
            events = tx.events.prune(now - int(keep.keep_events_days * _DAY), _ROWS)
        with self._store.write() as tx:
            tx.idempotency.prune(now - int(keep.keep_idempotency_hours * _HOUR))
        return _BREATH if commands or events else _EVERY
