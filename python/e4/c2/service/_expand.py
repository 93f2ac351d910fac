"""Long work in chunks: the commands of a job are queued some hundreds at a time, each chunk one transaction.

A job walks over clients in the order of their rows; its cursor is the last one looked at. So it can be
broken off anywhere and goes on there, and clients that join meanwhile are either met later or have their
command already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from e4.c2.model import Client, Job, JobKind
from e4.c2.storage import JobWork

if TYPE_CHECKING:
    from e4.c2.service._change import Change

__all__ = ["CHUNK", "expand", "start"]

CHUNK: Final = 1000


def start(change: Change, kind: JobKind, row: int, subject: str, version: int, total: int) -> Job:
    """Begin a job with its first chunk; older ones of the same subject are left to it.

    Args:
        change: the transaction.
        kind: of the job.
        row: of the topic or client it is about; 0 for C2's key.
        subject: its name.
        version: of the key that is sent.
        total: how many clients get it.
    """
    jobs = change.tx.jobs
    id = jobs.new(kind, row, subject, version, total, change.now)
    expand(change, JobWork(id, kind, row, subject, version, total, 0, 0, change.now))
    # After the clients are locked, as whoever works on the older job writes it after it has locked clients.
    jobs.supersede_running(kind, row, change.now, below=id)
    change.finish_jobs()
    found = jobs.get(id)
    assert found is not None
    return found


def expand(change: Change, job: JobWork) -> None:
    """Queue the next chunk of a job's commands."""
    clients = _next(change, job)
    if clients:
        _send(change, job, clients)
    cursor = clients[-1].row if clients else job.cursor
    change.tx.jobs.advance(job.id, cursor, len(clients), expanded=len(clients) < CHUNK)
    change.touched_jobs()


def _next(change: Change, job: JobWork) -> list[Client]:
    tx = change.tx
    match job.kind:
        case JobKind.TOPIC_KEY:
            return tx.members.clients_after(job.subject_row, job.cursor, CHUNK)
        case JobKind.CLIENT_PUBLIC_KEY:
            return tx.links.targets_after(job.subject_row, job.cursor, CHUNK)
        case JobKind.C2_KEY:
            return tx.clients.below_c2_key_version(job.version, job.cursor, CHUNK)


def _send(change: Change, job: JobWork, clients: list[Client]) -> None:
    tx = change.tx
    match job.kind:
        case JobKind.TOPIC_KEY:
            for topic in tx.topics.by_rows([job.subject_row]).values():
                change.set_topic_key(clients, topic, job.id)
        case JobKind.CLIENT_PUBLIC_KEY:
            for source in tx.clients.by_rows([job.subject_row]).values():
                change.set_pub_key(clients, source, job.id)
        case JobKind.C2_KEY:
            change.set_c2_key(clients, job.version, job.id)
            tx.clients.set_c2_key_version([client.row for client in clients], job.version)
