"""Creating, replacing, resetting and removing clients, in both modes on both databases."""

from __future__ import annotations

import pytest

import e4
from e4 import crypto
from e4.c2.model import Call, Mode
from e4.c2.service import Service
from e4.errors import Conflict, InvalidId, InvalidKey, InvalidName, InvalidRequest, NotFound
from tests.unit.c2._world import T0, World, new_key

NAMES = ["", "x" * 256, "é" * 128, "nul\0", "\ud800"]
BAD_KEYS = {
    "symkey": [b"", bytes(31), bytes(33), bytes(32), bytes(64)],
    # too short; not a curve point; small order: 0, 1, and -1 in two encodings
    "pubkey": [
        b"",
        bytes(31),
        bytes(33),
        b"\x02" + bytes(31),
        bytes(32),
        b"\x01" + bytes(31),
        b"\xec" + b"\xff" * 30 + b"\x7f",
    ],
}


class TestNewClient:
    def test_stores_name_id_and_key(self, world: World, call: Call, mode: Mode) -> None:
        _, known = new_key(mode)
        client = world.service.clients.new_client(call, "alice", known)
        assert (client.name, client.id, client.by_id) == ("alice", crypto.hash_id_alias("alice"), False)
        assert (client.key_version, client.c2_key_version) == (1, 0 if mode == "symkey" else 1)
        assert client.created_at == T0
        assert world.names() == ["alice"]
        with world.store.read() as tx:
            stored = tx.keys.client_keys(client.row)[0]
        assert known not in stored.sealed
        assert world.vault.open_key("client_keys", client.row, 1, stored.sealed) == known
        assert world.events() == [("client.created", "alice", "")]
        assert world.audit() == [("new_client", "alice", "done")]
        assert world.queued() == []
        assert world.notified

    def test_by_id(self, service: Service, call: Call, mode: Mode) -> None:
        id = bytes(range(16))
        client = service.clients.new_client(call, id, new_key(mode)[1])
        assert (client.name, client.id, client.by_id) == (id.hex(), id, True)
        assert service.clients.get_client(call, id).client == client
        assert service.clients.get_client(call, id.hex()).client == client
        assert service.clients.get_client(call, bytearray(id)).client == client  # type: ignore[arg-type]

    def test_hex_name_means_the_client_registered_by_that_id(
        self, service: Service, call: Call, mode: Mode
    ) -> None:
        id = bytes(range(16))
        service.clients.new_client(call, id, new_key(mode)[1])
        replaced = service.clients.new_client(call, id.hex(), new_key(mode)[1])
        assert (replaced.id, replaced.key_version) == (id, 2)
        assert service.clients.count_clients(call) == 1

    def test_an_id_means_the_client_whose_name_gives_it(
        self, service: Service, call: Call, mode: Mode
    ) -> None:
        service.clients.new_client(call, "alice", new_key(mode)[1])
        replaced = service.clients.new_client(call, crypto.hash_id_alias("alice"), new_key(mode)[1])
        assert (replaced.name, replaced.key_version) == ("alice", 2)

    def test_a_client_registered_by_id_gets_its_name(self, world: World, call: Call, mode: Mode) -> None:
        world.service.clients.new_client(call, crypto.hash_id_alias("alice"), new_key(mode)[1])
        assert world.names() == [crypto.hash_id_alias("alice").hex()]
        assert world.service.clients.get_client(call, "alice").client.by_id
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        named = world.service.clients.new_client(call, "alice", new_key(mode)[1])
        assert (named.name, named.by_id) == ("alice", False)
        assert world.names() == ["alice"]
        assert [c.name for c in world.service.members.get_clients_for_topic(call, "t", 0, 10)] == ["alice"]

    def test_an_id_whose_hex_is_somebodys_name_is_a_conflict(
        self, world: World, call: Call, mode: Mode
    ) -> None:
        id = bytes(range(16))
        world.service.clients.new_client(call, id.hex(), new_key(mode)[1])
        with pytest.raises(Conflict):
            world.service.clients.new_client(call, id, new_key(mode)[1])
        assert world.audit()[-1] == ("new_client", id.hex(), "Conflict")

    def test_bad_names(self, world: World, call: Call, mode: Mode) -> None:
        for name in NAMES:
            with pytest.raises(InvalidName):
                world.service.clients.new_client(call, name, new_key(mode)[1])
            operation, _, outcome = world.audit()[-1]
            assert (operation, outcome) == ("new_client", "InvalidName")
        assert world.names() == []

    def test_longest_name(self, world: World, call: Call, mode: Mode) -> None:
        world.service.clients.new_client(call, "é" * 127 + "x", new_key(mode)[1])
        assert world.names() == ["é" * 127 + "x"]

    def test_bad_id(self, service: Service, call: Call, mode: Mode) -> None:
        with pytest.raises(InvalidId):
            service.clients.new_client(call, bytes(15), new_key(mode)[1])

    def test_bad_keys(self, world: World, call: Call, mode: Mode) -> None:
        for key in BAD_KEYS[mode]:
            with pytest.raises(InvalidKey):
                world.service.clients.new_client(call, "alice", key)
        assert world.names() == []
        assert world.audit() == [("new_client", "alice", "InvalidKey")] * len(BAD_KEYS[mode])

    def test_replacing_a_key(self, world: World, call: Call, mode: Mode) -> None:
        first, second = new_key(mode)[1], new_key(mode)[1]
        world.service.clients.new_client(call, "alice", first)
        client = world.service.clients.new_client(call, "alice", second)
        assert client.key_version == 2
        keys = world.service.clients.get_client(call, "alice").keys
        assert [(key.version, key.state.value) for key in keys] == [(1, "previous"), (2, "current")]
        assert world.events()[-1] == ("client.replaced", "alice", "")

    def test_the_same_key_again_changes_nothing(self, world: World, call: Call, mode: Mode) -> None:
        key = new_key(mode)[1]
        world.service.clients.new_client(call, "alice", key)
        assert world.service.clients.new_client(call, "alice", key).key_version == 1
        assert len(world.events()) == 1
        assert len(world.audit()) == 2

    def test_a_replaced_key_carries_what_was_queued(self, world: World, call: Call, mode: Mode) -> None:
        """SetTopicKey waits, the device gets another key out of band, and still gets its topic."""
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        device = world.device("alice")
        world.deliver_all()
        assert world.opens(device, "t")
        assert world.refused == []

    def test_a_replaced_key_makes_a_pending_one_needless(self, world: World, call: Call, mode: Mode) -> None:
        world.device("alice")
        world.service.keys.new_client_key(call, "alice")
        world.service.topics.new_topic(call, "t")
        device = world.device("alice")  # replaces it
        world.service.members.new_topic_client(call, "alice", "t")
        assert [kind for kind, _, _ in world.queued()] == ["SET_TOPIC_KEY"]
        world.deliver_all()
        assert world.opens(device, "t")
        keys = world.service.clients.get_client(call, "alice").keys
        assert [(key.version, key.state.value) for key in keys] == [(1, "previous"), (3, "current")]

    def test_an_in_flight_command_goes_again_under_the_replaced_key(
        self, world: World, call: Call, mode: Mode
    ) -> None:
        """While SetTopicKey is on its way under the old key, the operator gives the device another."""
        old = world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        with world.store.claim(10, world.clock()) as claim:
            out = claim.outgoing[0]
            second = world.clock.tick()
            message = world.protect(out, second)
            device = world.device("alice")
            assert message is not None
            with pytest.raises(e4.NotAuthentic):
                device.unprotect(message, device.receiving_topic)
            with claim.write() as tx:
                world.service.delivered(tx, [(out, second)])
        world.deliver_all()
        assert world.opens(device, "t")
        assert not world.opens(old, "t")


