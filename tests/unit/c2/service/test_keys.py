"""New keys for clients and for C2, and bringing a lost client back; both modes, both databases."""

from __future__ import annotations

import pytest

import e4
from e4 import crypto
from e4.c2.model import Call, JobState, Mode
from e4.c2.service import Service, _expand
from e4.errors import FailedPrecondition, NotFound
from tests.unit.c2._world import CALL, World, new_key, pubkey_only, symkey_only


def states(world: World, client: str) -> list[tuple[int, str]]:
    keys = world.service.clients.get_client(CALL, client).keys
    return [(key.version, key.state.value) for key in keys]


class TestClientKeys:
    def test_pending_until_sent(self, world: World, call: Call, mode: Mode) -> None:
        device = world.device("alice")
        before = device.public_key() if mode == "pubkey" else None
        client = world.service.keys.new_client_key(call, "alice")
        assert client.key_version == 2
        assert states(world, "alice") == [(1, "current"), (2, "pending")]
        assert world.queued() == [("SET_ID_KEY", "alice", "")]
        with world.store.read() as tx:
            assert (tx.keys.client_keys(client.row)[1].transit is None) == (mode == "symkey")
        world.deliver_all()
        assert states(world, "alice") == [(1, "previous"), (2, "current")]
        with world.store.read() as tx:
            stored = tx.keys.client_keys(client.row)[1]
        assert stored.transit is None
        if mode == "pubkey":
            assert device.public_key() != before
            assert world.vault.open_key("client_keys", client.row, 2, stored.sealed) == device.public_key()
        assert world.refused == []
        assert [e for e in world.events() if e[0].startswith("key")] == [
            ("key.client-pending", "alice", "2"),
            ("key.client-current", "alice", "2"),
        ]

    def test_what_follows_goes_under_the_new_key(self, world: World, call: Call) -> None:
        device = world.device("alice")
        world.service.topics.new_topic(call, "t")
        for _ in range(3):
            world.service.keys.new_client_key(call, "alice")
            world.service.members.new_topic_client(call, "alice", "t")
        world.deliver_all()
        assert world.refused == []
        assert world.opens(device, "t")
        assert states(world, "alice")[-1] == (4, "current")

    def test_batch(self, world: World, call: Call) -> None:
        devices = {name: world.device(name) for name in ("a", "b", "c")}
        renewed = world.service.keys.new_client_keys(call, ["c", "a", crypto.hash_id_alias("a")])
        assert [(client.name, client.key_version) for client in renewed] == [("c", 2), ("a", 2), ("a", 2)]
        world.deliver_all()
        assert (world.refused, len(world.applied)) == ([], 2)
        with pytest.raises(NotFound):
            world.service.keys.new_client_keys(call, ["a", "nobody"])
        assert len(devices) == 3
        assert states(world, "a")[-1] == (2, "current")

    def test_confirm(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.keys.new_client_key(call, "alice")
        with pytest.raises(FailedPrecondition):
            world.service.keys.confirm_client_key(call, "alice")
        world.deliver_all()
        for _ in range(2):
            world.service.keys.confirm_client_key(call, "alice")
        assert states(world, "alice") == [(2, "current")]
        assert [e for e in world.events() if e[0] == "key.client-confirmed"] == [
            ("key.client-confirmed", "alice", "2")
        ]
        assert [row for row in world.audit() if row[0] == "confirm_client_key"] == [
            ("confirm_client_key", "alice", "FailedPrecondition"),
            ("confirm_client_key", "alice", "done"),
            ("confirm_client_key", "alice", "done"),
        ]

    def test_unknown(self, service: Service, call: Call) -> None:
        for operation in (service.keys.new_client_key, service.keys.confirm_client_key):
            with pytest.raises(NotFound):
                operation(call, "nobody")

    @pubkey_only
    def test_linked_clients_get_the_new_public_key(self, world: World, call: Call) -> None:
        alice, bob, carol = (world.device(name) for name in ("alice", "bob", "carol"))
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [(name, "t") for name in ("alice", "bob", "carol")])
        world.service.links.link_client(call, "alice", "bob")
        world.service.links.send_client_pubkey(call, "bob", "alice")
        world.service.links.send_client_pubkey(call, "carol", "alice")
        world.service.keys.new_client_key(call, "alice")
        world.deliver_all()
        message = alice.protect_message(b"new", "t")
        assert bob.unprotect(message, "t") == b"new"
        assert carol.unprotect(message, "t") == b"new"  # hers was sent after, so it was the newest too
        world.service.keys.new_client_key(call, "alice")
        world.deliver_all()
        message = alice.protect_message(b"newer", "t")
        assert bob.unprotect(message, "t") == b"newer"
        with pytest.raises(e4.InvalidSignature):
            carol.unprotect(message, "t")

    @pubkey_only
    def test_a_client_linked_to_itself(self, world: World, call: Call) -> None:
        alice = world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.service.links.link_client(call, "alice", "alice")
        world.service.keys.new_client_key(call, "alice")
        world.deliver_all()
        assert world.refused == []
        assert alice.unprotect(alice.protect_message(b"self", "t"), "t") == b"self"


