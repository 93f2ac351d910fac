"""The client: protocol sections 3 and 4, in both modes and on both backends."""

from __future__ import annotations

import base64
import copy
import pickle
import time

import pytest

import e4
from e4 import commands, crypto
from tests._c2 import C2, DEVICES, TOPIC, Device, failing_write, pair, previous_key_in, topic_keys


@pytest.fixture(params=["symkey", "pubkey"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def device(mode: str, backend_name: str) -> Device:
    return DEVICES[mode](backend=backend_name)


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

    def test_no_secret_is_logged_or_in_an_error(
        self, mode: str, backend_name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level("DEBUG")
        alice, bob, key = pair(mode, backend_name)
        new, payload = crypto.random_key(), b"a payload that is nobody's business"
        bob.send(commands.set_topic_key(new, TOPIC))
        message = alice.client.protect_message(payload, TOPIC)
        texts = []

        def refused(message: bytes, topic: str) -> None:
            with pytest.raises(e4.E4Error) as caught:
                bob.client.unprotect(message, topic)
            texts.extend([str(caught.value), repr(caught.value), *map(str, caught.value.args)])

        refused(message[:-1], TOPIC)
        refused(message, "another")
        for command in (key, payload, b"\3" + key, b"\2" + bytes(32), b"\7" + bytes(32)):
            bob.clock.now += 1
            refused(bob.command(command), bob.client.receiving_topic)
        bob.clock.now += 3602
        with monkeypatch.context() as patch:
            patch.setattr(bob.store, "write", failing_write)
            refused(message, TOPIC)  # also logs that an expired key is still in the store
        assert "still in the store" in caplog.text
        for secret in (key, new, bob.key, payload):
            for text in (caplog.text, *texts):
                assert secret.hex() not in text
                assert repr(secret)[2:-1] not in text
                assert base64.b64encode(secret).decode() not in text

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
