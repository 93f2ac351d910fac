"""What of a claim may leave, and how it ended."""

from __future__ import annotations

from typing import Any

from e4 import crypto
from e4.c2.delivery.batch import Batch, SentNow
from e4.c2.delivery.protecting import Protector
from e4.c2.delivery.seconds import Seconds
from e4.c2.model import CommandKind as Kind
from e4.c2.storage.values import Outgoing
from tests.unit.c2.delivery._fakes import KEY, T0, Clock, FakeClaim, FakeStore, FakeVault, outgoing


class Desk:
    """Makes batches that share what a sender keeps between them."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.clock, self.store = Clock(), store or FakeStore()
        self.seconds = Seconds(self.store, self.clock)  # type: ignore[arg-type]
        self.sent_now = SentNow()
        self.go_on = True

    def batch(self, *commands: Outgoing, retain: bool = True, floor: int = 0) -> Batch:
        protector = Protector(FakeVault(), None)  # type: ignore[arg-type]
        claim: Any = FakeClaim(list(commands), floor)
        return Batch(claim, protector, self.seconds, self.sent_now, retain, lambda: self.go_on)

    def taken(self, *commands: Outgoing) -> list[int]:
        """The commands of a batch that leave, and are acknowledged."""
        batch = self.batch(*commands)
        for number, _ in enumerate(batch.messages()):
            batch.acknowledged(number)
        return [out.command for out, _ in batch.sent()]


def topic_of(client: str) -> str:
    return crypto.topic_for_id(crypto.hash_id_alias(client))


def test_commands_leave_in_order_and_are_dated_now() -> None:
    desk = Desk()
    batch = desk.batch(outgoing(1), outgoing(2, "bob"), outgoing(3, kind=Kind.SET_TOPIC_KEY), retain=False)
    messages = list(batch.messages())
    assert [topic for topic, _, _ in messages] == [topic_of(name) for name in ("alice", "bob", "alice")]
    assert not any(retain for *_, retain in messages)
    for _, payload, _ in messages:
        crypto.unprotect_sym_key(payload, KEY, now=T0)
    for number in range(3):
        batch.acknowledged(number)
    assert [(out.command, second) for out, second in batch.sent()] == [(1, T0), (2, T0), (3, T0)]


def test_each_is_dated_when_it_leaves() -> None:
    desk = Desk()
    batch = desk.batch(*(outgoing(number, f"c{number}") for number in range(3)))
    for number, (_, payload, _) in enumerate(batch.messages()):
        assert payload[:8] == (T0 + number).to_bytes(8, "little")
        assert desk.store.seconds == T0 + number  # announced before
        desk.clock.tick()
        batch.acknowledged(number)
    assert [second for _, second in batch.sent()] == [T0, T0 + 1, T0 + 2]


def test_a_retained_command_is_cleared_by_an_empty_message() -> None:
    batch = Desk().batch(outgoing(1, kind=Kind.CLEAR_RETAINED, client_key=None), retain=False)
    assert list(batch.messages()) == [(topic_of("alice"), b"", True)]


def test_equal_bytes_never_go_to_a_client_within_one_second() -> None:
    desk = Desk()
    first = (
        outgoing(1),
        outgoing(2, kind=Kind.SET_TOPIC_KEY),
        outgoing(3),
        outgoing(4, kind=Kind.SET_TOPIC_KEY),
    )
    others = (outgoing(5, "bob"), outgoing(6, "carol"))
    # 3 equals 1, so it waits, and 4 behind it; the others go on, though they get the same command.
    assert desk.taken(*first, *others) == [1, 2, 5, 6]
    assert desk.taken(*first[2:]) == []  # a new batch in the same second
    desk.clock.tick()
    assert desk.taken(*first[2:]) == [3, 4]


def test_other_bytes_go_at_once() -> None:
    desk = Desk()
    assert desk.taken(outgoing(1, kind=Kind.SET_TOPIC_KEY)) == [1]
    rotated = outgoing(2, kind=Kind.SET_TOPIC_KEY, topic_version=2, topic_key=bytes([8]) * 32)
    assert desk.taken(rotated) == [2]
    assert desk.taken(outgoing(3, key_version=2, client_key=bytes([6]) * 32, kind=Kind.SET_TOPIC_KEY)) == [3]


def test_what_left_without_an_answer_counts_as_sent_in_its_second() -> None:
    desk = Desk()
    assert len(list(desk.batch(outgoing(1)).messages())) == 1  # the connection is lost here
    assert desk.taken(outgoing(1)) == []
    desk.clock.tick()
    assert desk.taken(outgoing(1)) == [1]


def test_after_another_process_the_next_second_is_waited_for() -> None:
    desk = Desk()
    assert desk.taken(outgoing(1, last_timestamp=T0), outgoing(2, "bob", last_timestamp=T0 - 1)) == [2]
    # What this process itself has sent is known.
    assert desk.taken(outgoing(3, "bob", Kind.SET_TOPIC_KEY, last_timestamp=T0)) == [3]
    desk.clock.tick()
    assert desk.taken(outgoing(1, last_timestamp=T0)) == [1]


def test_nothing_leaves_while_no_second_can_be_used() -> None:
    desk = Desk(FakeStore(seconds=T0 + 60))
    assert desk.taken(outgoing(1), outgoing(2, "bob")) == []
    desk.clock.tick(61)
    assert desk.taken(outgoing(1), outgoing(2, "bob")) == [1, 2]


def test_a_clock_that_goes_back_in_the_middle_stops_the_rest() -> None:
    desk = Desk()
    batch = desk.batch(outgoing(1), outgoing(2, "bob"), outgoing(3, "carol"))
    messages = batch.messages()
    next(messages)
    desk.clock.tick(-5)
    assert list(messages) == []
    batch.acknowledged(0)
    assert [out.command for out, _ in batch.sent()] == [1]
    assert (batch.error, batch.failed, batch.superseded) == (None, [], [])


def test_what_is_gone_is_superseded_and_the_rest_goes_on() -> None:
    desk = Desk()
    batch = desk.batch(outgoing(1), outgoing(2, kind=Kind.SET_TOPIC_KEY, topic_key=None), outgoing(3, "bob"))
    assert len(list(batch.messages())) == 2
    assert [out.command for out in batch.superseded] == [2]


def test_after_a_refusal_nothing_more_goes_to_that_client() -> None:
    desk = Desk()
    batch = desk.batch(
        outgoing(1),
        outgoing(2, kind=Kind.SET_TOPIC_KEY),
        outgoing(3, "bob"),
        outgoing(4, kind=Kind.REMOVE_TOPIC),
    )
    messages = batch.messages()
    next(messages), next(messages)
    batch.refused(0, "not authorized")
    assert [topic for topic, _, _ in messages] == [topic_of("bob")]
    batch.acknowledged(1)  # it left before the refusal was known: it goes again, behind the refused one
    batch.acknowledged(2)
    assert [out.command for out, _ in batch.sent()] == [3]
    assert [(out.command, reason) for out, reason in batch.failed] == [(1, "not authorized")]


def test_only_what_has_no_gap_before_it_is_sent() -> None:
    batch = Desk().batch(
        outgoing(1),
        outgoing(2, kind=Kind.SET_TOPIC_KEY),
        outgoing(3, kind=Kind.REMOVE_TOPIC, topic_hash=bytes(16)),
        outgoing(4, "bob"),
    )
    assert len(list(batch.messages())) == 4
    for number in (3, 2, 0):  # in any order; 1 is never answered
        batch.acknowledged(number)
    assert [out.command for out, _ in batch.sent()] == [1, 4]


def test_a_key_that_does_not_open_fails_one_command_alone() -> None:
    batch = Desk().batch(
        outgoing(1, client_key=bytes(32)), outgoing(2, client_key=bytes(32)), outgoing(3, "bob")
    )
    assert len(list(batch.messages())) == 1
    assert [out.command for out, _ in batch.failed] == [1]
    assert "cannot be protected" in batch.failed[0][1]
    assert "0000" not in batch.failed[0][1]


def test_a_database_that_is_away_ends_the_batch_in_order() -> None:
    desk = Desk()
    desk.store.fail["advance"] = 1
    batch = desk.batch(outgoing(1))
    assert list(batch.messages()) == []
    assert str(batch.error) == "no advance"


def test_told_to_stop_it_takes_no_more() -> None:
    desk = Desk()
    batch = desk.batch(outgoing(1), outgoing(2, "bob"))
    messages = batch.messages()
    next(messages)
    desk.go_on = False
    assert list(messages) == []
