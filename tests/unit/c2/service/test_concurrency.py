"""Operations on one topic at the same time: at the end every member has the key that C2 has.

On PostgreSQL there are two services, as in two processes, each with a sender and a runner of jobs of its own.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial

import pytest

from e4 import crypto
from e4.c2.model import JobState, Mode
from e4.c2.service import Service, _expand
from e4.c2.storage import Store, Transient
from tests.unit.c2._world import CALL, World, new_key, pubkey_only

ROUNDS = 40
NAMES = [f"c{number}" for number in range(8)]


class Crowd:
    """Threads that do things until they are told to stop; what goes wrong in one is raised at the end."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._background: list[threading.Thread] = []

    def all_the_while(self, work: Callable[[], object]) -> None:
        def run() -> None:
            while not self._stop.is_set():
                if not self._guarded(work):
                    self._stop.wait(0.002)

        self._background.append(threading.Thread(target=run))
        self._background[-1].start()

    def at_once(self, *works: Callable[[], object]) -> None:
        barrier = threading.Barrier(len(works))

        def run(work: Callable[[], object]) -> None:
            barrier.wait()
            self._guarded(work)

        threads = [threading.Thread(target=run, args=[work]) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._background:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _guarded(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except BaseException as error:
            self.errors.append(error)
            return None


@pytest.mark.slow
def test_rotations_joins_and_removals(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_expand, "CHUNK", 3)
    devices = {name: world.device(name) for name in NAMES}
    world.service.topics.new_topic(CALL, "t")
    worlds = [world]
    other: Store | None = None
    if world.store.dialect == "postgresql":
        other = Store.open(database_url)
        second = Service(other, world.vault, world.clock)
        worlds.append(World(second, other, world.vault, world.clock, devices=world.devices))
    crowd = Crowd()
    for one in worlds:
        crowd.all_the_while(partial(_deliver, one))
        crowd.all_the_while(one.service.run_jobs_once)
    generator = random.Random(7)
    agreed = 0
    try:
        for _ in range(ROUNDS):
            services = [one.service for one in worlds] * 3
            crowd.at_once(
                *(partial(service.topics.new_topic, CALL, "t") for service in services[:2]),
                *(partial(_come_and_go, service, generator.sample(NAMES, 3)) for service in services),
            )
            assert not crowd.errors, crowd.errors[0]
            _wait_until_quiet(worlds)
            members = world.service.members.get_clients_for_topic(CALL, "t", 0, 100)
            names = {client.name for client in members}
            holders = {name for name, device in devices.items() if device.has_topic_key("t")}
            right = {name for name, device in devices.items() if world.opens(device, "t")}
            agreed += names == holders == right
    finally:
        crowd.stop()
        if other is not None:
            other.close()
    assert agreed == ROUNDS
    assert [refused for one in worlds for refused in one.refused] == []
    running = world.service.jobs.page_jobs(CALL, limit=1000, state=JobState.RUNNING)
    assert running.items == []
    assert world.service.audit.verify_audit(CALL).broken is None
    numbers = [event.number for event in world.service.events.read_events(CALL, 0)]
    assert numbers == list(range(1, len(numbers) + 1))


def _come_and_go(service: Service, names: list[str]) -> None:
    service.members.new_topic_client(CALL, names[0], "t")
    service.members.remove_topic_clients(CALL, [(name, "t") for name in names[:2]])
    service.members.new_topic_clients(CALL, [(name, "t") for name in names[1:]])
    service.clients.reset_client(CALL, names[2])
    service.keys.new_client_key(CALL, names[1])
    service.members.new_topic_client(CALL, names[0], "t")


def _deliver(world: World) -> int:
    try:
        return world.deliver(7)
    except Transient:
        return 0  # what was sent is sent again


def _wait_until_quiet(worlds: list[World]) -> None:
    store = worlds[0].store
    waited = threading.Event()
    for _ in range(6000):
        with store.read() as tx:
            pending, _ = tx.commands.pending()
            running = tx.jobs.page(None, 1, state=JobState.RUNNING)
        if not pending and not running:
            return
        waited.wait(0.01)
    raise AssertionError("commands or jobs were not done")


@pytest.mark.slow
def test_new_names_at_once(world: World, mode: Mode) -> None:
    """The same new client and topic from many threads: one each, and nobody is refused."""
    crowd = Crowd()
    known = new_key(mode)[1]
    for number in range(5):

        def register(number: int = number) -> None:
            world.service.topics.new_topic(CALL, f"t{number}")
            world.service.clients.new_client(CALL, f"c{number}", known)
            world.service.members.new_topic_client(CALL, f"c{number}", f"t{number}")

        crowd.at_once(*[register] * 6)
    crowd.stop()
    assert world.names() == [f"c{number}" for number in range(5)]
    versions = [topic.version for topic in world.service.topics.get_topics(CALL, 0, 100)]
    assert versions == [6] * 5
    assert world.service.audit.verify_audit(CALL).rows == 5 * 6 * 3


@pytest.mark.slow
def test_in_every_order_of_locks(world: World) -> None:
    """Many clients and topics locked at once, in opposite orders: nobody waits for ever, all is done."""
    for name in NAMES:
        world.device(name)
    topics = [f"t{number}" for number in range(6)]
    for topic in topics:
        world.service.topics.new_topic(CALL, topic)
    pairs = [(name, topic) for name in NAMES for topic in topics]
    members, links = world.service.members, world.service.links
    crowd = Crowd()
    for _ in range(8):
        crowd.at_once(
            lambda: members.new_topic_clients(CALL, pairs),
            lambda: members.new_topic_clients(CALL, pairs[::-1]),
            lambda: members.remove_topic_clients(CALL, pairs[::-2]),
            lambda: world.service.clients.reset_clients(CALL, NAMES[::-1]),
            lambda: world.service.keys.new_client_keys(CALL, NAMES),
            lambda: [links.link_client(CALL, a, b) for a in NAMES for b in NAMES[::-1]],
            lambda: [world.service.topics.new_topic(CALL, topic) for topic in topics],
            lambda: [world.deliver(20) for _ in range(5)],
        )
    crowd.stop()
    world.deliver_all()
    assert world.refused == []
    for topic in topics:
        names = {client.name for client in members.get_clients_for_topic(CALL, topic, 0, 100)}
        right = {name for name in NAMES if world.opens(world.devices[crypto.hash_id_alias(name)], topic)}
        assert right == names


@pytest.mark.slow
@pubkey_only
def test_no_new_client_is_missed_by_a_new_c2_key(world: World, mode: Mode) -> None:
    """Clients that are registered while C2's key is renewed: each begins with the new one, or is sent it."""
    clients, keys = world.service.clients, world.service.keys
    crowd = Crowd()
    for number in range(10):

        def register(which: str, number: int = number) -> None:
            for step in range(3):
                clients.new_client(CALL, f"c{number}-{which}-{step}", new_key(mode)[1])

        crowd.at_once(
            *(partial(register, which) for which in "abc"), lambda: keys.new_c2_key(CALL, force=True)
        )
    crowd.stop()
    while world.service.run_jobs_once():
        pass
    with world.store.read() as tx:
        newest = tx.keys.c2_keys()[-1].version
        assert newest == 11
        assert tx.clients.count_below_c2_key_version(newest) == 0
        assert tx.clients.count() == 90
