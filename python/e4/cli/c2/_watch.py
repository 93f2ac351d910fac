"""Watching a job until it ends. Knows no command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from e4.c2.model import Job, JobState
from e4.cli._output import print_json
from e4.cli.c2._progress import Progress
from e4.cli.c2._show import json_of

if TYPE_CHECKING:
    from e4.c2.remote import Remote

__all__ = ["WatchFlag", "job_text", "watch"]

WatchFlag = Annotated[bool, typer.Option("--watch", help="Show how far it comes, until it is done.")]


def watch(remote: Remote, id: int, *, stream: bool = False) -> Job:
    """Show a job's progress until it is done or superseded.

    Args:
        stream: print each change as a line of JSON instead.

    Returns:
        The job at its end.
    """
    job = None
    if stream:
        for now in remote.watch_job(id):
            if now != job:
                print_json(json_of(now))
            job = now
    else:
        with Progress(f"job {id}") as progress:
            for job in remote.watch_job(id):
                progress.update(job.done, job.total)
    assert job is not None
    return job


def job_text(job: Job) -> str:
    """How far a job is, in words."""
    if job.state is JobState.DONE:
        return f"sent to {job.done} clients"
    if job.state is JobState.SUPERSEDED:
        return f"superseded by a newer job after {job.done} of {job.total} clients"
    return f"sent to {job.done} of {job.total} clients so far"
