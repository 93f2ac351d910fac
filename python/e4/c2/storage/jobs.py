"""The room of jobs: work on many clients, whose commands are queued chunk by chunk.

What is done of a job is counted when somebody asks: its commands that are not pending any more. So no
command can be counted twice, and senders of commands never wait for a job's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, and_, func, select, text, update

from e4.c2.model import Job, JobKind, JobState
from e4.c2.storage.room import Room
from e4.c2.storage.schema import commands, jobs
from e4.c2.storage.values import JobWork

__all__ = ["Jobs"]

_j = jobs.c
_PENDING_OF = and_(
    commands.c.settled_at.is_(None), commands.c.job_id.is_not(None), commands.c.job_id == _j.id
)
_pending = select(func.count()).select_from(commands).where(_PENDING_OF).scalar_subquery()
_SELECT: Select[Any] = select(
    _j.id,
    _j.kind,
    _j.subject,
    _j.state,
    _j.total,
    _j.queued,
    _j.queued - _pending,
    _j.created_at,
    _j.finished_at,
)
_WORK: Select[Any] = select(
    _j.id, _j.kind, _j.subject_row, _j.subject, _j.version, _j.total, _j.queued, _j.cursor, _j.created_at
).where(_j.state == JobState.RUNNING, _j.expanded.is_(False))
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
_LOCKS: Final = 0xE4 << 48  # where jobs' numbers lie among advisory locks


class Jobs(Room):
    """Jobs. At most one of a kind and subject should run: see `supersede_running`."""

    __slots__ = ()

    def new(self, kind: JobKind, subject_row: int, subject: str, version: int, total: int, at: int) -> int:
        """Start a job.

        Args:
            kind: what it sends.
            subject_row: row of the topic or client it is about; 0 for C2's key.
            subject: its name.
            version: of the key that it sends.
            total: clients to send to.
            at: milliseconds since the epoch.

        Returns:
            Its id.
        """
        values = {
            "kind": kind,
            "subject_row": subject_row,
            "subject": subject,
            "version": version,
            "state": JobState.RUNNING,
            "total": total,
            "queued": 0,
            "cursor": 0,
            "expanded": False,
            "created_at": at,
        }
        number: int = self._connection.execute(jobs.insert().values(values).returning(_j.id)).scalar_one()
        return number

    def get(self, number: int) -> Job | None:
        """A job."""
        row = self._connection.execute(_SELECT.where(_j.id == number)).first()
        return None if row is None else _job(row)

    def page(
        self, after: int | None, limit: int, *, state: JobState | None = None, newest_first: bool = False
    ) -> list[Job]:
        """The next jobs by id."""
        query = _SELECT.order_by(_j.id.desc() if newest_first else _j.id).limit(limit)
        if state is not None:
            query = query.where(_j.state == state)
        if after is not None:
            query = query.where(_j.id < after if newest_first else _j.id > after)
        return [_job(row) for row in self._connection.execute(query).all()]

    def newest_of(self, kind: JobKind, subject_row: int) -> Job | None:
        """The newest job of a kind about a subject."""
        query = _SELECT.where(_j.kind == kind, _j.subject_row == subject_row)
        row = self._connection.execute(query.order_by(_j.id.desc()).limit(1)).first()
        return None if row is None else _job(row)

    def supersede_running(self, kind: JobKind, subject_row: int, at: int, *, below: int | None = None) -> int:
        """End the running jobs of a kind about a subject: a newer one does the rest, or nothing is to do.

        Args:
            kind: of the jobs.
            subject_row: row of the topic or client they are about.
            at: milliseconds since the epoch.
            below: id of the newer job, which goes on.
        """
        running = and_(_j.kind == kind, _j.subject_row == subject_row, _j.state == JobState.RUNNING)
        if below is not None:
            running = and_(running, _j.id < below)
        values = {"state": JobState.SUPERSEDED, "finished_at": at}
        return self._connection.execute(update(jobs).where(running).values(values)).rowcount

    def lock_next(self) -> JobWork | None:
        """The oldest running job whose commands are not all queued, and that no other process works on.

        It is held until the transaction ends, but its row is not: who supersedes it need not wait.
        """
        waiting = select(_j.id).where(_j.state == JobState.RUNNING, _j.expanded.is_(False)).order_by(_j.id)
        for number in self._connection.scalars(waiting.limit(100)).all():
            if self._postgresql and not self._connection.scalar(_TRY_LOCK, {"key": _LOCKS + number}):
                continue
            # Read again: whoever held it a moment ago may have finished it.
            row = self._connection.execute(_WORK.where(_j.id == number)).first()
            if row is not None:
                return JobWork(row[0], JobKind(row[1]), *row[2:])
        return None

    def advance(self, number: int, cursor: int, added: int, expanded: bool) -> None:
        """Note that commands of a running job were queued.

        Args:
            number: of the job.
            cursor: the last row that was looked at.
            added: how many commands.
            expanded: whether these were the last; the job's total is then what was queued.
        """
        values: dict[str, Any] = {"cursor": cursor, "queued": _j.queued + added, "expanded": expanded}
        if expanded:
            values["total"] = _j.queued + added
        self._connection.execute(update(jobs).where(_j.id == number).values(values))

    def finish_ready(self, at: int) -> list[Job]:
        """Jobs all of whose commands are queued, and settled: they are done now.

        One that another transaction works on is left for the next time.
        """
        pending = select(commands.c.id).where(_PENDING_OF).exists()
        ready = select(_j.id).where(_j.state == JobState.RUNNING, _j.expanded.is_(True), ~pending)
        numbers = list(self._connection.scalars(ready.order_by(_j.id).with_for_update(skip_locked=True)))
        if not numbers:
            return []
        done = {"state": JobState.DONE, "finished_at": at}
        self._connection.execute(update(jobs).where(self._among(_j.id, numbers)).values(done))
        return [
            _job(row)
            for row in self._connection.execute(
                _SELECT.where(self._among(_j.id, numbers)).order_by(_j.id)
            ).all()
        ]


def _job(row: Sequence[Any]) -> Job:
    number, kind, subject, state, *rest = row
    return Job(number, JobKind(kind), subject, JobState(state), *rest)
