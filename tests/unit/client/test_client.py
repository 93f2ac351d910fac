"""The client: protocol sections 3 and 4, in both modes and on both backends."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import time

import pytest

import e4
from e4 import commands, crypto
from tests._c2 import C2, DEVICES, T0, Clock, Device, pub_device, sym_device

TOPIC = "plant/boiler/temperature"


@pytest.fixture(params=["symkey", "pubkey"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def device(mode: str, backend_name: str) -> Device:
    return DEVICES[mode](backend=backend_name)


def pair(mode: str, backend_name: str, **options: object) -> tuple[Device, Device, bytes]:
    """Two devices that hold one topic's key and, in PK mode, each other's public key."""
    clock = Clock()
    key = crypto.random_key()
    if mode == "symkey":
        alice, bob = (sym_device(n, backend=backend_name, clock=clock, **options) for n in ("alice", "bob"))
    else:
        c2 = C2()
        keys = {n: crypto.random_ed25519_private_key() for n in ("alice", "bob")}
        alice, bob = (
            pub_device(n, backend=backend_name, clock=clock, c2=c2, private_key=keys[n], **options)
            for n in keys
        )
        alice.send(commands.set_pub_key(crypto.ed25519_public_key(keys["bob"]), "bob"))
        bob.send(commands.set_pub_key(crypto.ed25519_public_key(keys["alice"]), "alice"))
    for device in (alice, bob):
        device.send(commands.set_topic_key(key, TOPIC))
    return alice, bob, key


def test_nothing_is_protected_before_a_key_is_given(device: Device) -> None:
    with pytest.raises(e4.TopicKeyMissing, match="topic key not found"):
        device.client.protect_message(b"21.5", TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        device.client.unprotect(b"", TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        device.client.protect_messages([b"21.5"], TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        device.client.unprotect_messages([b"21.5"], TOPIC)
    assert not device.client.has_topic_key(TOPIC)


@pytest.mark.parametrize("payload", [b"", b"21.5", bytes(range(256)) * 5])
def test_two_clients_talk(mode: str, backend_name: str, payload: bytes) -> None:
    alice, bob, _ = pair(mode, backend_name)
    message = alice.client.protect_message(payload, TOPIC)
    assert len(message) == len(payload) + (24 if mode == "symkey" else 104)
    assert payload not in message or not payload
    assert bob.client.unprotect(message, TOPIC) == payload
    assert bob.client.has_topic_key(TOPIC)
    assert alice.client.mode == mode


def test_any_contiguous_buffer_is_taken(mode: str, backend_name: str) -> None:
    alice, bob, _ = pair(mode, backend_name)
    for buffer in (bytearray(b"21.5"), memoryview(b"21.5")):
        message = alice.client.protect_message(buffer, TOPIC)
        assert bob.client.unprotect(bytearray(message), TOPIC) == b"21.5"
    with pytest.raises(TypeError):
        alice.client.protect_message("21.5", TOPIC)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        alice.client.protect_message(5, TOPIC)  # type: ignore[arg-type]


def test_many_messages_and_one_bad(mode: str, backend_name: str) -> None:
    alice, bob, _ = pair(mode, backend_name)
    payloads = [bytes([i]) * i for i in range(40)]
    messages = alice.client.protect_messages(payloads, TOPIC)
    assert messages == [alice.client.protect_message(p, TOPIC) for p in payloads]
    broken = bytearray(messages[7])
    broken[-1] ^= 1
    messages[7] = bytes(broken)
    messages[9] = b"short"
    opened = bob.client.unprotect_messages(messages, TOPIC)
    assert [o for i, o in enumerate(opened) if i not in (7, 9)] == [
        p for i, p in enumerate(payloads) if i not in (7, 9)
    ]
    assert type(opened[7]) is (e4.NotAuthentic if mode == "symkey" else e4.InvalidSignature)
    assert type(opened[9]) is e4.MalformedMessage


def test_batches_do_not_take_commands(device: Device) -> None:
    with pytest.raises(e4.UnsupportedOperation, match="one at a time"):
        device.client.unprotect_messages([], device.client.receiving_topic)


class TestTimestamps:
    """Checks 3 and 4 of section 3."""

    @pytest.mark.parametrize(
        ("offset", "error"),
        [
            (-601, e4.TimestampTooOld),
            (-600, None),
            (0, None),
            (60, None),
            (61, e4.TimestampInFuture),
            (2**63, e4.TimestampInFuture),
        ],
    )
    def test_application_message(
        self, mode: str, backend_name: str, offset: int, error: type[e4.E4Error] | None
    ) -> None:
        alice, bob, _ = pair(mode, backend_name)
        now = bob.clock.now
        alice.clock.now = now + offset
        message = alice.client.protect_message(b"21.5", TOPIC)
        bob.clock.now = now
        if error is None:
            assert bob.client.unprotect(message, TOPIC) == b"21.5"
        else:
            with pytest.raises(error):
                bob.client.unprotect(message, TOPIC)

    def test_limits_are_parameters(self, mode: str, backend_name: str) -> None:
        alice, bob, _ = pair(mode, backend_name, limits=e4.Limits(max_ahead=0, max_age=5))
        message = alice.client.protect_message(b"21.5", TOPIC)
        bob.clock.now += 5
        assert bob.client.unprotect(message, TOPIC) == b"21.5"
        bob.clock.now += 1
        with pytest.raises(e4.TimestampTooOld):
            bob.client.unprotect(message, TOPIC)
        bob.clock.now -= 7
        with pytest.raises(e4.TimestampInFuture):
            bob.client.unprotect(message, TOPIC)

    @pytest.mark.parametrize("limit", ["max_ahead", "max_age", "max_previous_age"])
    def test_limits_are_checked(self, limit: str) -> None:
        with pytest.raises(e4.errors.InvalidInput, match=limit):
            e4.Limits(**{limit: -1})

    def test_system_clock(self, mode: str, backend_name: str) -> None:
        config: e4.SymIdAndKey | e4.PubIdAndKey
        c2 = C2()
        if mode == "symkey":
            key = crypto.random_key()
            config = e4.SymIdAndKey(bytes(16), key)
        else:
            config = e4.PubIdAndKey(bytes(16), crypto.random_ed25519_private_key(), c2.public_key)
            key = c2.command_key(config.public_key())
        client = e4.Client.create(config, e4.MemoryStore(), backend=backend_name)
        command = commands.set_topic_key(crypto.random_key(), TOPIC).encode()
        assert client.unprotect(crypto.protect_sym_key(command, key), client.receiving_topic) is None
        message = client.protect_message(b"21.5", TOPIC)
        for sent in (message, *client.protect_messages([b"21.5"], TOPIC)):
            assert abs(int.from_bytes(sent[:8], "little") - time.time()) < 5
        if mode == "symkey":
            assert client.unprotect(message, TOPIC) == b"21.5"
        else:
            with pytest.raises(e4.PublicKeyMissing, match="public key not found"):
                client.unprotect(message, TOPIC)


class TestKeyTransition:
    """Section 4, key transition."""

    def test_previous_key_opens_for_an_hour(self, mode: str, backend_name: str) -> None:
        alice, bob, old = pair(mode, backend_name, limits=e4.Limits(max_age=10_000))
        before = alice.client.protect_message(b"before", TOPIC)
        new = crypto.random_key()
        bob.send(commands.set_topic_key(new, TOPIC))
        since = bob.clock.now
        assert bob.client.unprotect(before, TOPIC) == b"before"
        alice.send(commands.set_topic_key(new, TOPIC))
        assert bob.client.unprotect(alice.client.protect_message(b"after", TOPIC), TOPIC) == b"after"
        bob.clock.now = since + 3600
        assert bob.client.unprotect(before, TOPIC) == b"before"
        assert bob.client.unprotect_messages([before], TOPIC) == [b"before"]
        assert previous_key_in(bob, old)
        bob.clock.now = since + 3601
        with pytest.raises(e4.NotAuthentic):
            bob.client.unprotect(before, TOPIC)
        assert not previous_key_in(bob, old), "an expired key is deleted, not merely ignored"

    def test_the_same_key_again_changes_nothing(self, mode: str, backend_name: str) -> None:
        _, bob, first = pair(mode, backend_name)
        second = crypto.random_key()
        bob.send(commands.set_topic_key(second, TOPIC))
        before = topic_keys(bob)
        bob.send(commands.set_topic_key(second, TOPIC))
        assert topic_keys(bob) == before
        assert previous_key_in(bob, first)

    def test_only_one_previous_key_is_kept(self, mode: str, backend_name: str) -> None:
        alice, bob, first = pair(mode, backend_name)
        message = alice.client.protect_message(b"first", TOPIC)
        bob.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        bob.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        with pytest.raises(e4.NotAuthentic):
            bob.client.unprotect(message, TOPIC)
        assert not previous_key_in(bob, first)

    def test_expired_key_goes_at_the_next_load(self, mode: str, backend_name: str) -> None:
        _, bob, old = pair(mode, backend_name)
        bob.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        bob.clock.now += 3601
        e4.Client.load(bob.store, clock=bob.clock, backend=backend_name)
        assert not previous_key_in(bob, old)

    def test_a_store_that_fails_does_not_stop_messages(
        self, mode: str, backend_name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice, bob, old = pair(mode, backend_name)
        new = crypto.random_key()
        for device in (alice, bob):
            device.send(commands.set_topic_key(new, TOPIC))
        alice.clock.now += 3602
        message = alice.client.protect_message(b"21.5", TOPIC)
        with monkeypatch.context() as patch:
            patch.setattr(bob.store, "write", failing_write)
            assert bob.client.unprotect(message, TOPIC) == b"21.5"
        assert previous_key_in(bob, old)
        bob.clock.now += 61
        assert bob.client.unprotect(message, TOPIC) == b"21.5"
        assert not previous_key_in(bob, old), "tried again after a minute"


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


class TestHygiene:
    def test_a_client_is_not_copied(self, device: Device) -> None:
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="load it from its store"):
                attempt(device.client)

    def test_no_secret_is_shown(self, mode: str, backend_name: str) -> None:
        key, private = crypto.random_key(), crypto.random_ed25519_private_key()
        c2 = C2()
        config: e4.SymIdAndKey | e4.PubIdAndKey
        if mode == "symkey":
            config = e4.SymIdAndKey(crypto.hash_id_alias("alice"), key)
        else:
            config = e4.PubIdAndKey(crypto.hash_id_alias("alice"), private, c2.public_key)
        store = e4.MemoryStore()
        client = e4.Client.create(config, store, backend=backend_name)
        topic_key = crypto.random_key()
        shown = [repr(x) for x in (config, store, client, commands.set_topic_key(topic_key, TOPIC))]
        shown += [
            repr(commands.set_id_key(key)),
            repr(e4.SymNameAndPassword("alice", "a-secret-of-16-bytes")),
        ]
        shown += [repr(client._view.state), repr(client._view.state.material), str(client)]
        for text in shown:
            for secret in (key, private, topic_key):
                assert secret.hex() not in text
                assert repr(secret) not in text
            assert "a-secret" not in text
        assert crypto.hash_id_alias("alice").hex() in repr(client)

    def test_closed_clients_take_no_commands(self, device: Device) -> None:
        device.send(commands.set_topic_key(crypto.random_key(), TOPIC))
        with device.client:
            pass
        assert device.client.protect_message(b"x", TOPIC)
        device.clock.now += 1
        with pytest.raises(e4.StoreError, match="closed"):
            device.client.unprotect(device.command(commands.reset_topics()), device.client.receiving_topic)
        assert device.client.has_topic_key(TOPIC)

    @pytest.mark.parametrize("topic", ["", "a/+/b", "a/#", "nul\0", "x" * 65536, "\ud800"])
    def test_topics_are_names(self, device: Device, topic: str) -> None:
        for call in (
            lambda: device.client.protect_message(b"", topic),
            lambda: device.client.unprotect(b"", topic),
            lambda: device.client.has_topic_key(topic),
        ):
            with pytest.raises(e4.InvalidTopic):
                call()


def refused(device: Device, command: commands.Command | bytes, error: type[e4.E4Error]) -> None:
    """The command is refused by that very class, and nothing of the client changes."""
    device.clock.now += 1
    before, view = device.state(), device.client._view
    with pytest.raises(error) as caught:
        device.client.unprotect(device.command(command), device.client.receiving_topic)
    assert caught.type is error
    assert device.state() == before
    assert device.client._view is view


def topic_keys(device: Device) -> object:
    return json.loads(device.state())["TopicKeys"]


def previous_key_in(device: Device, key: bytes) -> bool:
    values = json.loads(device.state())["TopicKeys"].values()
    return any(base64.b64decode(v)[:32] == key for v in values)


def failing_write(state: bytes) -> None:
    raise e4.StoreError("no space left")
