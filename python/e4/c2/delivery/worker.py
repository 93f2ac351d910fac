"""A thread that does its work again and again until it is told to stop, and outlives every error.

Knows nothing of what the work is.
"""

from __future__ import annotations

import logging
import random
import threading

from e4.errors import E4Error

__all__ = ["Worker", "delay_after"]

_logger = logging.getLogger("e4.c2.delivery")


def delay_after(failures: int, least: float, most: float) -> float:
    """How long to wait after so many failures in a row: doubled each time, up to a limit, with jitter.

    Args:
        failures: from 1.
        least: seconds, after the first.
        most: seconds.
    """
    return min(most, least * 2.0 ** min(failures - 1, 60)) * random.uniform(0.5, 1)


class Worker:
    """The thread. A subclass does one step of the work in `step` and waits in `pause`.

    Args:
        name: of the thread, for the log.
        retry_min: seconds to wait after a first error.
        retry_max: the longest such wait.
    """

    def __init__(self, name: str, retry_min: float, retry_max: float) -> None:
        self._thread = threading.Thread(target=self._run, name=f"e4-{name}", daemon=True)
        self._name = name
        self._retry = (retry_min, retry_max)
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._failures = 0
        self.error = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do; from any thread."""
        self._woken.set()

    def stop(self, drain_seconds: float) -> bool:
        """Begin nothing more, and wait for what is under way.

        Args:
            drain_seconds: how long; what is not finished then is done again after the next start.

        Returns:
            Whether it has ended.
        """
        self._stop.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(drain_seconds)
        return not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def step(self) -> float:
        """Do some of the work; returns how many seconds until there may be more, if nothing wakes it."""
        raise NotImplementedError

    def pause(self, seconds: float) -> None:
        """Wait so long, or until woken."""
        self._woken.wait(seconds)

    def end(self) -> None:
        """The last thing that its thread does."""

    def _run(self) -> None:
        try:
            while not self.stopping:
                try:
                    self._woken.clear()
                    seconds = self.step()
                    if self.error:
                        _logger.info("%s: works again", self._name)
                    self._failures, self.error = 0, ""
                    if seconds > 0 and not self.stopping:
                        self.pause(seconds)
                except Exception as error:
                    self._failed(error)
        finally:
            self.end()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        delay = delay_after(self._failures, *self._retry)
        if isinstance(error, E4Error):
            level = logging.DEBUG if str(error) == self.error else logging.WARNING  # each one once
            self.error = str(error)
            _logger.log(level, "%s: %s; trying again in %.1f seconds", self._name, error, delay)
        else:  # a defect: the log has where; what it says may not be for everybody
            self.error = f"unforeseen {type(error).__name__}: the log has more"
            _logger.error("%s: trying again in %.1f seconds", self._name, delay, exc_info=error)
        self._stop.wait(delay)