class TestBatch:
    def test_new_clients(self, world: World, call: Call, mode: Mode) -> None:
        world.service.clients.new_client(call, "b", new_key(mode)[1])
        made = world.service.clients.new_clients(call, [(name, new_key(mode)[1]) for name in ("c", "b", "a")])
        assert [(client.name, client.key_version) for client in made] == [("c", 1), ("b", 2), ("a", 1)]
        assert world.names() == ["a", "b", "c"]
        assert world.audit()[1:] == [("new_client", name, "done") for name in ("c", "b", "a")]

    def test_all_or_none(self, world: World, call: Call, mode: Mode) -> None:
        with pytest.raises(InvalidKey):
            world.service.clients.new_clients(call, [("a", new_key(mode)[1]), ("b", b"short")])
        assert world.names() == []
        assert world.audit() == [("new_client", "2 clients", "InvalidKey")]

    def test_a_client_twice(self, world: World, call: Call, mode: Mode) -> None:
        for other in ("a", crypto.hash_id_alias("a")):
            with pytest.raises(InvalidRequest):
                world.service.clients.new_clients(call, [("a", new_key(mode)[1]), (other, new_key(mode)[1])])
        assert world.names() == []

    def test_sizes(self, service: Service, call: Call, mode: Mode) -> None:
        for count in (0, 10_001):
            with pytest.raises(InvalidRequest):
                service.clients.new_clients(call, [("a", b"")] * count)


class TestRemove:
    def test_forgets_everything(self, world: World, call: Call, mode: Mode) -> None:
        world.device("alice")
        world.device("bob")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.service.links.link_client(call, "alice", "bob")
        world.service.links.link_client(call, "bob", "alice")
        world.service.clients.remove_client(call, "alice")
        assert world.names() == ["bob"]
        assert world.service.members.count_clients_for_topic(call, "t") == 0
        assert world.service.links.count_linked_clients(call, "bob") == 0
        assert world.queued() == [("CLEAR_RETAINED", crypto.hash_id_alias("alice").hex(), "")]
        assert world.events()[-1] == ("client.removed", "alice", "")
        with pytest.raises(NotFound):
            world.service.clients.get_client(call, "alice")

    def test_created_again_at_once(self, world: World, call: Call, mode: Mode) -> None:
        world.device("alice")
        world.service.topics.new_topic(call, "t")
        world.service.clients.remove_client(call, "alice")
        device = world.device("alice")
        world.service.members.new_topic_client(call, "alice", "t")
        assert [kind for kind, _, _ in world.queued()] == ["CLEAR_RETAINED", "SET_TOPIC_KEY"]
        world.deliver_all()
        assert world.opens(device, "t")

    def test_unknown(self, world: World, call: Call) -> None:
        with pytest.raises(NotFound):
            world.service.clients.remove_client(call, "nobody")
        assert world.audit() == [("remove_client", "nobody", "NotFound")]