class TestC2Key:
    @symkey_only
    def test_symmetric_mode_has_none(self, world: World, call: Call) -> None:
        for operation in (
            lambda: world.service.keys.new_c2_key(call, True),
            lambda: world.service.keys.confirm_c2_key(call),
            lambda: world.service.keys.c2_public_key(call),
        ):
            with pytest.raises(FailedPrecondition):
                operation()
        assert [row[::2] for row in world.audit()] == [
            ("new_c2_key", "FailedPrecondition"),
            ("confirm_c2_key", "FailedPrecondition"),
        ]

    def test_mode(self, service: Service, call: Call, mode: Mode) -> None:
        assert service.keys.get_crypto_mode(call) == mode

    @pubkey_only
    def test_needs_force(self, world: World, call: Call) -> None:
        with pytest.raises(FailedPrecondition):
            world.service.keys.new_c2_key(call, False)
        assert world.audit() == [("new_c2_key", "", "FailedPrecondition")]

    @pubkey_only
    def test_every_client_changes(self, world: World, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_expand, "CHUNK", 2)
        devices = [world.device(f"c{i}") for i in range(5)]
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [(f"c{i}", "t") for i in range(5)])
        old = world.service.keys.c2_public_key(call)
        job = world.service.keys.new_c2_key(call, True)
        assert (job.total, job.queued, job.state) == (5, 2, JobState.RUNNING)
        assert world.service.keys.c2_public_key(call) != old
        world.service.topics.new_topic(call, "t")  # reaches some under the new key, some under the old
        with pytest.raises(FailedPrecondition):
            world.service.keys.confirm_c2_key(call)
        world.device("late")  # is given the newest at once
        world.service.members.new_topic_client(call, "late", "t")
        world.deliver_all()
        assert world.refused == []
        assert all(
            world.opens(device, "t") for device in (*devices, world.devices[crypto.hash_id_alias("late")])
        )
        assert world.service.jobs.get_job(call, job.id).state is JobState.DONE
        assert ("key.c2-current", "", "2") in world.events()
        with world.store.read() as tx:
            assert [(k.version, k.state.value) for k in tx.keys.c2_keys()] == [
                (1, "previous"),
                (2, "current"),
            ]
        world.service.keys.confirm_c2_key(call)
        with world.store.read() as tx:
            assert [key.version for key in tx.keys.c2_keys()] == [2]
        world.service.topics.new_topic(call, "t")
        world.deliver_all()
        assert all(world.opens(device, "t") for device in devices)

    @pubkey_only
    def test_twice_before_the_first_was_sent(
        self, world: World, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_expand, "CHUNK", 2)
        devices = [world.device(f"c{i}") for i in range(5)]
        world.service.topics.new_topic(call, "t")
        first = world.service.keys.new_c2_key(call, True)
        second = world.service.keys.new_c2_key(call, True)
        world.service.members.new_topic_clients(call, [(f"c{i}", "t") for i in range(5)])
        world.deliver_all()
        assert world.refused == []
        assert all(world.opens(device, "t") for device in devices)
        assert world.service.jobs.get_job(call, first.id).state is JobState.SUPERSEDED
        assert world.service.jobs.get_job(call, second.id).state is JobState.DONE
        with world.store.read() as tx:
            assert [k.state.value for k in tx.keys.c2_keys()] == ["previous", "previous", "current"]

    @pubkey_only
    def test_without_clients_it_is_done_at_once(self, world: World, call: Call) -> None:
        assert world.service.keys.new_c2_key(call, True).state is JobState.DONE
        world.service.keys.confirm_c2_key(call)

    @pubkey_only
    def test_a_client_left_with_the_older_key_holds_confirmation_up(self, world: World, call: Call) -> None:
        device = world.device("alice")
        world.service.keys.new_c2_key(call, True)
        world.deliver_all()
        row = world.service.clients.get_client(call, "alice").client.row
        with world.store.write() as tx:  # as if it had been registered while the key was changed
            tx.clients.set_c2_key_version([row], 1)
        with pytest.raises(FailedPrecondition, match="1 clients"):
            world.service.keys.confirm_c2_key(call)
        world.service.clients.resync_client(call, "alice")
        world.deliver_all()
        world.service.keys.confirm_c2_key(call)
        assert device.mode == "pubkey"


