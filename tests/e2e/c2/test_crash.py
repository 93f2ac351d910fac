"""The key server killed with SIGKILL, at each commit and publish point and at random under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._broker import Brokers
from tests._fleet import BROKER
from tests.e2e.c2._crash import Killed, World

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def make_world(database_url: str, mosquitto: Brokers, tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*arguments: Any, **options: Any) -> World:
        made.append(World(tmp_path, database_url, mosquitto(*BROKER), *arguments, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


def killed_at(world: World, point: int, operations: int) -> bool:
    """Start a server that is killed at this point, and have it work; False if the point never came."""
    try:
        remote = world.start(point)
        for _ in range(operations):
            world.something(remote)
        while remote.do("busy"):
            time.sleep(0.002)
    except Killed:
        return True
    remote.kill()
    return False


@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_killed_at_each_commit_and_publish(make_world: Callable[..., World], mode: str) -> None:
    world = make_world(mode)
    for point in range(1, 61):
        killed_at(world, point, 4)
        world.recovered()
    print(world.kills)
