"""What the key server depends on fails: the broker is stopped, slow or cut off, the disk is full.

What is looked at afterwards is the same as after a kill. See `World.check`.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e4.c2.storage import Store
from tests._broker import Brokers
from tests._delay_proxy import DelayProxy
from tests._fleet import BROKER
from tests._proxy import Proxy
from tests.e2e.c2._crash import Refused, Remote, World

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow, pytest.mark.timeout(300)]

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(mosquitto: Brokers, tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(url: str, *, persistent: bool = False) -> World:
        made.append(World(tmp_path, url, mosquitto(*BROKER, persistent=persistent)))
        return made[-1]

    yield make
    for world in made:
        world.close()


def work_for(world: World, remote: Remote, operations: int) -> None:
    for _ in range(operations):
        world.something(remote)


def test_the_broker_is_stopped_and_restarted(make_world: MakeWorld, database_url: str) -> None:
    world = make_world(database_url, persistent=True)
    remote = world.start()
    for _ in range(5):
        work_for(world, remote, 3)
        world.broker.stop()
        work_for(world, remote, 5)  # operations do not need it
        world.broker.start()
        work_for(world, remote, 2)
        world.check(remote)
    remote.kill()


def test_the_broker_is_slow(make_world: MakeWorld, database_url: str) -> None:
    world = make_world(database_url)
    with DelayProxy(world.broker.port, 0.04) as far:
        for _ in range(5):
            remote = world.start(port=far.port)
            work_for(world, remote, 8)
            remote.kill()  # with much in flight
            world.recovered()


def test_the_connection_is_cut_anywhere(make_world: MakeWorld, database_url: str) -> None:
    world = make_world(database_url)
    proxy = Proxy(world.broker.port)
    proxy.cut_after(2000)
    remote = world.start(port=proxy.port)
    for _ in range(10):
        work_for(world, remote, 6)
        world.check(remote)
    assert proxy.cuts
    remote.kill()
    proxy.close()


def work_until_full(world: World, remote: Remote) -> None:
    """Do operations until one is refused because the disk is full."""
    topic, client = min(world.record.topics), min(world.record.clients)

    def work() -> None:
        for _ in range(5000):
            world.do(remote, ("topics.new_topic", topic))
            world.do(remote, ("members.remove_topic_client", client, topic))
            world.do(remote, ("members.new_topic_client", client, topic))

    with pytest.raises(Refused, match="the disk is full"):
        work()


def test_the_database_can_grow_no_more(make_world: MakeWorld, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'c2.db'}"
    Store.create(url).close()
    world = make_world(url)
    pages = (tmp_path / "c2.db").stat().st_size // 4096 + 40
    for more in range(5):
        remote = world.start(pages=pages + 10 * more)
        work_until_full(world, remote)
        remote.kill()
        world.recovered()  # with room for more


def test_the_disk_is_full(make_world: MakeWorld, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], capture_output=True
        ).returncode
    ):
        pytest.skip("a disk of its own may not be mounted here")
    try:
        url = f"sqlite:///{disk / 'c2.db'}"
        Store.create(url).close()
        world = make_world(url)
        remote = world.start()
        for _ in range(3):
            fill(disk / "full")
            work_until_full(world, remote)
            (disk / "full").unlink()
            world.check(remote)  # it has not ended, and goes on by itself
            work_for(world, remote, 3)
        fill(disk / "full")
        work_until_full(world, remote)
        remote.kill()
        (disk / "full").unlink()
        world.recovered()
        world.close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(file: Path) -> None:
    """Leave no room on a disk."""
    with file.open("wb", buffering=0) as full:
        for size in (1 << 20, 4096):
            try:
                while True:
                    full.write(bytes(size))
            except OSError:
                time.sleep(0)