class TestResync:
    def fill(self, world: World, call: Call) -> None:
        for topic in ("t", "u", "v"):
            world.service.topics.new_topic(call, topic)
        world.service.members.new_topic_clients(call, [("alice", "t"), ("alice", "u")])
        if world.mode == "pubkey":
            world.device("bob")
            world.service.links.link_client(call, "bob", "alice")

    def holds_everything(self, world: World, device: e4.Client) -> bool:
        bob = world.devices.get(crypto.hash_id_alias("bob"))
        if bob is not None:
            world.service.members.new_topic_client(CALL, "bob", "t")
            world.deliver_all()
            message = bob.protect_message(b"from bob", "t")
            if device.unprotect(message, "t") != b"from bob":
                return False
        return device.topic_hashes == {crypto.hash_topic(t) for t in ("t", "u")} and all(
            world.opens(device, topic) for topic in ("t", "u")
        )

    def test_from_nothing(self, world: World, call: Call) -> None:
        device = world.device("alice")
        self.fill(world, call)
        world.service.members.new_topic_client(call, "alice", "v")
        world.deliver_all()
        with world.store.write() as tx:  # the device has a topic that C2 does not know it has
            client, topic = tx.clients.get("alice"), tx.topics.get("v")
            assert client is not None
            assert topic is not None
            assert tx.members.remove_many([(client.row, topic.row)])
        world.service.clients.resync_client(call, "alice")
        kinds = [kind for kind, _, _ in world.queued()]
        tail = [] if world.mode == "symkey" else ["RESET_PUB_KEYS", "SET_PUB_KEY"]
        assert kinds == ["RESET_TOPICS", "SET_TOPIC_KEY", "SET_TOPIC_KEY", *tail]
        world.deliver_all()
        assert world.refused == []
        assert self.holds_everything(world, device)
        assert ("client.resynced", "alice", "") in world.events()

    def test_twice_queues_it_once(self, world: World, call: Call) -> None:
        world.device("alice")
        self.fill(world, call)
        world.service.clients.resync_client(call, "alice")
        once = world.queued()
        world.service.clients.resync_client(call, "alice")
        assert world.queued() == once

    @pytest.mark.parametrize("lost", [0, 1, 2])
    def test_under_whichever_key(self, world: World, call: Call, lost: int) -> None:
        """The client's key was changed twice; it took none of the changes, or one, or both."""
        device = world.device("alice")
        self.fill(world, call)
        world.deliver_all()
        for number in range(2):
            if number >= lost:
                world.devices.pop(device.id, None)  # whatever is sent now does not arrive
            world.service.keys.new_client_key(call, "alice")
            world.deliver_all()
        world.service.topics.new_topic(call, "t")
        world.deliver_all()
        world.devices[device.id] = device
        world.service.clients.resync_client(call, "alice")
        world.service.topics.new_topic(call, "u")
        world.deliver_all()
        assert self.holds_everything(world, device)
        world.service.keys.confirm_client_key(call, "alice")
        assert len(states(world, "alice")) == 1
        world.service.topics.new_topic(call, "t")
        world.refused.clear()
        world.deliver_all()
        assert world.refused == []
        assert world.opens(device, "t")

    def test_while_a_new_key_is_pending(self, world: World, call: Call) -> None:
        device = world.device("alice")
        self.fill(world, call)
        world.service.keys.new_client_key(call, "alice")
        world.service.clients.resync_client(call, "alice")
        world.deliver_all()
        assert self.holds_everything(world, device)
        assert states(world, "alice")[-1][1] == "current"

    def test_after_a_key_was_replaced_that_the_client_never_took(
        self, world: World, call: Call, mode: Mode
    ) -> None:
        device = world.device("alice")
        self.fill(world, call)
        world.deliver_all()
        world.service.clients.new_client(call, "alice", new_key(mode)[1])
        world.service.topics.new_topic(call, "t")
        world.deliver_all()
        assert not world.opens(device, "t")
        world.service.clients.resync_client(call, "alice")
        world.deliver_all()
        assert self.holds_everything(world, device)

    @pubkey_only
    @pytest.mark.parametrize("has_c2", [0, 1, 2])
    @pytest.mark.parametrize("has_own", [0, 1])
    def test_under_whichever_pair(self, world: World, call: Call, has_c2: int, has_own: int) -> None:
        """C2's key was changed twice and the client's once; the client took some of it."""
        device = world.device("alice")
        self.fill(world, call)
        world.deliver_all()
        for number in range(2):
            if number >= has_c2:
                world.devices.pop(device.id, None)
            world.service.keys.new_c2_key(call, True)
            world.deliver_all()
        if has_own == 0 or has_c2 < 2:
            world.devices.pop(device.id, None)
        world.service.keys.new_client_key(call, "alice")
        world.deliver_all()
        world.devices[device.id] = device
        world.service.clients.resync_client(call, "alice")
        world.deliver_all()
        assert self.holds_everything(world, device)
        world.service.keys.confirm_c2_key(call)
        world.service.keys.confirm_client_key(call, "alice")
        world.refused.clear()
        world.service.topics.new_topic(call, "u")
        world.deliver_all()
        assert world.refused == []
        assert world.opens(device, "u")

    def test_unknown(self, service: Service, call: Call) -> None:
        with pytest.raises(NotFound):
            service.clients.resync_client(call, "nobody")
