"""Links, and public keys sent from client to client, in both modes on both databases."""

from __future__ import annotations

import pytest

import e4
from e4.c2.model import Call, Mode
from e4.c2.service import Service
from e4.errors import FailedPrecondition, InvalidRequest, NotFound
from tests.unit.c2._world import World, new_key, pubkey_only, symkey_only

KEY_OPERATIONS = ("send_client_pubkey", "remove_client_pubkey")


class TestLinks:
    def test_link_and_unlink(self, world: World, call: Call) -> None:
        for name in ("alice", "bob"):
            world.device(name)
        links = world.service.links
        for _ in range(2):  # the second time changes nothing
            links.link_client(call, "alice", "bob")
        assert links.count_linked_clients(call, "bob") == 1
        assert links.count_linked_clients(call, "alice") == 0
        assert [c.name for c in links.get_linked_clients(call, "bob", 0, 10)] == ["alice"]
        for _ in range(2):
            links.unlink_client(call, "alice", "bob")
        assert links.count_linked_clients(call, "bob") == 0
        assert world.queued() == []
        assert world.events()[2:] == [("link.added", "alice", "bob"), ("link.removed", "alice", "bob")]
        assert [row[:2] for row in world.audit()[2:]] == [
            ("link_client", "alice → bob"),
            ("link_client", "alice → bob"),
            ("unlink_client", "alice → bob"),
            ("unlink_client", "alice → bob"),
        ]

    def test_to_itself(self, world: World, call: Call) -> None:
        world.device("alice")
        world.service.links.link_client(call, "alice", "alice")
        assert world.service.links.count_linked_clients(call, "alice") == 1

    def test_pages(self, service: Service, call: Call, mode: Mode) -> None:
        names = [f"c{i:02}" for i in range(30)]
        service.clients.new_clients(call, [(name, new_key(mode)[1]) for name in names])
        for name in reversed(names[1:]):
            service.links.link_client(call, name, names[0])
        links = service.links
        assert links.count_linked_clients(call, names[0]) == 29
        assert [c.name for c in links.get_linked_clients(call, names[0], 3, 4)] == names[4:8]
        assert links.get_linked_clients(call, names[0], 0, 0) == []
        page = links.page_linked_clients(call, names[0], None, 20)
        page = links.page_linked_clients(call, names[0], page.next, 20)
        assert ([c.name for c in page.items], page.next) == (names[21:], None)
        with pytest.raises(InvalidRequest):
            links.get_linked_clients(call, names[0], 0, -1)

    def test_unknown(self, world: World, call: Call) -> None:
        world.device("alice")
        for operation in (world.service.links.link_client, world.service.links.unlink_client):
            for pair in (("alice", "nobody"), ("nobody", "alice")):
                with pytest.raises(NotFound):
                    operation(call, *pair)
        with pytest.raises(NotFound):
            world.service.links.count_linked_clients(call, "nobody")
        with pytest.raises(NotFound):
            world.service.links.get_linked_clients(call, "nobody", 0, 0)


class TestPublicKeys:
    @symkey_only
    def test_not_in_symmetric_mode(self, world: World, call: Call) -> None:
        for name in ("alice", "bob"):
            world.device(name)
        for operation in KEY_OPERATIONS:
            with pytest.raises(FailedPrecondition):
                getattr(world.service.links, operation)(call, "bob", "alice")
            assert world.audit()[-1] == (operation, "alice → bob", "FailedPrecondition")
        with pytest.raises(FailedPrecondition):
            world.service.links.reset_client_pubkeys(call, "bob")

    @pubkey_only
    def test_send_remove_and_reset(self, world: World, call: Call) -> None:
        alice, bob = world.device("alice"), world.device("bob")
        world.service.topics.new_topic(call, "t")
        world.service.members.new_topic_clients(call, [("alice", "t"), ("bob", "t")])
        world.service.links.send_client_pubkey(call, "bob", "alice")
        assert world.queued()[-1] == ("SET_PUB_KEY", "bob", "alice")
        world.deliver_all()
        message = alice.protect_message(b"hello", "t")
        assert bob.unprotect(message, "t") == b"hello"
        world.service.links.remove_client_pubkey(call, "bob", "alice")
        assert world.queued() == [("REMOVE_PUB_KEY", "bob", "alice")]
        world.deliver_all()
        with pytest.raises(e4.PublicKeyMissing):
            bob.unprotect(message, "t")
        world.service.links.send_client_pubkey(call, "bob", "alice")
        world.deliver_all()
        world.service.links.reset_client_pubkeys(call, "bob")
        assert world.queued() == [("RESET_PUB_KEYS", "bob", "")]
        world.deliver_all()
        with pytest.raises(e4.PublicKeyMissing):
            bob.unprotect(message, "t")

    @pubkey_only
    def test_what_still_waits_is_replaced(self, world: World, call: Call) -> None:
        for name in ("alice", "bob", "carol"):
            world.device(name)
        links = world.service.links
        for _ in range(2):
            links.send_client_pubkey(call, "bob", "alice")
            links.remove_client_pubkey(call, "bob", "alice")
            links.send_client_pubkey(call, "bob", "carol")
        assert world.queued() == [("REMOVE_PUB_KEY", "bob", "alice"), ("SET_PUB_KEY", "bob", "carol")]
        links.reset_client_pubkeys(call, "bob")
        assert world.queued() == [("RESET_PUB_KEYS", "bob", "")]

    @pubkey_only
    def test_unknown(self, world: World, call: Call) -> None:
        world.device("alice")
        for operation in KEY_OPERATIONS:
            for pair in (("alice", "nobody"), ("nobody", "alice")):
                with pytest.raises(NotFound):
                    getattr(world.service.links, operation)(call, *pair)
        with pytest.raises(NotFound):
            world.service.links.reset_client_pubkeys(call, "nobody")

    @pubkey_only
    def test_a_removed_source_sends_nothing(self, world: World, call: Call) -> None:
        for name in ("alice", "bob"):
            world.device(name)
        world.service.links.send_client_pubkey(call, "bob", "alice")
        world.service.clients.remove_client(call, "alice")
        world.deliver_all()
        assert world.applied == []
