"""Protecting and unprotecting on the server, in both modes on both databases."""

from __future__ import annotations

import pytest

import e4
from e4 import commands, crypto
from e4.c2.model import Call, Mode
from e4.errors import InvalidRequest, InvalidTopic, NotFound
from tests.unit.c2._world import World, pubkey_only


@pytest.fixture
def alice(world: World, call: Call) -> e4.Client:
    device = world.device("alice")
    world.service.topics.new_topic(call, "t")
    world.service.members.new_topic_client(call, "alice", "t")
    world.deliver_all()
    return device


class TestMessages:
    def test_there_and_back(self, world: World, call: Call, alice: e4.Client) -> None:
        messages = world.service.messages
        message = messages.protect_message(call, "t", b"hello")
        assert len(message) == 24 + 5
        assert messages.unprotect_message(call, "t", message) == b"hello"
        assert messages.unprotect_message(call, "t", alice.protect_message(b"", "t")) == b""

    def test_what_clients_send_and_receive(
        self, world: World, call: Call, alice: e4.Client, mode: Mode
    ) -> None:
        message = alice.protect_message(b"from alice", "t")
        assert world.service.messages.unprotect_message(call, "t", message) == b"from alice"
        if mode == "symkey":
            answer = world.service.messages.protect_message(call, "t", b"from C2")
            assert alice.unprotect(answer, "t") == b"from C2"

    def test_the_previous_key_for_an_hour(self, world: World, call: Call, alice: e4.Client) -> None:
        world.service.topics.new_topic(call, "t")
        late = alice.protect_message(b"late", "t")
        assert world.service.messages.unprotect_message(call, "t", late) == b"late"
        world.clock.tick(3700)
        later = alice.protect_message(b"later", "t")
        with pytest.raises(e4.NotAuthentic):
            world.service.messages.unprotect_message(call, "t", later)

    def test_refusals(self, world: World, call: Call, alice: e4.Client, mode: Mode) -> None:
        messages = world.service.messages
        for operation in (messages.protect_message, messages.unprotect_message):
            with pytest.raises(InvalidRequest):
                operation(call, "t", b"")
            with pytest.raises(NotFound):
                operation(call, "u", b"data")
            with pytest.raises(InvalidTopic):
                operation(call, "#", b"data")
        with pytest.raises(e4.MalformedMessage):
            messages.unprotect_message(call, "t", bytes(23))
        message = alice.protect_message(b"payload", "t")
        for changed in (message[:-1] + bytes([message[-1] ^ 1]), message[:30] + b"\0" + message[31:]):
            with pytest.raises(e4.MessageError):
                messages.unprotect_message(call, "t", changed)
        world.clock.tick(-61)
        with pytest.raises(e4.TimestampInFuture):
            messages.unprotect_message(call, "t", message)
        world.clock.tick(61 + 601)
        with pytest.raises(e4.TimestampTooOld):
            messages.unprotect_message(call, "t", message)
        assert world.audit()[-1][0] == "new_topic_client"  # uses of a key are no changes

    @pubkey_only
    def test_signers(self, world: World, call: Call, alice: e4.Client) -> None:
        stranger = e4.Client.create(
            e4.PubIdAndKey(
                crypto.random_id(),
                crypto.random_ed25519_private_key(),
                world.service.keys.c2_public_key(call),
            ),
            e4.MemoryStore(),
            clock=lambda: world.clock() / 1000,
        )
        forged = e4.Client.create(
            e4.PubIdAndKey(
                alice.id, crypto.random_ed25519_private_key(), world.service.keys.c2_public_key(call)
            ),
            e4.MemoryStore(),
            clock=lambda: world.clock() / 1000,
        )
        for client, error in ((stranger, e4.NotAuthentic), (forged, e4.InvalidSignature)):
            world.devices[client.id] = client
            _give_topic(world, client)
            with pytest.raises(error):
                world.service.messages.unprotect_message(call, "t", client.protect_message(b"x" * 80, "t"))

    @pubkey_only
    def test_a_signature_confirms_the_clients_newest_key(
        self, world: World, call: Call, alice: e4.Client
    ) -> None:
        messages = world.service.messages
        before = alice.protect_message(b"before", "t")
        world.service.keys.new_client_key(call, "alice")
        pending = alice.protect_message(b"pending", "t")
        assert messages.unprotect_message(call, "t", pending) == b"pending"
        world.deliver_all()
        keys = world.service.clients.get_client(call, "alice").keys
        assert [key.state.value for key in keys] == ["previous", "current"]
        assert messages.unprotect_message(call, "t", before) == b"before"  # the older key is kept
        assert len(world.service.clients.get_client(call, "alice").keys) == 2
        after = alice.protect_message(b"after", "t")
        for _ in range(2):
            assert messages.unprotect_message(call, "t", after) == b"after"
        assert len(world.service.clients.get_client(call, "alice").keys) == 1
        assert world.audit()[-1] == ("confirm_client_key", "alice", "done")
        assert world.events()[-1] == ("key.client-confirmed", "alice", "2")
        with pytest.raises(e4.InvalidSignature):
            messages.unprotect_message(call, "t", before)


def _give_topic(world: World, client: e4.Client) -> None:
    """The topic's key for a client whose key C2 does not know."""
    public = crypto.public_ed25519_key_to_curve25519(client.public_key())
    with world.store.read() as tx:
        stored = tx.keys.c2_keys()[-1]
    own = world.vault.open_key("c2_keys", stored.version, stored.version, stored.sealed)
    command = commands.set_topic_key(world.topic_key("t"), "t").encode()
    message = crypto.protect_sym_key(
        command, crypto.c2_shared_key(own, public), timestamp=world.clock() // 1000
    )
    client.unprotect(message, client.receiving_topic)
