"""What C2 tells of itself: commands, jobs, events, the audit."""

from __future__ import annotations

from e4.c2 import audit
from e4.c2.model import (
    AuditCheck,
    AuditRow,
    Call,
    Command,
    CommandState,
    Event,
    Job,
    JobState,
    Page,
    Right,
)
from e4.c2.service._change import Change
from e4.c2.service._checks import Ref, page_size, read_number_cursor, read_ref
from e4.c2.service._core import Core
from e4.c2.service._reading import find_client, number_page
from e4.errors import InvalidRequest, NotFound

__all__ = ["Audit", "Commands", "Events", "Jobs"]


class Commands:
    """The outbox, and what has become of what was in it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def page_commands(
        self,
        call: Call,
        client: Ref | None = None,
        state: CommandState | None = None,
        job: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Command]:
        """A page of commands, newest first.

        Args:
            call: who asks.
            client: only this client's.
            state: only those in this state.
            job: only this job's.
            cursor: `next` of the page before; None for the first.
            limit: 1 to 1000.

        Raises:
            NotFound: the client is not known.
            InvalidRequest: the cursor or the limit is not valid.
        """
        ref = None if client is None else read_ref(client)
        after, size = read_number_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            id = None if ref is None else find_client(tx, ref).id
            found = tx.commands.page(
                client=id, state=state, job=job, after_id=after, limit=size + 1, newest_first=True
            )
            return number_page(found, size)

    def get_command(self, call: Call, id: int) -> Command:
        """One command. Raises `NotFound`."""
        with self._core.reading(call) as tx:
            found = tx.commands.get(id)
        if found is None:
            raise NotFound(f"there is no command {id}")
        return found

    def retry_commands(self, call: Call) -> int:
        """Try again now what waits for its next try; how many there are."""
        with self._core.attempt(call, "retry_commands") as attempt:

            def work(change: Change) -> int:
                change.news = True
                return change.tx.commands.retry_now()

            return attempt.commit(work)


class Jobs:
    """Work on many clients."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get_job(self, call: Call, id: int) -> Job:
        """One job. Raises `NotFound`."""
        with self._core.reading(call) as tx:
            found = tx.jobs.get(id)
        if found is None:
            raise NotFound(f"there is no job {id}")
        return found

    def page_jobs(
        self, call: Call, cursor: str | None = None, limit: int = 100, state: JobState | None = None
    ) -> Page[Job]:
        """A page of jobs, newest first. Raises `InvalidRequest`."""
        after, size = read_number_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            return number_page(tx.jobs.page(after, size + 1, state=state, newest_first=True), size)


class Events:
    """What happened, numbered; kept for some time."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def read_events(self, call: Call, after: int, limit: int = 1000) -> list[Event]:
        """The events after a number, oldest first. Raises `InvalidRequest`."""
        if after < 0:
            raise InvalidRequest("the number of an event is not negative")
        size = page_size(limit)
        with self._core.reading(call) as tx:
            return tx.events.after(after, size)

    def last_event(self, call: Call) -> int:
        """The number of the newest event; 0 before the first."""
        with self._core.reading(call) as tx:
            return tx.events.last()

    def first_event(self, call: Call) -> int:
        """The number of the oldest event that is kept, or of the next one if none is."""
        with self._core.reading(call) as tx:
            return tx.events.first()


class Audit:
    """Who did what. For administrators."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def page_audit(self, call: Call, cursor: str | None = None, limit: int = 100) -> Page[AuditRow]:
        """A page of the audit, newest first. Raises `InvalidRequest`."""
        after, size = read_number_cursor(cursor), page_size(limit)
        with self._core.reading(call, Right.ADMINISTER) as tx:
            found = tx.audit.page(after, size + 1, newest_first=True)
        page = found[:size]
        return Page(page, str(page[-1].number) if len(found) > size else None)

    def verify_audit(self, call: Call) -> AuditCheck:
        """Check the whole chain, from the first row to the last that was written."""
        with self._core.reading(call, Right.ADMINISTER) as tx:
            return audit.verify(tx.audit.iterate(), tx.audit.last())
