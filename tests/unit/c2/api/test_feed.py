"""Following the events: nothing missed, nothing twice, no task left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest

from e4.c2.api.feed import Feed
from e4.c2.model import Event, EventKind
from e4.errors import DatabaseError, Unavailable
from tests.unit.c2.api._fakes import FakeEvents, FakeService

SOON = 30


class Setting:
    def __init__(self, poll_seconds: float) -> None:
        self.service = FakeService()
        self.events = FakeEvents(self.service)
        self.feed = Feed(self.service, poll_seconds)  # type: ignore[arg-type]

    async def read(self, after: int) -> Sequence[Event]:
        await asyncio.sleep(0)
        found: list[Event] = self.service.answers["events.read_events"](after, 3)
        return found

    def add(self, times: int = 1) -> None:
        for _ in range(times):
            self.events.add(EventKind.TOPIC_CREATED)

    async def collect(self, after: int, times: int, numbers: list[int]) -> None:
        async with aclosing(self.feed.follow(self.read, after)) as batches:
            async for events in batches:
                numbers += [event.number for event in events]
                if len(numbers) >= times:
                    return


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Setting]]:
    yield lambda poll_seconds=3600: Setting(poll_seconds)
    left = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "Feed._watch"]
    await asyncio.gather(*left, return_exceptions=True)
    assert all(task.cancelled() for task in left)


async def test_several_followers_get_each_event_once_and_in_order(make: Callable[..., Setting]) -> None:
    setting = make()
    setting.add(5)
    seen: list[list[int]] = [[], [], []]
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        for after, numbers in zip((0, 5, 2), seen, strict=True):
            tasks.create_task(setting.collect(after, 105 - after, numbers))
        for _ in range(50):
            await asyncio.sleep(0)
            setting.add(2)
            setting.feed.notify()
    assert seen == [list(range(1, 106)), list(range(6, 106)), list(range(3, 106))]


async def test_notified_from_a_thread(make: Callable[..., Setting]) -> None:
    setting, numbers = make(), []
    setting.feed.notify()  # nobody follows: nothing happens
    follower = asyncio.create_task(setting.collect(0, 1, numbers))
    await until(lambda: setting.service.asked)

    def commit() -> None:
        setting.add()
        setting.feed.notify()

    await asyncio.to_thread(commit)
    async with asyncio.timeout(SOON):
        await follower
    assert numbers == [1]


async def test_events_of_other_processes_are_polled_for(make: Callable[..., Setting]) -> None:
    setting, numbers = make(0.01), []
    follower = asyncio.create_task(setting.collect(0, 2, numbers))
    await asyncio.sleep(0.05)
    setting.add(2)
    async with asyncio.timeout(SOON):
        await follower
    assert numbers == [1, 2]


async def test_close_ends_every_follower(make: Callable[..., Setting]) -> None:
    setting = make()
    followers = [asyncio.create_task(setting.collect(0, 1, [])) for _ in range(3)]
    await until(lambda: setting.service.asked)
    setting.feed.close()
    async with asyncio.timeout(SOON):
        ends = await asyncio.gather(*followers, return_exceptions=True)
    assert [type(end) for end in ends] == [Unavailable] * 3
    with pytest.raises(Unavailable, match="stopping"):
        await setting.collect(0, 1, [])


async def test_an_idle_follower_gets_empty_batches(make: Callable[..., Setting]) -> None:
    setting = make()
    async with aclosing(setting.feed.follow(setting.read, 0, idle_seconds=0.001)) as batches:
        assert await anext(batches) == ()
        assert await anext(batches) == ()
        setting.add()
        setting.feed.notify()
        async with asyncio.timeout(SOON):
            while not (events := await anext(batches)):
                pass
    assert [event.number for event in events] == [1]


async def test_numbers_that_cannot_be_read_any_more_are_passed_over(make: Callable[..., Setting]) -> None:
    setting, reads = make(), []
    setting.service.answers["events.last_event"] = lambda: 10

    async def read(after: int) -> Sequence[Event]:
        reads.append(after)
        return []

    async with aclosing(setting.feed.follow(read, 0, idle_seconds=0.05)) as batches:
        async with asyncio.timeout(SOON):
            assert await anext(batches) == ()
            assert await anext(batches) == ()
    assert reads[0] == 0
    assert reads[-1] == 10
    assert len(reads) < 10


async def test_a_failing_reader_ends_its_following_alone(make: Callable[..., Setting]) -> None:
    setting, numbers = make(), []

    async def fail(after: int) -> Sequence[Event]:
        raise DatabaseError

    other = asyncio.create_task(setting.collect(0, 1, numbers))
    await until(lambda: setting.service.asked)
    with pytest.raises(DatabaseError):
        await anext(setting.feed.follow(fail, 0))
    setting.add()
    setting.feed.notify()
    async with asyncio.timeout(SOON):
        await other
    assert numbers == [1]


async def test_looking_outlives_the_database(
    make: Callable[..., Setting], caplog: pytest.LogCaptureFixture
) -> None:
    setting, numbers = make(0.01), []
    good = setting.service.answers["events.last_event"]
    away = threading.Event()
    setting.service.answers["events.last_event"] = DatabaseError("away")
    follower = asyncio.create_task(setting.collect(0, 1, numbers))
    await until(lambda: len(setting.service.asked) > 3)
    setting.add()
    setting.service.answers["events.last_event"] = good
    away.set()
    async with asyncio.timeout(SOON):
        await follower
    assert numbers == [1]
    assert [record.message for record in caplog.records] == ["cannot look for new events"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.001)
