"""The key server killed with SIGKILL: at each commit and publish point, at random under load, one of two.

After each kill: no acknowledged operation is lost, no device has a key that C2 does not hold for it, no
command came out of order, none was dated back, ahead, or long before it left. See `World.check`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._broker import Brokers
from tests._databases import PostgreSQL
from tests._fleet import BROKER
from tests.e2e.c2._crash import Killed, Remote, World

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow, pytest.mark.timeout(300)]

MakeWorld = Callable[..., World]

# How many of each kind of point a process is killed at: the first, the second, …
POINTS = {
    "before commit": 14,
    "after commit": 14,
    "before publish": 10,
    "after publish": 10,
    "acknowledged": 8,
    "before settling": 5,
    "after settling": 5,
}


@pytest.fixture
def make_world(mosquitto: Brokers, tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(url: str, *arguments: Any, **options: Any) -> World:
        made.append(World(tmp_path, url, mosquitto(*BROKER), *arguments, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


def killed_at(world: World, point: tuple[str, int], operations: int = 6) -> None:
    """Start a server that is killed at this point, and have it work; without the point it ends at rest."""
    try:
        remote = world.start(point)
        for _ in range(operations):
            world.something(remote)
        while remote.do("busy"):
            time.sleep(0.002)
    except Killed:
        return
    remote.kill()


@pytest.mark.parametrize(("mode", "step"), [("symkey", 1), ("pubkey", 2)])
def test_killed_at_each_commit_and_publish(
    make_world: MakeWorld, database_url: str, mode: str, step: int
) -> None:
    world = make_world(database_url, mode)
    if not database_url.startswith("sqlite"):
        step *= 2  # its processes take longer to start
    for name, count in POINTS.items():
        for number in range(1, count + 1, step):
            killed_at(world, (name, number))
            world.recovered()
    assert set(world.kills) == set(POINTS)


def test_killed_at_random_under_load(make_world: MakeWorld, database_url: str) -> None:
    world = make_world(database_url, clients=9)
    for _ in range(25 if database_url.startswith("sqlite") else 12):
        killed_soon(world, world.start())
        world.recovered()


@pytest.mark.parametrize("point", ["after publish", "acknowledged", "before settling"])
def test_the_next_process_does_not_use_the_second_of_the_killed_one(
    make_world: MakeWorld, database_url: str, point: str
) -> None:
    world = make_world(database_url, speed=1.0)  # a process starts within a part of a second
    for number in range(1, 4):
        killed_at(world, (point, number))
        world.recovered()


def killed_soon(world: World, victim: Remote, *others: Remote) -> None:
    """Load servers, and kill one at any moment."""
    workers = world.work(victim, *others)
    time.sleep(world.random.uniform(0.01, 0.25))
    victim.kill()
    for worker in workers:
        worker.join(60)


@pytest.mark.postgresql
class TestOneOfTwoServers:
    """Two on one PostgreSQL database, and one of them is killed: the other sends what it has left."""

    @pytest.fixture
    def database_url(self, postgresql: PostgreSQL) -> Iterator[str]:
        url = postgresql.ready()
        yield url
        postgresql.drop(url)

    def test_at_random_under_load(self, make_world: MakeWorld, database_url: str) -> None:
        world = make_world(database_url, clients=9)
        one, two = world.start(), world.start()
        for _ in range(10):
            killed_soon(world, one, two)
            world.check(two)
            one, two = two, world.start()
        one.kill()
        two.kill()

    @pytest.mark.parametrize("point", ["after publish", "acknowledged", "before settling"])
    def test_with_commands_of_which_nothing_is_noted(
        self, make_world: MakeWorld, database_url: str, point: str
    ) -> None:
        # The clock is slow enough for the other to go on within the same second, which it must not.
        world = make_world(database_url, clients=9, speed=1.0)
        other = world.start()
        for number in range(1, 4):
            victim = world.start((point, number))
            for worker in world.work(victim, other):
                worker.join(60)
            world.check(other)
        other.kill()
