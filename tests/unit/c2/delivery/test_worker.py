"""A thread that outlives every error."""

from __future__ import annotations

import logging
import threading

import pytest

from e4.c2.delivery.worker import Worker, delay_after
from e4.errors import DatabaseError
from tests._broker import until


class Script(Worker):
    """Does what each step is told: waits, or raises."""

    def __init__(self, *steps: float | Exception, retry: float = 0.001) -> None:
        super().__init__("script", retry, retry)
        self.steps = list(steps)
        self.done = 0
        self.ended = threading.Event()

    def step(self) -> float:
        self.done += 1
        step = self.steps.pop(0) if self.steps else 60.0
        if isinstance(step, Exception):
            raise step
        return step

    def end(self) -> None:
        self.ended.set()


def test_delays_double_up_to_a_limit_with_jitter() -> None:
    for failures, most in ((1, 1), (2, 2), (3, 4), (7, 60), (5000, 60)):
        delays = [delay_after(failures, 1, 60) for _ in range(50)]
        assert all(most / 2 <= delay <= most for delay in delays)
        assert len(set(delays)) > 1


def test_it_goes_on_at_once_while_there_is_more_and_then_waits_to_be_woken() -> None:
    worker = Script(0, 0, 60)
    worker.start()
    until(lambda: worker.done == 3)
    worker.wake()
    until(lambda: worker.done == 4)
    assert worker.stop(10)
    assert worker.ended.is_set()
    assert worker.done == 4


def test_errors_are_told_and_got_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "e4.c2.delivery"):
        full = DatabaseError("the disk is full")
        worker = Script(full, full, ValueError("with a secret in it"), 0, 60)
        worker.start()
        until(lambda: worker.done == 5)
        assert worker.stop(10)
    assert worker.error == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "ERROR", "INFO"]
    assert "the disk is full" in caplog.records[0].message


def test_what_is_wrong_now_can_be_asked() -> None:
    worker = Script(*[DatabaseError("the disk is full")] * 2, retry=30)
    worker.start()
    until(lambda: worker.error)
    assert worker.error == "the disk is full"
    assert worker.stop(10)  # the wait ends with it


def test_a_defect_is_told_without_its_text() -> None:
    worker = Script(ValueError("with a secret in it"), retry=30)
    worker.start()
    until(lambda: worker.error)
    assert worker.error == "unforeseen ValueError: the log has more"
    assert worker.stop(10)


def test_stopped_before_it_was_started() -> None:
    worker = Script()
    assert worker.stop(1)
    assert worker.done == 0
