"""Topics and who has them, in both modes on both databases."""

from __future__ import annotations

import pytest

from e4 import crypto
from e4.c2.model import Call, JobState, Mode
from e4.c2.service import Service, _expand
from e4.errors import InvalidRequest, InvalidTopic, NotFound
from tests.unit.c2._world import World, new_key

BAD_TOPICS = ["", "x" * 65536, "a/+/b", "#", "a\0b", "\ud800"]


class TestNewTopic:
    def test_makes_a_random_key(self, world: World, call: Call) -> None:
        topic, job = world.service.topics.new_topic(call, "a/b")
        assert (topic.name, topic.hash, topic.version) == ("a/b", crypto.hash_topic("a/b"), 1)
        assert job is None
        other, _ = world.service.topics.new_topic(call, "a/c")
        assert other.row != topic.row
        assert world.topic_key("a/b") != world.topic_key("a/c")
        assert world.events() == [("topic.created", "a/b", ""), ("topic.created", "a/c", "")]
        assert world.audit()[0] == ("new_topic", "a/b", "done")
        assert world.queued() == []

    def test_again_rotates(self, world: World, call: Call) -> None:
        devices = [world.device(name) for name in ("alice", "bob")]
        world.device("carol")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [("alice", "t"), ("bob", "t")])
        world.deliver_all()
        old = world.topic_key("t")
        topic, job = world.service.topics.new_topic(call, "t")
        assert topic.version == 2
        assert job is not None
        assert (job.total, job.queued, job.done, job.state) == (2, 2, 0, JobState.RUNNING)
        assert world.topic_key("t") != old
        assert world.queued() == [("SET_TOPIC_KEY", "alice", "t"), ("SET_TOPIC_KEY", "bob", "t")]
        world.deliver()
        assert world.service.jobs.get_job(call, job.id).state is JobState.DONE
        assert all(world.opens(device, "t") for device in devices)
        assert ("key.topic-rotated", "t", "2") in world.events()
        assert ("job.done", "t", str(job.id)) in world.events()
        keys = world.service.topics.get_topic(call, "t").keys
        assert [(key.version, key.state.value) for key in keys] == [(1, "previous"), (2, "current")]

    def test_only_one_older_key_is_kept(self, world: World, call: Call) -> None:
        for _ in range(4):
            world.service.topics.new_topic(call, "t")
        assert [key.version for key in world.service.topics.get_topic(call, "t").keys] == [3, 4]

    def test_rotating_a_topic_without_members_is_done_at_once(self, service: Service, call: Call) -> None:
        service.topics.new_topic(call, "t")
        _, job = service.topics.new_topic(call, "t")
        assert job is not None
        assert (job.state, job.total, job.done) == (JobState.DONE, 0, 0)
        assert service.topics.get_topic(call, "t").job == job

    def test_a_newer_key_replaces_one_still_queued(self, world: World, call: Call) -> None:
        device = world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        jobs = [world.service.topics.new_topic(call, "t")[1] for _ in range(3)]
        assert len(world.queued()) == 1
        world.deliver_all()
        assert world.opens(device, "t")
        assert [kind.name for _, kind in world.applied] == ["SET_TOPIC_KEY"]
        states = [world.service.jobs.get_job(call, job.id).state.value for job in jobs if job]
        assert states == ["superseded", "superseded", "done"]

    def test_bad_names(self, world: World, call: Call) -> None:
        for topic in BAD_TOPICS:
            with pytest.raises(InvalidTopic):
                world.service.topics.new_topic(call, topic)
            assert world.audit()[-1][::2] == ("new_topic", "InvalidTopic")
        assert world.service.topics.count_topics(call) == 0

    def test_longest_names(self, world: World, call: Call) -> None:
        long = ["x" * 65534 + end for end in ("ab"[0:1], "b")]
        for topic in long:
            world.service.topics.new_topic(call, topic)
        assert [t.name for t in world.service.topics.get_topics(call, 0, 10)] == long
        first = world.service.topics.page_topics(call, None, 1)
        assert [t.name for t in world.service.topics.page_topics(call, first.next, 1).items] == long[1:]
        world.device("alice")
        world.service.members.new_topic_client(call, "alice", long[0])
        world.deliver_all()
        world.service.topics.remove_topic(call, long[0])


