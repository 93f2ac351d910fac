"""``e4 c2 job, jobs, commands, retry, events``."""

from __future__ import annotations

from unittest.mock import MagicMock, call

import pytest

from e4.c2.model import CommandKind, CommandState, Event, EventKind, JobState, Page
from tests.unit.cli.c2._fleet import AT, AT_TEXT, Asked, command, job

MADE = Event(5, EventKind.TOPIC_CREATED, "room", "", AT)
ADDED = Event(6, EventKind.MEMBERSHIP_ADDED, "alice", "room", AT)


def test_a_job(ask: Asked, remote: MagicMock) -> None:
    remote.get_job.return_value = job(3)
    assert ask.ok("job", 7) == (
        "job\t7\nkind\ttopic-key\nabout\troom\nstate\trunning, sent to 3 of 10 clients so far\n"
        f"started\t{AT_TEXT}\nfinished\t-\n"
    )
    assert ask.json("job", 7)["done"] == 3
    remote.get_job.return_value = job(3, state=JobState.SUPERSEDED)
    assert "superseded by a newer job after 3 of 10 clients" in ask.ok("job", 7)


def test_watching_a_job(ask: Asked, remote: MagicMock) -> None:
    states = [job(0), job(0), job(5), job(10, state=JobState.DONE)]
    remote.watch_job.side_effect = lambda id: iter(states)
    assert "state\tdone, sent to 10 clients\n" in ask.ok("job", 7, "--watch")
    assert [line["done"] for line in ask.lines("job", 7, "--watch")] == [0, 5, 10]


def test_jobs(ask: Asked, remote: MagicMock) -> None:
    remote.page_jobs.return_value = Page([job(10, state=JobState.DONE)])
    assert ask.ok("jobs", "--state", "done", "--limit", 5) == (
        f"7\ttopic-key\troom\tdone\t10\t10\t{AT_TEXT}\t{AT_TEXT}\n"
    )
    remote.page_jobs.assert_called_once_with(None, 5, state=JobState.DONE)


def test_commands(ask: Asked, remote: MagicMock) -> None:
    failed = command(
        8, kind=CommandKind.RESET_TOPICS, subject="", state=CommandState.FAILED, attempts=2, error="no",
        sent_at=None,
    )  # fmt: skip
    remote.page_commands.return_value = Page([failed])
    out = ask.ok("commands", "--client", "alice", "--state", "failed", "--job", 7)
    assert out == f"8\talice\treset-topics\t-\tfailed\t2\t{AT_TEXT}\t-\tno\n"
    remote.page_commands.assert_called_once_with(None, 1000, client="alice", state=CommandState.FAILED, job=7)


def test_retry(ask: Asked, remote: MagicMock) -> None:
    remote.retry_commands.return_value = 3
    assert ask.ok("retry") == "3 commands that the broker refused are tried again now\n"
    assert ask.json("retry") == {"retried": 3}
    assert remote.retry_commands.call_count == 2


def test_events_that_are_kept(ask: Asked, remote: MagicMock) -> None:
    remote.page_events.return_value = Page([MADE, ADDED])
    assert ask.ok("events") == (
        f"5\t{AT_TEXT}\ttopic.created\troom\t-\n6\t{AT_TEXT}\tmembership.added\talice\troom\n"
    )
    assert [line["number"] for line in ask.lines("events", "--kind", "topic.created")] == [5, 6]
    assert remote.page_events.call_args.kwargs == {"kinds": [EventKind.TOPIC_CREATED], "after": None}
    ask.ok("events", "--after", 4)
    assert remote.page_events.call_args.kwargs == {"kinds": [], "after": 4}
    remote.events.assert_not_called()


def test_only_the_first_page_of_events_is_asked_for_by_number(ask: Asked, remote: MagicMock) -> None:
    remote.page_events.side_effect = [Page([MADE], "next"), Page([ADDED])]
    assert len(ask.lines("events", "--after", 4)) == 2
    assert [c.kwargs["after"] for c in remote.page_events.mock_calls] == [4, None]


def test_events_as_they_happen(ask: Asked, remote: MagicMock) -> None:
    remote.events.side_effect = lambda after, kinds: iter([MADE, ADDED])
    assert len(ask.lines("events", "--follow")) == 2
    assert ask.ok("events", "--follow", "--after", 4, "--limit", 1, "--kind", "membership").startswith("5\t")
    kinds = [EventKind.MEMBERSHIP_ADDED, EventKind.MEMBERSHIP_REMOVED]
    assert remote.events.mock_calls == [call(None, []), call(4, kinds)]


def test_following_ends_with_an_interrupt(ask: Asked, remote: MagicMock) -> None:
    def events(after: int | None, kinds: object) -> object:
        yield MADE
        raise KeyboardInterrupt

    remote.events.side_effect = events
    result = ask("events", "--follow")
    assert result.code == 130
    assert result.out.startswith("5\t")
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("jobs --state x", "--state is running, done, superseded"),
        ("commands --state x", "--state is queued, sent, superseded, failed"),
        ("events --kind x", "there is no kind of event 'x': choose of client.created"),
        ("events --after -1", "--after"),
    ],
)
def test_wrong_arguments(ask: Asked, remote: MagicMock, words: str, text: str) -> None:
    ask(*words.split()).refused(2, text)
    assert remote.method_calls == []
