"""The sender, step by step, and as a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e4.c2.delivery import Sender
from e4.c2.model import CommandKind as Kind
from e4.c2.settings import Delivery
from e4.errors import DatabaseError, MqttError
from e4.mqtt.publisher import ConnectionLost
from tests._broker import until
from tests.unit.c2.delivery._fakes import (
    T0,
    Clock,
    FakePublisher,
    FakeService,
    FakeStore,
    FakeVault,
    outgoing,
)

SETTINGS = Delivery(batch=100, retry_min_seconds=1.0, retry_max_seconds=8.0)


class Desk:
    """A sender whose steps the test makes."""

    def __init__(self, *commands: Any, clock: Callable[[], int] | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.store = FakeStore(list(commands))
        self.service = FakeService(self.store)
        self.publisher = FakePublisher()
        self.vault = FakeVault()
        self.sender = Sender(
            self.store, self.service, self.vault, lambda: self.publisher,  # type: ignore[arg-type]
            SETTINGS.model_copy(update=settings), retain=True, clock=clock or self.clock,
        )  # fmt: skip

    def run(self) -> list[float]:
        """Steps until one waits."""
        waits = []
        while not waits or waits[-1] == 0:
            waits.append(self.sender.step())
        return waits


def test_the_outbox_is_drained_batch_by_batch() -> None:
    desk = Desk(*(outgoing(number, f"c{number}") for number in range(250)))
    assert desk.run() == [0, 0, 0, SETTINGS.poll_seconds]
    assert desk.service.sent == [(number, T0) for number in range(250)]
    assert desk.store.announced == [T0]
    assert (desk.publisher.connects, desk.store.limits) == (1, [100] * 4)
    status = desk.sender.status()
    assert (status.connected, status.error, status.sent, status.pending) == (True, "", 250, 0)
    assert (status.failed, status.superseded, status.in_flight, status.oldest) == (0, 0, 0, None)


def test_what_must_wait_is_waited_for_without_a_busy_loop() -> None:
    desk = Desk(outgoing(1), outgoing(2), outgoing(3, "bob"))
    waits = desk.run()
    assert waits == [0, pytest.approx(0.75)]
    assert [number for number, _ in desk.service.sent] == [1, 3]
    desk.clock.tick(0.75)
    assert desk.run() == [0, SETTINGS.poll_seconds]
    assert desk.service.sent[-1] == (2, T0 + 1)


def test_the_first_second_is_later_than_the_last_one_of_the_process_before() -> None:
    desk = Desk(outgoing(1))
    desk.store.seconds = T0
    assert desk.run() == [pytest.approx(0.75)]
    desk.clock.tick()
    desk.run()
    assert desk.service.sent == [(1, T0 + 1)]


def test_a_clock_that_went_back_is_told() -> None:
    desk = Desk(outgoing(1))
    desk.store.seconds = T0 + 100
    assert desk.run() == [SETTINGS.poll_seconds]
    status = desk.sender.status()
    assert status.clock_behind == 100
    assert "100 seconds behind" in status.error
    assert desk.publisher.messages == []
    assert desk.store.claims == 0


def test_a_refused_command_has_its_reason_and_its_time() -> None:
    desk = Desk(outgoing(1, attempts=2), outgoing(2, kind=Kind.SET_TOPIC_KEY), outgoing(3, "bob"))
    desk.publisher.refuse = lambda number: "not authorized" if number == 0 else None
    assert desk.sender.step() == 0
    assert desk.service.sent == [(3, T0)]
    ((number, reason, retry_at),) = desk.service.failed
    assert (number, reason) == (1, "not authorized")
    assert 2000 <= retry_at - desk.clock() <= 4000  # four times the first wait, with jitter
    status = desk.sender.status()
    assert (status.failed, status.sent, status.pending, status.oldest) == (1, 1, 1, 17)


def test_a_lost_connection_fails_nothing_and_all_of_it_goes_again() -> None:
    desk = Desk(*(outgoing(number, f"c{number}") for number in range(10)))
    desk.publisher.lose_after, desk.publisher.unanswered = 6, 4
    with pytest.raises(ConnectionLost):
        desk.sender.step()
    acknowledged = len(desk.service.sent)
    assert 0 < acknowledged <= 6
    assert desk.service.failed == []
    desk.clock.tick()
    desk.run()
    assert [number for number, _ in desk.service.sent] == list(range(10))
    assert [second for _, second in desk.service.sent] == [T0] * acknowledged + [T0 + 1] * (10 - acknowledged)
    assert desk.publisher.connects == 2


def test_what_went_unanswered_does_not_go_again_in_the_same_second() -> None:
    desk = Desk(outgoing(1), outgoing(2, "bob"))
    desk.publisher.lose_after, desk.publisher.unanswered = 1, 1
    with pytest.raises(ConnectionLost):
        desk.sender.step()
    assert desk.run() == [0, pytest.approx(0.75)]
    assert desk.service.sent == [(2, T0)]


def test_a_broker_that_is_away() -> None:
    desk = Desk(outgoing(1))
    desk.publisher.unreachable = 2
    for _ in range(2):
        with pytest.raises(MqttError, match="cannot reach"):
            desk.sender.step()
    assert desk.store.claims == 0  # nothing is held meanwhile
    desk.run()
    assert desk.service.sent == [(1, T0)]


@pytest.mark.parametrize("what", ["clock", "claim", "advance", "write"])
def test_a_database_that_is_away(what: str) -> None:
    desk = Desk(outgoing(1))
    desk.store.fail[what] = 1
    with pytest.raises(DatabaseError):
        desk.sender.step()
    assert desk.service.sent == []
    desk.clock.tick()
    desk.run()
    assert [number for number, _ in desk.service.sent] == [1]


def test_what_the_broker_has_is_written_down_also_when_the_rest_goes_wrong() -> None:
    desk = Desk(outgoing(1), outgoing(2, "bob"))

    def stumble(place: int) -> None:
        if place == 0:
            desk.clock.tick()
            desk.store.fail["advance"] = 1

    desk.publisher.on_message = stumble
    with pytest.raises(DatabaseError):
        desk.sender.step()
    assert desk.service.sent == [(1, T0)]


def test_a_command_over_which_the_connection_is_lost_again_and_again() -> None:
    desk = Desk(*(outgoing(number, f"c{number}") for number in range(10)))
    poison = desk.store.outbox[3].client_id.hex()

    def lose(place: int) -> None:
        if poison in desk.publisher.messages[place][0]:
            desk.publisher.lose_after, desk.publisher.unanswered = place + 1, 1

    desk.publisher.on_message = lose
    losses = 0
    while desk.store.outbox:
        desk.clock.tick()
        try:
            desk.run()
        except ConnectionLost:
            losses += 1
    assert losses < 10
    assert [number for number, _ in desk.service.sent] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    ((number, reason, _),) = desk.service.failed
    assert (number, reason) == (3, "the broker closed the connection")
    assert desk.store.limits[-1] == SETTINGS.batch


def test_several_processes_settle_what_is_known_in_the_next_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(outgoing(1), outgoing(2, "bob"))
    desk.store.dialect = "postgresql"
    monkeypatch.setattr("time.sleep", desk.clock.tick)
    desk.publisher.lose_after, desk.publisher.unanswered = 2, 1
    with pytest.raises(ConnectionLost):
        desk.sender.step()
    # Nobody can use the second any more in which bob may have been sent something.
    assert desk.store.announced == [T0, T0 + 1]
    assert desk.service.sent == [(1, T0)]


def test_a_stored_key_that_was_changed_fails_its_command_alone() -> None:
    desk = Desk(outgoing(1), outgoing(2, "bob"))
    opened = desk.vault.open_key

    def open_key(table: str, row: int, version: int, sealed: bytes) -> bytes:
        if row == desk.store.outbox[0].client_row:
            raise DatabaseError("the key does not open")
        return opened(table, row, version, sealed)

    desk.vault.open_key = open_key  # type: ignore[method-assign]
    assert desk.sender.step() == 0
    assert desk.service.sent == [(2, T0)]
    assert [(number, reason) for number, reason, _ in desk.service.failed] == [
        (1, "it cannot be protected: the key does not open")
    ]


def test_commands_whose_subject_is_gone_are_superseded() -> None:
    desk = Desk(outgoing(1, client_key=None), outgoing(2, "bob"))
    desk.run()
    assert (desk.service.superseded, desk.service.sent) == ([1], [(2, T0)])
    assert desk.sender.status().superseded == 1


def test_the_status_does_not_need_the_database() -> None:
    desk = Desk(outgoing(1))
    assert desk.sender.status().pending == 1
    desk.store.fail["read"] = 1
    assert desk.sender.status().pending == 1


def test_as_a_thread_it_sends_is_woken_and_stops() -> None:
    desk = Desk(outgoing(1), poll_seconds=0.01)
    desk.sender.start()
    until(lambda: desk.service.sent)
    assert desk.sender.status().alive
    desk.store.outbox.append(outgoing(2, "bob"))
    desk.sender.wake()
    until(lambda: len(desk.service.sent) == 2)
    assert desk.publisher.wakes >= 1
    assert desk.sender.stop(10)
    assert desk.publisher.closed
    assert not desk.sender.status().alive


def test_as_a_thread_it_outlives_broker_and_database() -> None:
    desk = Desk(outgoing(1), poll_seconds=0.01, retry_min_seconds=0.001, retry_max_seconds=0.002)
    desk.publisher.unreachable = 3
    desk.store.fail = {"claim": 2, "advance": 2}
    desk.sender.start()
    until(lambda: desk.service.sent)
    assert desk.sender.stop(10)


def test_stopped_in_the_middle_it_writes_down_what_is_done() -> None:
    desk = Desk(*(outgoing(number, f"c{number}") for number in range(100)), poll_seconds=0.01)

    def stop(place: int) -> None:
        if place == 9:
            desk.sender._stop.set()

    desk.publisher.on_message = stop
    desk.sender.start()
    until(lambda: desk.publisher.closed)
    assert desk.sender.stop(10)
    assert [number for number, _ in desk.service.sent] == list(range(10))
