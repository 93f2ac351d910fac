"""Following the events as they happen. Knows neither gRPC nor HTTP.

While somebody follows, one task per process looks for new events: at once when this process has committed
something, and now and then for what another process on the same database has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress

from e4.c2.model import Actor, Call, Event, Role
from e4.c2.service import Service
from e4.errors import Unavailable

__all__ = ["Feed"]

_SERVER = Call(Actor("server", Role.VIEWER, protect=False), request_id="feed")

_logger = logging.getLogger("e4.c2.api")


class Feed:
    """Lets many follow the events of one database. All but `notify` belongs to one event loop.

    Args:
        service: tells the number of the newest event.
        poll_seconds: how often to look for events of other processes.
    """

    def __init__(self, service: Service, poll_seconds: float = 1.0) -> None:
        self._service = service
        self._poll = poll_seconds
        self._newest = 0
        self._closed = False
        self._followers = 0
        self._look = asyncio.Event()
        self._changed = asyncio.Event()  # replaced at each change
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watcher: asyncio.Task[None] | None = None

    def notify(self) -> None:
        """There may be new events. From any thread, at any time."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._look.set)

    def close(self) -> None:
        """End every `follow`; they raise `Unavailable`."""
        self._closed = True
        self._tell()

    async def follow(
        self,
        read: Callable[[int], Awaitable[Sequence[Event]]],
        after: int,
        idle_seconds: float | None = None,
    ) -> AsyncGenerator[Sequence[Event], None]:
        """Batches of events as they happen. Close the generator (`contextlib.aclosing`) when done with it.

        Args:
            read: gives the next events after a number, oldest first; its errors end the following.
            after: number of the event to go on from.
            idle_seconds: after so long without an event, give an empty batch.

        Raises:
            Unavailable: the server is stopping.
        """
        self._enter()
        try:
            while not self._closed:
                seen = self._newest
                if events := await read(after):
                    after = events[-1].number
                    yield events
                    continue
                after = max(after, seen)
                if not await self._beyond(after, idle_seconds):
                    yield ()
            raise Unavailable("the server is stopping")
        finally:
            self._leave()

    async def _beyond(self, number: int, seconds: float | None) -> bool:
        """Wait for events after a number, or the end; False if neither came in time."""
        try:
            async with asyncio.timeout(seconds):
                while self._newest <= number and not self._closed:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _enter(self) -> None:
        self._followers += 1
        if self._watcher is None:
            self._loop = asyncio.get_running_loop()
            self._watcher = self._loop.create_task(self._watch())

    def _leave(self) -> None:
        self._followers -= 1
        if self._followers == 0 and self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def _watch(self) -> None:
        failing = False
        while True:
            try:
                newest = await asyncio.to_thread(self._service.events.last_event, _SERVER)
            except Exception as error:  # the task must outlive it: its followers wait
                if not failing:
                    _logger.warning("cannot look for new events", exc_info=error)
                failing = True
            else:
                failing = False
                if newest > self._newest:
                    self._newest = newest
                    self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._look.wait()
            self._look.clear()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
