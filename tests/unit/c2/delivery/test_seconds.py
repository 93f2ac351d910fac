"""The second that commands are dated with."""

from __future__ import annotations

import pytest

from e4.c2.delivery.seconds import Seconds
from e4.errors import DatabaseError
from tests.unit.c2.delivery._fakes import T0, Clock, FakeClaim, FakeStore


def made(store: FakeStore | None = None) -> tuple[Seconds, FakeStore, Clock]:
    store, clock = store or FakeStore(), Clock()
    return Seconds(store, clock), store, clock  # type: ignore[arg-type]


def use(seconds: Seconds, claim: FakeClaim) -> int | None:
    return seconds.use(claim)  # type: ignore[arg-type]


def test_it_is_announced_before_it_is_used_and_once() -> None:
    seconds, store, clock = made()
    claim = FakeClaim([])
    assert [use(seconds, claim) for _ in range(3)] == [T0] * 3
    assert store.announced == [T0]
    clock.tick()
    assert use(seconds, claim) == T0 + 1
    assert store.announced == [T0, T0 + 1]


def test_the_second_in_which_an_earlier_process_sent_is_not_used_again() -> None:
    seconds, _, clock = made(FakeStore(seconds=T0))
    assert use(seconds, FakeClaim([])) is None
    assert 0 < seconds.wait() <= 0.75
    clock.tick(0.75)
    assert use(seconds, FakeClaim([])) == T0 + 1


def test_a_clock_that_goes_back_is_waited_for() -> None:
    seconds, _, clock = made()
    assert use(seconds, FakeClaim([])) == T0
    clock.tick(-10)
    assert use(seconds, FakeClaim([])) is None
    assert seconds.behind() == 10
    assert seconds.wait() == pytest.approx(9.75)
    clock.tick(10)
    assert use(seconds, FakeClaim([])) == T0
    assert seconds.behind() == 0


def test_a_clock_behind_another_process_waits_for_it() -> None:
    seconds, store, clock = made()
    store.seconds = T0 + 3
    assert use(seconds, FakeClaim([])) is None
    assert seconds.behind() == 2
    clock.tick(3)
    assert use(seconds, FakeClaim([])) == T0 + 3  # both use it: for different clients


def test_the_second_of_a_sender_that_was_lost_is_not_used_for_its_clients() -> None:
    seconds, _, clock = made(FakeStore(dialect="postgresql"))
    assert use(seconds, FakeClaim([])) == T0
    taken_over = FakeClaim([], floor=T0)
    assert use(seconds, taken_over) is None
    clock.tick()
    assert use(seconds, taken_over) == T0 + 1


def test_where_several_processes_send_every_claim_announces() -> None:
    seconds, store, _ = made(FakeStore(dialect="postgresql"))
    for claim in (FakeClaim([]), FakeClaim([])):
        for _ in range(3):
            use(seconds, claim)
        seconds.released()
        assert claim.checks == 1
    assert store.announced == [T0, T0]


def test_a_lost_claim_sends_in_no_further_second() -> None:
    seconds, store, clock = made()
    claim = FakeClaim([])
    assert use(seconds, claim) == T0
    claim.lost = True
    clock.tick()
    with pytest.raises(DatabaseError):
        use(seconds, claim)
    assert store.announced == [T0]


def test_an_announcement_that_failed_is_made_again() -> None:
    seconds, store, _ = made()
    store.fail["advance"] = 1
    with pytest.raises(DatabaseError):
        use(seconds, FakeClaim([]))
    assert use(seconds, FakeClaim([])) == T0


def test_a_second_of_which_not_all_is_known_is_outlasted_for_the_others() -> None:
    seconds, store, clock = made(FakeStore(dialect="postgresql"))
    use(seconds, FakeClaim([]))
    seconds.outlast(clock.tick)
    assert store.announced == [T0, T0 + 1]


def test_a_process_alone_remembers_for_itself() -> None:
    seconds, store, _ = made()
    use(seconds, FakeClaim([]))
    seconds.outlast(lambda wait: pytest.fail("it waits"))
    assert store.announced == [T0]
