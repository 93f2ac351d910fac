"""Commands applied by a client: effects, refusals and replays (protocol, section 4), in both modes."""

from __future__ import annotations

import pytest

import e4
from e4 import commands, crypto
from tests._c2 import (
    C2,
    DEVICES,
    T0,
    TOPIC,
    Clock,
    Device,
    failing_write,
    pair,
    pub_device,
    sym_device,
    topic_keys,
)


@pytest.fixture(params=["symkey", "pubkey"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def device(mode: str, backend_name: str) -> Device:
    return DEVICES[mode](backend=backend_name)


class TestCommands:
    """Section 4, effects of each command."""

    def test_remove_topic_forgets_current_and_previous_key(self, mode: str, backend_name: str) -> None:
        alice, bob, _ = pair(mode, backend_name)
        message = alice.client.protect_message(b"21.5", TOPIC)
        bob.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        bob.send(commands.remove_topic(TOPIC))
        with pytest.raises(e4.TopicKeyMissing):
            bob.client.unprotect(message, TOPIC)
        assert topic_keys(bob) == {}
        bob.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        with pytest.raises(e4.NotAuthentic):
            bob.client.unprotect(message, TOPIC)
        bob.send(commands.remove_topic("never/heard/of"))  # unknown topic: no error

    def test_reset_topics(self, device: Device) -> None:
        for topic in ("a", "b"):
            device.send(commands.set_topic_key(crypto.random_key(), topic))
        device.client.protect_message(b"", "a")
        device.send(commands.reset_topics())
        for topic in ("a", "b"):
            with pytest.raises(e4.TopicKeyMissing):
                device.client.protect_message(b"", topic)

    def test_other_topics_keep_their_contexts(self, device: Device) -> None:
        for topic in ("a", "b"):
            device.send(commands.set_topic_key(crypto.random_key(), topic))
        before = device.client.protect_message(b"x", "a")[8:]
        device.send(commands.remove_topic("b"))
        device.clock.now -= 1
        assert device.client.protect_message(b"x", "a")[8:] == before

    def test_set_id_key_sym(self, backend_name: str) -> None:
        device = sym_device(backend=backend_name)
        with pytest.raises(e4.UnsupportedOperation):
            device.client.public_key()
        old, new = device.key, crypto.random_key()
        device.send(commands.set_id_key(new))
        with pytest.raises(e4.NotAuthentic):
            device.send(commands.reset_topics())
        device.key = new
        device.send(commands.reset_topics())
        loaded = e4.Client.load(device.store, clock=device.clock, backend=backend_name)
        device.clock.now += 1
        assert loaded.unprotect(device.command(commands.reset_topics()), loaded.receiving_topic) is None
        assert old != new

    def test_set_id_key_pub(self, backend_name: str) -> None:
        c2 = C2()
        device = pub_device(backend=backend_name, c2=c2)
        other = pub_device("bob", backend=backend_name, c2=c2, clock=device.clock)
        new = crypto.random_ed25519_private_key()
        device.send(commands.set_id_key(new))
        assert device.client.public_key() == crypto.ed25519_public_key(new)
        device.key = c2.command_key(crypto.ed25519_public_key(new))
        key = crypto.random_key()
        for d in (device, other):
            d.send(commands.set_topic_key(key, TOPIC))
        other.send(commands.set_pub_key(crypto.ed25519_public_key(new), "alice"))
        message = device.client.protect_message(b"21.5", TOPIC)
        assert other.client.unprotect(message, TOPIC) == b"21.5"

    def test_public_keys_come_and_go(self, backend_name: str) -> None:
        alice, bob, _ = pair("pubkey", backend_name)
        message = alice.client.protect_message(b"21.5", TOPIC)
        assert bob.client.unprotect(message, TOPIC) == b"21.5"
        bob.send(commands.remove_pub_key("alice"))
        with pytest.raises(e4.PublicKeyMissing):
            bob.client.unprotect(message, TOPIC)
        bob.clock.now += 1
        with pytest.raises(e4.PublicKeyMissing):
            bob.client.unprotect(bob.command(commands.remove_pub_key("alice")), bob.client.receiving_topic)
        alice_public = crypto.ed25519_public_key(crypto.random_ed25519_private_key())
        bob.send(commands.set_pub_key(alice_public, crypto.hash_id_alias("alice")))
        with pytest.raises(e4.InvalidSignature):
            bob.client.unprotect(message, TOPIC)
        bob.send(commands.reset_pub_keys())
        with pytest.raises(e4.PublicKeyMissing):
            bob.client.unprotect(message, TOPIC)

    def test_set_c2_key(self, backend_name: str) -> None:
        private_key = crypto.random_ed25519_private_key()
        old, new = C2(), C2()
        device = pub_device(backend=backend_name, c2=old, private_key=private_key)
        device.send(commands.set_c2_key(new.public_key))
        with pytest.raises(e4.NotAuthentic):
            device.send(commands.reset_topics())
        device.key = new.command_key(crypto.ed25519_public_key(private_key))
        device.send(commands.reset_topics())

    @pytest.mark.parametrize(
        "command",
        [
            commands.RemovePubKey(bytes(16)),
            commands.ResetPubKeys(),
            commands.SetPubKey(crypto.ed25519_public_key(crypto.random_ed25519_private_key()), bytes(16)),
            commands.SetC2Key(C2().public_key),
        ],
        ids=lambda c: type(c).__name__,
    )
    def test_pk_commands_are_not_for_sk_clients(self, backend_name: str, command: commands.Command) -> None:
        device = sym_device(backend=backend_name)
        refused(device, command, e4.UnsupportedOperation)

    LOW_ORDER = bytes([1]) + bytes(31)  # of order 1 as an Ed25519 point, of order 4 as an X25519 coordinate

    @pytest.mark.parametrize(
        ("mode", "command", "error"),
        [
            ("symkey", commands.SetTopicKey(bytes(32), bytes(16)), e4.InvalidKey),
            ("pubkey", commands.SetTopicKey(bytes(32), bytes(16)), e4.InvalidKey),
            ("symkey", commands.SetIdKey(bytes(32)), e4.InvalidKey),
            ("symkey", commands.SetIdKey(crypto.random_ed25519_private_key()), e4.InvalidCommand),
            ("pubkey", commands.SetIdKey(bytes([1]) * 32), e4.InvalidCommand),
            ("pubkey", commands.SetIdKey(bytes([1]) * 64), e4.InvalidKey),
            ("pubkey", commands.SetPubKey(LOW_ORDER, bytes(16)), e4.InvalidKey),
            ("pubkey", commands.SetPubKey(bytes([2]) + bytes(31), bytes(16)), e4.InvalidKey),
            ("pubkey", commands.SetC2Key(bytes(32)), e4.InvalidKey),
            ("pubkey", commands.SetC2Key(LOW_ORDER), e4.InvalidKey),
            ("symkey", b"", e4.InvalidCommand),
            ("symkey", b"\x08", e4.InvalidCommand),
            ("pubkey", b"\x01\x00", e4.InvalidCommand),
            ("pubkey", b"\x03" + bytes(47), e4.InvalidCommand),
        ],
    )
    def test_refused_commands_leave_no_trace(
        self, backend_name: str, mode: str, command: commands.Command | bytes, error: type[e4.E4Error]
    ) -> None:
        device = DEVICES[mode](backend=backend_name)
        device.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        refused(device, command, error)

    def test_a_command_that_cannot_be_saved_is_not_applied(
        self, device: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = commands.set_topic_key(crypto.random_key(), TOPIC)
        device.clock.now += 1
        with monkeypatch.context() as patch:
            patch.setattr(device.store, "write", failing_write)
            with pytest.raises(e4.StoreError):
                device.client.unprotect(device.command(command), device.client.receiving_topic)
        assert not device.client.has_topic_key(TOPIC)
        # The same bytes are not taken for a replay afterwards: they were never applied.
        assert device.client.unprotect(device.command(command), device.client.receiving_topic) is None
        assert device.client.has_topic_key(TOPIC)

    def test_receiving_topic_of_ones_own(self, backend_name: str) -> None:
        key = crypto.random_key()
        client = e4.Client.create(
            e4.SymIdAndKey(bytes(16), key), e4.MemoryStore(), "fleet/7/commands", clock=Clock()
        )
        assert client.receiving_topic == "fleet/7/commands"
        assert client.is_receiving_topic("fleet/7/commands")
        assert not client.is_receiving_topic(crypto.topic_for_id(client.id))
        command = commands.set_topic_key(crypto.random_key(), "fleet/7/commands").encode()
        for timestamp in (T0, T0 + 1):  # a key for the receiving topic itself does not hide the commands
            message = crypto.protect_sym_key(command, key, timestamp=timestamp)
            assert client.unprotect(message, "fleet/7/commands") is None
            assert client.protect_message(b"x", "fleet/7/commands")


class TestReplay:
    """Section 4, replay of commands."""

    def test_an_old_key_cannot_be_rolled_back(self, device: Device) -> None:
        first = device.command(commands.set_topic_key(crypto.random_key(), TOPIC), T0)
        second = device.command(commands.set_topic_key(crypto.random_key(), TOPIC), T0 + 1)
        device.clock.now = T0 + 2
        topic = device.client.receiving_topic
        for command in (first, second):
            assert device.client.unprotect(command, topic) is None
        before = device.state()
        for command in (first, second):
            with pytest.raises(e4.ReplayedCommand):
                device.client.unprotect(command, topic)
        assert device.state() == before

    def test_different_commands_of_one_second_are_all_applied(self, device: Device) -> None:
        sent = [device.command(commands.set_topic_key(crypto.random_key(), t)) for t in ("a", "b", "c")]
        for command in sent:
            assert device.client.unprotect(command, device.client.receiving_topic) is None
        for command in sent:
            with pytest.raises(e4.ReplayedCommand):
                device.client.unprotect(command, device.client.receiving_topic)

    def test_the_memory_of_commands_outlives_the_process(self, device: Device, backend_name: str) -> None:
        command = device.command(commands.reset_topics())
        topic = device.client.receiving_topic
        assert device.client.unprotect(command, topic) is None
        loaded = e4.Client.load(device.store, clock=device.clock, backend=backend_name)
        with pytest.raises(e4.ReplayedCommand):
            loaded.unprotect(command, topic)

    def test_an_unauthentic_command_is_not_a_replay(self, device: Device) -> None:
        forged = device.clock.now.to_bytes(8, "little") + bytes(20)
        with pytest.raises(e4.NotAuthentic):
            device.client.unprotect(forged, device.client.receiving_topic)
        device.send(commands.reset_topics())


def refused(device: Device, command: commands.Command | bytes, error: type[e4.E4Error]) -> None:
    """The command is refused by that very class, and nothing of the client changes."""
    device.clock.now += 1
    before, view = device.state(), device.client._view
    with pytest.raises(error) as caught:
        device.client.unprotect(device.command(command), device.client.receiving_topic)
    assert caught.type is error
    assert device.state() == before
    assert device.client._view is view
