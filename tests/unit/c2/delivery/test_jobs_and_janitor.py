"""The threads beside the sender."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from e4.c2.delivery import Janitor, JobRunner
from e4.c2.settings import Delivery
from tests._broker import until

NOW = 1_588_888_888_000
SETTINGS = Delivery(keep_commands_days=2.0, keep_events_days=1.0, keep_idempotency_hours=3.0)


class Rooms:
    """A database with so many rows to prune in each room."""

    def __init__(self, pending: int = 0, **rows: int) -> None:
        self.rows = {"commands": 0, "events": 0, "idempotency": 0} | rows
        self.pruned: list[tuple[str, int]] = []
        self.pending = pending
        self.transactions = 0

    @contextlib.contextmanager
    def write(self) -> Iterator[Any]:
        self.transactions += 1

        def room(name: str) -> Any:
            def prune(before: int, limit: int = 10**9) -> int:
                self.pruned.append((name, before))
                taken = min(limit, self.rows[name])
                self.rows[name] -= taken
                return taken

            return SimpleNamespace(prune=prune)

        yield SimpleNamespace(**{name: room(name) for name in self.rows})

    @contextlib.contextmanager
    def read(self) -> Iterator[Any]:
        yield SimpleNamespace(commands=SimpleNamespace(pending=lambda: (self.pending, None)))


class Work:
    """A service with so many chunks to do."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks

    def run_jobs_once(self) -> bool:
        self.chunks = max(0, self.chunks - 1)
        return self.chunks > 0


def test_a_job_is_worked_on_to_its_end() -> None:
    work = Work(3)
    runner = JobRunner(Rooms(), work, SETTINGS)  # type: ignore[arg-type]
    assert [runner.step() for _ in range(3)] == [0, 0, SETTINGS.poll_seconds]


def test_a_full_outbox_holds_jobs_back() -> None:
    rooms, work = Rooms(pending=10), Work(3)
    runner = JobRunner(rooms, work, SETTINGS, enough=10)  # type: ignore[arg-type]
    assert runner.step() == SETTINGS.poll_seconds
    assert work.chunks == 3
    rooms.pending = 9
    assert runner.step() == 0


def test_as_a_thread_it_is_woken_for_new_jobs() -> None:
    work = Work(0)
    settings = Delivery(poll_seconds=60.0)
    runner = JobRunner(Rooms(), work, settings)  # type: ignore[arg-type]
    runner.start()
    work.chunks = 5
    runner.wake()
    until(lambda: work.chunks == 0)
    assert runner.stop(10)


def test_each_kind_is_kept_for_its_time() -> None:
    rooms = Rooms()
    janitor = Janitor(rooms, SETTINGS, lambda: NOW)  # type: ignore[arg-type]
    assert janitor.step() > 60
    day = 86_400_000
    assert rooms.pruned == [
        ("commands", NOW - 2 * day),
        ("events", NOW - day),
        ("idempotency", NOW - day // 8),
    ]


def test_much_is_removed_in_small_transactions() -> None:
    rooms = Rooms(commands=2500, events=10)
    janitor = Janitor(rooms, SETTINGS, lambda: NOW)  # type: ignore[arg-type]
    waits = [janitor.step() for _ in range(4)]
    assert waits[0] == waits[1] == waits[2] < 1 < waits[3]
    assert rooms.rows == {"commands": 0, "events": 0, "idempotency": 0}
    assert rooms.transactions == 12