class TestRemoveTopic:
    def test_forgets_it_and_sends_nothing(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.service.topics.remove_topic(call, "t")
        assert world.queued() == []
        assert world.service.topics.count_topics(call) == 0
        assert world.service.members.count_topics_for_client(call, "alice") == 0
        assert world.events()[-1] == ("topic.removed", "t", "")
        with pytest.raises(NotFound):
            world.service.topics.get_topic(call, "t")

    def test_a_remove_that_waits_still_goes(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.service.members.remove_topic_client(call, "alice", "t")
        world.service.topics.remove_topic(call, "t")
        assert [kind for kind, _, _ in world.queued()] == ["REMOVE_TOPIC"]
        world.deliver_all()
        assert world.refused == []

    def test_its_job_ends(self, world: World, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_expand, "CHUNK", 2)
        for name in "abcde":
            world.device(name)
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [(name, "t") for name in "abcde"])
        _, job = world.service.topics.new_topic(call, "t")
        assert job is not None
        world.service.topics.remove_topic(call, "t")
        assert world.service.jobs.get_job(call, job.id).state is JobState.SUPERSEDED
        world.deliver_all()
        assert world.applied == []

    def test_made_again_it_is_another(self, world: World, call: Call) -> None:
        device = world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.deliver_all()
        world.service.topics.remove_topic(call, "t")
        world.service.topics.new_topic(call, "t")
        assert not world.opens(device, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.deliver_all()
        assert world.opens(device, "t")

    def test_unknown(self, world: World, call: Call) -> None:
        with pytest.raises(NotFound):
            world.service.topics.remove_topic(call, "t")
        assert world.audit() == [("remove_topic", "t", "NotFound")]


class TestMembers:
    def test_join_and_leave(self, world: World, call: Call) -> None:
        device = world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.deliver_all()
        assert world.opens(device, "t")
        assert world.service.members.count_clients_for_topic(call, "t") == 1
        world.service.members.remove_topic_client(call, "alice", "t")
        world.deliver_all()
        assert not device.has_topic_key("t")
        assert world.service.members.count_clients_for_topic(call, "t") == 0
        events = [event for event in world.events() if event[0].startswith("membership")]
        assert events == [("membership.added", "alice", "t"), ("membership.removed", "alice", "t")]
        assert world.audit()[-2:] == [
            ("new_topic_client", "alice t", "done"),
            ("remove_topic_client", "alice t", "done"),
        ]

    def test_what_still_waits_is_replaced(self, world: World, call: Call) -> None:
        device = world.device("alice")
        world.service.topics.new_topic(call, "t")
        for _ in range(3):
            world.service.members.new_topic_client(call, "alice", "t")
            world.service.members.remove_topic_client(call, "alice", "t")
        assert world.queued() == [("REMOVE_TOPIC", "alice", "t")]
        world.service.members.new_topic_client(call, "alice", "t")
        assert world.queued() == [("SET_TOPIC_KEY", "alice", "t")]
        world.deliver_all()
        assert world.opens(device, "t")

    def test_other_topics_and_clients_are_left_alone(self, world: World, call: Call) -> None:
        for name in ("alice", "bob"):
            world.device(name)
        for topic in ("t", "u"):
            world.service.topics.new_topic(call, topic)
        pairs = [(client, topic) for client in ("alice", "bob") for topic in ("t", "u")]
        world.service.members.new_topic_clients(call, pairs)
        world.service.members.remove_topic_clients(call, [("alice", "t")])
        assert sorted(world.queued()) == [
            ("REMOVE_TOPIC", "alice", "t"),
            ("SET_TOPIC_KEY", "alice", "u"),
            ("SET_TOPIC_KEY", "bob", "t"),
            ("SET_TOPIC_KEY", "bob", "u"),
        ]

    def test_batches_are_all_or_none(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        for bad in (("nobody", "t"), ("alice", "unknown")):
            for operation in ("new_topic_clients", "remove_topic_clients"):
                with pytest.raises(NotFound):
                    getattr(world.service.members, operation)(call, [("alice", "t"), bad])
        assert world.queued() == []
        assert world.service.members.count_clients_for_topic(call, "t") == 0

    def test_a_client_meant_twice_gets_one_command(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        pairs = [("alice", "t"), ("alice", "t"), (crypto.hash_id_alias("alice"), "t")]
        world.service.members.new_topic_clients(call, pairs)
        assert len(world.queued()) == 1

    def test_unknown(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        for client, topic in (("nobody", "t"), ("alice", "u"), (bytes(16), "t")):
            for operation in (
                world.service.members.new_topic_client,
                world.service.members.remove_topic_client,
            ):
                with pytest.raises(NotFound):
                    operation(call, client, topic)
        for client in ("nobody", bytes(16)):
            with pytest.raises(NotFound):
                world.service.members.count_topics_for_client(call, client)
            with pytest.raises(NotFound):
                world.service.members.get_topics_for_client(call, client, 0, 0)
        with pytest.raises(NotFound):
            world.service.members.count_clients_for_topic(call, "u")
        with pytest.raises(NotFound):
            world.service.members.get_clients_for_topic(call, "u", 0, 0)

    def test_pages(self, service: Service, call: Call, mode: Mode) -> None:
        names = [f"c{i:03}" for i in range(150)]
        topics = [f"t/{i:03}" for i in range(120)]
        service.clients.new_clients(call, [(name, new_key(mode)[1]) for name in names])
        for topic in topics:
            service.topics.new_topic(call, topic)
        service.members.new_topic_clients(call, [(name, topics[0]) for name in names])
        service.members.new_topic_clients(call, [(names[0], topic) for topic in topics])
        members = service.members
        assert members.count_clients_for_topic(call, topics[0]) == 150
        assert members.count_topics_for_client(call, names[0]) == 120
        assert [c.name for c in members.get_clients_for_topic(call, topics[0], 0, 1 << 40)] == names
        assert [t.name for t in members.get_topics_for_client(call, names[0], 110, 5)] == topics[110:115]
        assert members.get_clients_for_topic(call, topics[0], 0, 0) == []
        with pytest.raises(InvalidRequest):
            members.get_topics_for_client(call, names[0], -1, 5)
        page = members.page_clients_for_topic(call, topics[0], None, 100)
        page = members.page_clients_for_topic(call, topics[0], page.next, 100)
        assert ([c.name for c in page.items], page.next) == (names[100:], None)
        topic_page = members.page_topics_for_client(call, names[0], None, 100)
        topic_page = members.page_topics_for_client(call, names[0], topic_page.next, 20)
        assert ([t.name for t in topic_page.items], topic_page.next) == (topics[100:], None)
        assert [t.name for t in service.topics.get_topics(call, 0, 1000)] == topics[:100]
        assert service.topics.count_topics(call) == 120


class TestJobs:
    def test_in_chunks(self, world: World, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_expand, "CHUNK", 3)
        names = [f"c{i}" for i in range(8)]
        devices = [world.device(name) for name in names]
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [(name, "t") for name in names])
        world.deliver_all()
        _, job = world.service.topics.new_topic(call, "t")
        assert job is not None
        assert (job.total, job.queued, job.done) == (8, 3, 0)
        world.deliver(2)
        assert world.service.jobs.get_job(call, job.id).done == 2
        assert world.service.run_jobs_once()
        assert world.service.run_jobs_once()
        assert not world.service.run_jobs_once()
        assert world.service.jobs.get_job(call, job.id).queued == 8
        world.deliver_all()
        done = world.service.jobs.get_job(call, job.id)
        assert (done.state, done.total, done.queued, done.done) == (JobState.DONE, 8, 8, 8)
        assert done.finished_at is not None
        assert all(world.opens(device, "t") for device in devices)

    def test_joins_and_leaves_while_it_runs(
        self, world: World, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_expand, "CHUNK", 2)
        devices = {name: world.device(name) for name in "abcdefgh"}
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [(name, "t") for name in "abcdef"])
        world.deliver_all()
        _, job = world.service.topics.new_topic(call, "t")
        assert job is not None
        world.service.members.remove_topic_client(call, "f", "t")
        world.service.members.remove_topic_client(call, "a", "t")
        world.service.members.new_topic_client(call, "h", "t")
        world.service.clients.remove_client(call, "e")
        world.deliver_all()
        assert {n for n, d in devices.items() if world.opens(d, "t")} == set("bcdh")
        assert not devices["f"].has_topic_key("t")
        done = world.service.jobs.get_job(call, job.id)
        assert (done.state, done.total) == (
            JobState.DONE,
            5,
        )  # a, b, c, d, h: f and e had left before it came

    def test_pages(self, service: Service, call: Call) -> None:
        service.topics.new_topic(call, "t")
        ids = [service.topics.new_topic(call, "t")[1].id for _ in range(5)]  # type: ignore[union-attr]
        page = service.jobs.page_jobs(call, limit=3)
        assert [job.id for job in page.items] == ids[:1:-1]
        assert [job.id for job in service.jobs.page_jobs(call, page.next, 3).items] == ids[1::-1]
        assert service.jobs.page_jobs(call, state=JobState.RUNNING).items == []
        with pytest.raises(NotFound):
            service.jobs.get_job(call, 1 << 40)
