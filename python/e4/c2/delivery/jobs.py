"""Works on long jobs, a chunk at a time: a topic's new key to its members, C2's new key to all clients.

What a chunk is, and how a job resumes after a crash, is the service's to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from e4.c2.delivery.worker import Worker

if TYPE_CHECKING:
    from e4.c2.service import Service
    from e4.c2.settings import Delivery
    from e4.c2.storage import Store

__all__ = ["JobRunner"]

_ENOUGH = 100_000  # commands in the outbox: a job waits until fewer are left


class JobRunner(Worker):
    """Queues the commands of jobs, in a thread of its own.

    Args:
        store: the database.
        service: works on one chunk at a time.
        settings: waiting times.
        enough: with so many commands in the outbox, nothing is added by jobs.
    """

    def __init__(self, store: Store, service: Service, settings: Delivery, enough: int = _ENOUGH) -> None:
        super().__init__("jobs", settings.retry_min_seconds, settings.retry_max_seconds)
        self._store = store
        self._service = service
        self._poll = settings.poll_seconds
        self._enough = enough

    def step(self) -> float:
        """Queue one chunk."""
        with self._store.read() as tx:
            pending, _ = tx.commands.pending()
        if pending >= self._enough:
            return self._poll
        return 0 if self._service.run_jobs_once() else self._poll