class TestReset:
    def test_memberships_end(self, world: World, call: Call) -> None:
        device = world.device("alice")
        for topic in ("t", "u"):
            world.service.topics.new_topic(call, topic)
            world.service.members.new_topic_client(call, "alice", topic)
        world.deliver_all()
        assert world.opens(device, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.service.clients.reset_client(call, "alice")
        assert world.queued() == [("RESET_TOPICS", "alice", "")]
        world.deliver_all()
        assert device.topic_hashes == frozenset()
        assert world.service.members.count_topics_for_client(call, "alice") == 0
        assert ("client.reset", "alice", "") in world.events()

    def test_many(self, world: World, call: Call) -> None:
        devices = [world.device(name) for name in ("a", "b", "c")]
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [(name, "t") for name in ("a", "b", "c")])
        world.deliver_all()
        world.service.clients.reset_clients(call, ["a", "b", crypto.hash_id_alias("a")])
        assert world.queued() == [("RESET_TOPICS", "a", ""), ("RESET_TOPICS", "b", "")]
        world.deliver_all()
        assert [len(device.topic_hashes) for device in devices] == [0, 0, 1]

    def test_all_or_none(self, world: World, call: Call) -> None:
        world.device("a")
        with pytest.raises(NotFound):
            world.service.clients.reset_clients(call, ["a", "nobody"])
        assert world.queued() == []


class TestReading:
    def test_pages(self, service: Service, call: Call, mode: Mode) -> None:
        names = sorted((f"client-{i:03}" for i in range(120)), key=str.encode)
        service.clients.new_clients(call, [(name, new_key(mode)[1]) for name in reversed(names)])
        assert service.clients.count_clients(call) == 120
        assert [c.name for c in service.clients.get_clients(call, 0, 1000)] == names[:100]
        assert [c.name for c in service.clients.get_clients(call, 110, 50)] == names[110:]
        assert service.clients.get_clients(call, 0, 0) == []
        assert service.clients.get_clients(call, 1 << 40, 5) == []
        for offset, count in ((-1, 1), (0, -1), (0, 1 << 63)):
            with pytest.raises(InvalidRequest):
                service.clients.get_clients(call, offset, count)
        seen: list[str] = []
        cursor = None
        while True:
            page = service.clients.page_clients(call, cursor, 50)
            seen += [c.name for c in page.items]
            if (cursor := page.next) is None:
                break
        assert seen == names

    def test_prefix(self, service: Service, call: Call, mode: Mode) -> None:
        names = ["a", "ab", "abc", "b", "B", "ab%", "ab_"]
        service.clients.new_clients(call, [(name, new_key(mode)[1]) for name in names])
        found = service.clients.page_clients(call, None, 10, prefix="ab").items
        assert [c.name for c in found] == ["ab", "ab%", "ab_", "abc"]
        first = service.clients.page_clients(call, None, 2, prefix="ab")
        assert [c.name for c in service.clients.page_clients(call, first.next, 2, prefix="ab").items] == [
            "ab_",
            "abc",
        ]

    def test_bad_cursors_and_limits(self, service: Service, call: Call) -> None:
        for cursor in ("", "?", "é", "a", "AA==", "AAAA", "____"):
            with pytest.raises(InvalidRequest):
                service.clients.page_clients(call, cursor, 10)
        for limit in (0, -1, 1001):
            with pytest.raises(InvalidRequest):
                service.clients.page_clients(call, None, limit)

    def test_details(self, world: World, call: Call) -> None:
        world.device("alice")
        world.device("bob")
        world.service.links.link_client(call, "bob", "alice")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_client(call, "alice", "t")
        world.service.keys.new_client_key(call, "alice")
        details = world.service.clients.get_client(call, "alice")
        assert (details.topics, details.links, details.queued) == (1, 1, 2)
        assert [key.state.value for key in details.keys] == ["current", "pending"]
        assert [command.kind.name for command in details.last_commands] == ["SET_ID_KEY", "SET_TOPIC_KEY"]

    def test_export(self, world: World, call: Call, mode: Mode) -> None:
        for name in ("alice", "bob"):
            world.device(name)
        for topic in ("t", "u"):
            world.service.topics.new_topic(call, topic)
            world.service.members.new_topic_client(call, "alice", topic)
        world.service.links.link_client(call, "bob", "alice")
        alice, bob = world.service.clients.export_clients(call)
        assert (alice.name, alice.id, alice.topics, alice.links) == (
            "alice",
            crypto.hash_id_alias("alice"),
            ("t", "u"),
            ("bob",),
        )
        assert (bob.topics, bob.links) == ((), ())
