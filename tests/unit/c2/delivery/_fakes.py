"""Stand-ins for the database and the broker: what they were told, and what they are told to answer."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from e4 import crypto
from e4.c2.model import CommandKind
from e4.c2.storage.values import Outgoing
from e4.errors import DatabaseError, MqttError
from e4.mqtt.publisher import ConnectionLost, Outcome

T0 = 1_588_888_888  # seconds
KEY, TOPIC_KEY = bytes([7]) * 32, bytes([9]) * 32


class Clock:
    """Milliseconds since the epoch, as the test has it."""

    def __init__(self) -> None:
        self.ms = T0 * 1000 + 250

    def __call__(self) -> int:
        return self.ms

    def tick(self, seconds: float = 1) -> None:
        self.ms += int(seconds * 1000)


class FakeVault:
    """Seals nothing; tells what it was asked for."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, int, int]] = []

    def open_key(self, table: str, row: int, version: int, sealed: bytes) -> bytes:
        self.opened.append((table, row, version))
        return sealed


def outgoing(
    number: int, client: str = "alice", kind: Any = CommandKind.RESET_TOPICS, **values: Any
) -> Outgoing:
    """A claimed command; of SetTopicKey with a topic."""
    fields: dict[str, Any] = {field.name: None for field in dataclasses.fields(Outgoing)} | {
        "command": number,
        "client_id": crypto.hash_id_alias(client),
        "client_row": sum(client.encode()),
        "client": client,
        "kind": kind,
        "key_version": 1,
        "client_key": KEY,
        "c2_key_version": 0,
        "topic": "",
        "source": "",
        "attempts": 0,
    }
    if kind == CommandKind.SET_TOPIC_KEY:
        fields |= {
            "topic_row": 5,
            "topic_hash": crypto.hash_topic("t"),
            "topic_version": 1,
            "topic_key": TOPIC_KEY,
        }
    return Outgoing(**(fields | values))


@dataclass
class FakeClaim:
    """A claim of these commands."""

    outgoing: list[Outgoing]
    floor: int = 0
    checks: int = 0
    lost: bool = False

    def check(self) -> None:
        self.checks += 1
        if self.lost:
            raise DatabaseError("the claim is lost")


@dataclass
class FakeStore:
    """Holds the outbox, and the delivery clock."""

    outbox: list[Outgoing] = field(default_factory=list)
    dialect: str = "sqlite"
    seconds: int = 0
    announced: list[int] = field(default_factory=list)
    fail: dict[str, int] = field(default_factory=dict)  # how often each still fails
    claims: int = 0
    limits: list[int] = field(default_factory=list)

    def clock(self) -> int:
        self._may_fail("clock")
        return self.seconds

    def advance_clock(self, seconds: int) -> int:
        self._may_fail("advance")
        self.announced.append(seconds)
        self.seconds = max(self.seconds, seconds)
        return self.seconds

    @contextlib.contextmanager
    def claim(self, limit: int, now_ms: int) -> Iterator[FakeClaim]:
        self._may_fail("claim")
        self.claims += 1
        self.limits.append(limit)
        claim = FakeClaim(self.outbox[:limit])

        @contextlib.contextmanager
        def write() -> Iterator[FakeStore]:
            self._may_fail("write")
            yield self

        claim.write = write  # type: ignore[attr-defined]
        yield claim

    @contextlib.contextmanager
    def read(self) -> Iterator[Any]:
        self._may_fail("read")
        oldest = 17 if self.outbox else None
        yield SimpleNamespace(commands=SimpleNamespace(pending=lambda: (len(self.outbox), oldest)))

    def remove(self, command: int) -> None:
        self.outbox = [out for out in self.outbox if out.command != command]

    def _may_fail(self, what: str) -> None:
        if self.fail.get(what, 0):
            self.fail[what] -= 1
            raise DatabaseError(f"no {what}")


@dataclass
class FakeService:
    """Takes the results."""

    store: FakeStore
    mode: str = "symkey"
    sent: list[tuple[int, int]] = field(default_factory=list)
    failed: list[tuple[int, str, int]] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    notified: int = 0

    def notify(self) -> None:
        self.notified += 1

    def delivered(self, tx: object, sent: Any, failed: Any, superseded: Any) -> None:
        assert tx is self.store
        for out, second in sent:
            self.sent.append((out.command, second))
            self.store.remove(out.command)
        for out, reason, retry_at in failed:
            self.failed.append((out.command, reason, retry_at))
            self.store.remove(out.command)  # it would be claimed again when its time has come
        for out in superseded:
            self.superseded.append(out.command)
            self.store.remove(out.command)


class FakePublisher:
    """A broker that takes everything at once, unless told otherwise.

    Args:
        refuse: the reason for a message by its place among all, or None.
        lose_after: the connection ends after so many messages, without an answer for `unanswered` of them.
    """

    def __init__(self) -> None:
        self.refuse: Callable[[int], str | None] = lambda number: None
        self.lose_after: int | None = None
        self.unanswered = 0
        self.unreachable = 0
        self.connected = False
        self.in_flight = 0
        self.connects = self.wakes = 0
        self.idles: list[float] = []
        self.messages: list[tuple[str, bytes, bool]] = []
        self.closed = False
        self.on_message: Callable[[int], None] = lambda number: None

    def connect(self) -> None:
        self.connects += 1
        if self.unreachable:
            self.unreachable -= 1
            raise MqttError("cannot reach the broker")
        self.connected = True

    def send(self, messages: Iterable[Any], timeout_without_progress: float) -> Iterator[Outcome]:
        answers: list[Outcome] = []
        for number, message in enumerate(messages):
            place = len(self.messages)
            self.messages.append(message)
            self.on_message(place)
            reason = self.refuse(place)
            answers.append(Outcome(number, None if reason is None else MqttError(reason)))
            if self.lose_after is not None and len(self.messages) >= self.lose_after:
                self.lose_after, self.connected = None, False
                yield from answers[: len(answers) - self.unanswered]
                raise ConnectionLost("the broker closed the connection")
            if len(answers) > 2:  # a small window
                yield answers.pop(0)
        yield from answers

    def idle(self, timeout: float) -> bool:
        self.idles.append(timeout)
        return False

    def wake(self) -> None:
        self.wakes += 1

    def abort(self) -> None:
        self.connected = False

    def close(self) -> None:
        self.closed = True
        self.connected = False
