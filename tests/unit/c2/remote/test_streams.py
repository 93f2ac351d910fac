"""What goes on for long: imports in parts, and events that are taken up again."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from e4 import crypto
from e4.c2.model import Event, EventKind, ImportProgress
from e4.c2.remote import Remote, _imports
from e4.errors import InvalidRequest, Unavailable
from tests._keyserver import Keyserver, Serving, serving
from tests.unit.c2.remote._scripted import scripted


@pytest.fixture
def served(server: Keyserver) -> Iterator[Serving]:
    with serving(server) as running:
        yield running


@pytest.fixture
def remote(served: Serving) -> Iterator[Remote]:
    with Remote(served.url) as remote:
        yield remote


def counts(progress: ImportProgress) -> tuple[int, int, int, int, int]:
    return progress.done, progress.created, progress.replaced, progress.unchanged, progress.refused


def test_rows_of_a_program(server: Keyserver, remote: Remote) -> None:
    key = server.key()
    rows = [("a", key), ("b", server.key()), (bytes(range(16)), server.key()), ("c", b"short"), ("a", key)]
    (progress,) = remote.import_clients(rows)
    assert counts(progress) == (5, 3, 0, 1, 1)
    assert [line for line, _ in progress.errors] == [4]
    assert [client.name for client in remote.clients()] == [bytes(range(16)).hex(), "a", "b"]
    remote.new_topic("t")
    (progress,) = remote.import_memberships([("a", "t"), (bytes(range(16)), "t"), ("a", "none")])
    assert counts(progress) == (3, 2, 0, 0, 1)
    assert progress.errors == ((3, "topic 'none' is not known"),)


def test_nothing_is_sent_before_it_is_read(remote: Remote) -> None:
    remote.import_clients([("a", crypto.random_key())])
    assert remote.count_clients() == 0
    assert [counts(progress) for progress in remote.import_clients([])] == [(0, 0, 0, 0, 0)]


@pytest.mark.parametrize("part", [1, 200, 1 << 20])
def test_a_file_in_parts(
    server: Keyserver, remote: Remote, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines that are told are those of the file, wherever it was cut; also with line breaks in names."""
    monkeypatch.setattr(_imports, "_PART", part)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "key"])
    for name in ("a", 'b "the\nsecond\n', "c", "d"):
        writer.writerow([name, base64.b64encode(server.key()).decode()])
    writer.writerow(["bad", "key"])  # on line 8
    reports = list(remote.import_clients_file(io.BytesIO(text.getvalue().encode()), "csv"))
    assert counts(reports[-1]) == (5, 4, 0, 0, 1)
    assert [error for report in reports for error in report.errors] == [
        (8, "key must be 32 bytes in base64 or hex")
    ]
    assert len(reports) == (5 if part == 1 else len(reports))
    assert [client.name for client in remote.clients()] == ["a", 'b "the\nsecond\n', "c", "d"]


def test_json_lines_in_parts(server: Keyserver, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_imports, "_PART", 1)
    remote.new_topic("t")
    server.add_clients("a", "b")
    lines = [json.dumps({"client": name, "topic": "t"}) for name in ("a", "nobody", "b")]
    reports = list(remote.import_memberships_file(io.BytesIO("\n".join(lines).encode()), "jsonl"))
    assert [report.done for report in reports] == [1, 2, 3]
    assert [error for report in reports for error in report.errors] == [(2, "client 'nobody' is not known")]


def test_a_file_that_cannot_be_read(remote: Remote) -> None:
    with pytest.raises(InvalidRequest, match="must name the columns"):
        list(remote.import_clients_file(io.BytesIO(b"a,b\n"), "csv"))
    with pytest.raises(InvalidRequest, match="must name the columns"):
        list(remote.import_clients_file(io.BytesIO(b""), "csv"))
    with pytest.raises(InvalidRequest, match="longer than 1 MiB"):
        list(remote.import_clients_file(io.BytesIO(b"name,key\n" + b"x" * (1 << 21)), "csv"))


def test_a_part_whose_answer_is_lost_is_sent_again() -> None:
    done = {"done": 1, "created": 0, "replaced": 0, "unchanged": 1, "refused": 0, "errors": []}
    with scripted(None, (200, done)) as script, Remote(script.url) as remote:
        (progress,) = remote.import_clients([("a", bytes(32))])
        assert counts(progress) == (1, 0, 0, 1, 0)
        assert script.asked[0].body == script.asked[1].body
    for answer in (b"", b'{"done":1', b"{}"):
        with scripted((200, answer)) as script, Remote(script.url) as remote, pytest.raises(Unavailable):
            list(remote.import_clients([("a", bytes(32))]))


def test_export(server: Keyserver, remote: Remote) -> None:
    server.add_clients("a")
    remote.new_topic("t")
    remote.new_topic_client("a", "t")
    first, second = remote.export()
    assert first["topic"]["name"] == "t"
    assert (second["client"]["name"], second["client"]["topics"]) == ("a", ["t"])


def follow(events: Iterator[Event], count: int) -> list[tuple[int, str]]:
    return [(event.number, event.source) for event in itertools.islice(events, count)]


def test_events_from_a_number_on(server: Keyserver, remote: Remote) -> None:
    server.add_clients("a", "b", "c")
    assert follow(remote.events(after=0), 3) == [(1, "a"), (2, "b"), (3, "c")]
    assert follow(remote.events(after=1), 2) == [(2, "b"), (3, "c")]
    server.service.topics.new_topic(server.call, "t")
    assert follow(remote.events(after=0, kinds=[EventKind.TOPIC_CREATED]), 1) == [(4, "t")]


def test_events_are_followed_over_a_restart(server: Keyserver, remote: Remote, served: Serving) -> None:
    """Without a number: what happened while the connection was away is there all the same."""
    server.add_clients("before")
    seen: list[Any] = []
    connected = threading.Event()

    def read() -> None:
        for event in remote.events():
            seen.append((event.number, event.source))
            connected.set()
            if event.source == "last":
                return

    reader = threading.Thread(target=read)
    reader.start()
    number = 0
    while not connected.wait(0.05):  # until the stream stands
        number += 1
        server.add_clients(f"first-{number}")
    served.stop()
    server.add_clients("meanwhile")
    served.start()
    server.add_clients("last")
    reader.join(30)
    assert not reader.is_alive()
    assert [source for _, source in seen][-2:] == ["meanwhile", "last"]
    numbers = [number for number, _ in seen]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_events_of_nobody() -> None:
    with scripted() as script:
        url = script.url
    with Remote(url, retries=0) as remote, pytest.raises(Unavailable, match="nothing answers"):
        next(remote.events())


def test_an_event_that_is_not_known_here() -> None:
    stream = (
        b"retry: 1000\nid: 4\n\n"
        b'id: 5\ndata: {"number":5,"kind":"what.is.new","source":"","target":"",'
        b'"at":"2026-01-01T00:00:00Z"}\n\n'
        b": nothing new\n\n"
        b'id: 6\ndata: {"number":6,"kind":"topic.created","source":"t","target":"",'
        b'"at":"2026-01-01T00:00:00Z"}\n\n'
    )
    with scripted((200, stream)) as script, Remote(script.url) as remote:
        assert next(remote.events()).number == 6
