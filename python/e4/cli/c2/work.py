"""``e4 c2 job, jobs, commands, retry, events``: what the server does, and has done."""

from __future__ import annotations

import itertools
from typing import Annotated, TypeVar

import typer

from e4.c2.model import CommandState, EventKind, JobState
from e4.cli._errors import Usage
from e4.cli._options import JsonFlag
from e4.cli.c2._access import Access
from e4.cli.c2._columns import COMMANDS, EVENTS, JOBS
from e4.cli.c2._group import Entry, add
from e4.cli.c2._pages import LimitOption, paged
from e4.cli.c2._show import details, document, done, json_of, listed, time_of
from e4.cli.c2._watch import WatchFlag, job_text, watch

__all__ = ["register"]

K = TypeVar("K", JobState, CommandState)


def _job(
    id: Annotated[int, typer.Argument(metavar="ID", help="The job's number.")],
    watched: WatchFlag = False,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    with access.remote() as remote:
        if watched:
            job = watch(remote, id, stream=as_json)
            if as_json:
                return
        else:
            job = remote.get_job(id)
    if as_json:
        document(json_of(job))
        return
    details(
        [
            ("job", job.id),
            ("kind", job.kind.value),
            ("about", job.subject or "-"),
            ("state", f"{job.state.value}, {job_text(job)}"),
            ("started", time_of(job.created_at)),
            ("finished", time_of(job.finished_at)),
        ]
    )


def _jobs(
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those that are in this state.")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    wanted = None if state is None else _one_of(JobState, state, "--state")
    with access.remote() as remote:
        jobs = paged(lambda cursor, size: remote.page_jobs(cursor, size, state=wanted), limit)
        listed(jobs, JOBS, as_json, none="no jobs")


def _commands(
    client: Annotated[
        str | None, typer.Option("--client", metavar="NAME", help="Only those for this client.")
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those that are in this state.")
    ] = None,
    job: Annotated[int | None, typer.Option("--job", metavar="ID", help="Only those of this job.")] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    wanted = None if state is None else _one_of(CommandState, state, "--state")
    with access.remote() as remote:
        commands = paged(
            lambda cursor, size: remote.page_commands(cursor, size, client=client, state=wanted, job=job),
            limit,
        )
        listed(commands, COMMANDS, as_json, none="no commands")


def _retry(as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        count = remote.retry_commands()
    done(f"{count} commands that the broker refused are tried again now", as_json, retried=count)


def _events(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with new events as they happen, up to Ctrl-C.")
    ] = False,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="NUMBER",
            min=0,
            help="Only those after this one.",
            show_default="all; with --follow new ones",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Only those of this kind, as topic.created, or of these kinds, as topic. May be repeated.",
        ),
    ] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    wanted = [kind for text in kinds or [] for kind in _kinds(text)]
    with access.remote() as remote:
        if follow:
            events = itertools.islice(remote.events(after, wanted), limit)
            listed(events, EVENTS, as_json, live=True)
            return
        kept = paged(
            lambda cursor, size: remote.page_events(
                cursor, size, kinds=wanted, after=after if cursor is None else None
            ),
            limit,
        )
        listed(kept, EVENTS, as_json, none="no events")


def _kinds(text: str) -> list[EventKind]:
    """The kinds of events that a text stands for. Raises `Usage` where it stands for none."""
    kinds = [kind for kind in EventKind if text in (kind.value, kind.value.partition(".")[0])]
    if not kinds:
        raise Usage(f"there is no kind of event '{text}': choose of {', '.join(EventKind)}")
    return kinds


def _one_of(kind: type[K], text: str, option: str) -> K:
    try:
        return kind(text)
    except ValueError:
        raise Usage(f"{option} is {', '.join(kind)}") from None


_COMMANDS = (
    Entry("job", _job, "Show how far a job is.", "7\n7 --watch"),
    Entry(
        "jobs",
        _jobs,
        "List jobs, the newest first.",
        "\n--state running",
        "A job sends something to many clients: a topic's new key, or C2's.",
    ),
    Entry(
        "commands",
        _commands,
        "List the commands that clients were or will be sent, the newest first.",
        "--client alice --limit 20\n--state failed",
        "A command is queued, sent (the broker has acknowledged it), superseded by a later one, or failed: "
        "the broker has refused it, and it will be tried again.",
    ),
    Entry("retry", _retry, "Try commands that the broker refused again now, without waiting.", ""),
    Entry(
        "events",
        _events,
        "List what has happened, the oldest first, or follow what happens.",
        "\n--follow --kind topic --kind membership\n--after 1200 --json",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    add(app, "e4 c2", _COMMANDS)
