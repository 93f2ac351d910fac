"""What becomes of one message, without a broker."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import e4
from e4 import commands, crypto
from e4.client import Client
from e4.mqtt import ClearTopics, CommandApplied, Message, Refused
from e4.mqtt._gate import Gate
from tests._c2 import DEVICES, Device, sym_device

TOPIC = "plant/1"
EVERYTHING = ClearTopics(incoming=["#"], outgoing=["#"])


@pytest.fixture(params=sorted(DEVICES))
def device(request: pytest.FixtureRequest) -> Device:
    return DEVICES[request.param]()


def key_for(topic: str) -> commands.SetTopicKey:
    return commands.set_topic_key(crypto.random_key(), topic)


def test_a_message_on_a_topic_with_a_key_is_protected_and_opened() -> None:
    device = sym_device()
    device.send(key_for(TOPIC))
    gate = Gate(device.client, ClearTopics())
    gate.check(TOPIC)
    sealed, protected = gate.seal(TOPIC, b"payload")
    assert protected
    assert gate.open(TOPIC, sealed, 1, True) == Message(TOPIC, b"payload", 1, True, True)


def test_without_a_key_nothing_passes_by_default(device: Device) -> None:
    gate = Gate(device.client, ClearTopics())
    with pytest.raises(e4.TopicKeyMissing):
        gate.check(TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        gate.seal(TOPIC, b"payload")
    outcome = gate.open(TOPIC, b"payload", 2, False)
    assert isinstance(outcome, Refused)
    assert (outcome.topic, outcome.payload, outcome.qos, outcome.retain) == (TOPIC, b"payload", 2, False)
    assert type(outcome.reason) is e4.TopicKeyMissing


def test_named_topics_pass_in_their_direction_only() -> None:
    gate = Gate(sym_device().client, ClearTopics(incoming=["in/#"], outgoing=["out/+"]))
    assert gate.seal("out/a", b"x") == (b"x", False)
    assert gate.open("in/a/b", b"x", 0, False) == Message("in/a/b", b"x", 0, False, False)
    assert isinstance(gate.open("out/a", b"x", 0, False), Refused)
    with pytest.raises(e4.TopicKeyMissing):
        gate.seal("in/a", b"x")


def test_what_does_not_verify_is_never_delivered_in_clear(device: Device) -> None:
    gate = Gate(device.client, EVERYTHING)
    device.send(key_for(TOPIC))
    outcome = gate.open(TOPIC, b"in clear", 0, False)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.reason, e4.MalformedMessage)


@pytest.mark.parametrize("known_at", ["before", "after"])
@pytest.mark.parametrize("removal", [commands.remove_topic(TOPIC), commands.reset_topics()])
def test_a_topic_that_had_a_key_never_passes_in_clear_again(
    device: Device, known_at: str, removal: commands.Command
) -> None:
    """Also when no message was ever seen on it."""
    if known_at == "before":
        device.send(key_for(TOPIC))
    gate = Gate(device.client, EVERYTHING)
    if known_at == "after":
        device.clock.now += 1
        own = device.client.receiving_topic
        assert gate.open(own, device.command(key_for(TOPIC)), 2, True) == CommandApplied(own, True)
    device.send(removal)
    with pytest.raises(e4.TopicKeyMissing):
        gate.check(TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        gate.seal(TOPIC, b"secret")
    assert isinstance(gate.open(TOPIC, b"x", 0, False), Refused)
    assert gate.seal("another", b"x") == (b"x", False)


def test_a_key_removed_between_check_and_use_leads_to_refusal(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.send(key_for(TOPIC))
    gate = Gate(device.client, EVERYTHING)
    protect: Callable[..., bytes] = Client.protect_message

    def removed_just_before(self: Client, payload: bytes, topic: str) -> bytes:
        device.send(commands.remove_topic(TOPIC))
        return protect(self, payload, topic)

    monkeypatch.setattr(Client, "protect_message", removed_just_before)
    gate.check(TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        gate.seal(TOPIC, b"secret")


def test_a_key_that_arrives_between_check_and_use_leads_to_refusal(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clear message would be the last of its kind; that it is refused harms nobody."""
    gate = Gate(device.client, EVERYTHING)
    protect: Callable[..., bytes] = Client.protect_message

    def arrives_just_after(self: Client, payload: bytes, topic: str) -> bytes:
        try:
            return protect(self, payload, topic)
        finally:
            device.send(key_for(TOPIC))

    monkeypatch.setattr(Client, "protect_message", arrives_just_after)
    gate.check(TOPIC)
    with pytest.raises(e4.TopicKeyMissing):
        gate.seal(TOPIC, b"was allowed a moment ago")


def test_keys_that_come_and_go_on_another_thread_never_let_a_message_out_in_clear(device: Device) -> None:
    gate = Gate(device.client, EVERYTHING)
    own = device.client.receiving_topic
    had_key, done = threading.Event(), threading.Event()
    leaked: list[bytes] = []

    def publish() -> None:
        while not done.is_set():
            late = had_key.is_set()
            try:
                sealed, protected = gate.seal(TOPIC, b"payload")
            except e4.TopicKeyMissing:
                continue
            if late and not protected:
                leaked.append(sealed)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(150):
        device.clock.now += 1
        command = commands.remove_topic(TOPIC) if n % 2 else key_for(TOPIC)
        assert isinstance(gate.open(own, device.command(command), 2, True), CommandApplied)
        had_key.set()
    done.set()
    for thread in threads:
        thread.join()
    assert leaked == []


def test_the_receiving_topic_never_passes_in_clear(device: Device) -> None:
    gate = Gate(device.client, EVERYTHING)
    own = device.client.receiving_topic
    assert gate.is_own(own)
    with pytest.raises(e4.TopicKeyMissing):
        gate.check(own)
    with pytest.raises(e4.TopicKeyMissing):
        gate.seal(own, b"x")
    outcome = gate.open(own, b"in clear", 2, True)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.reason, e4.MalformedMessage)


def test_commands_that_come_again_are_no_refusals(device: Device) -> None:
    gate = Gate(device.client, ClearTopics())
    own = device.client.receiving_topic
    old = device.command(key_for("old"))
    device.clock.now += 1
    command = device.command(key_for(TOPIC))
    assert gate.open(own, command, 2, True) == CommandApplied(own, True)
    for message in (command, old):
        assert gate.open(own, message, 2, True) is None
        assert gate.open(own, message, 2, False) is None
    device.clock.now += 1000
    assert gate.open(own, command, 2, True) is None  # retained, and too old by now
    missed = gate.open(own, command, 2, False)  # kept in a session for too long: a command is lost
    assert isinstance(missed, Refused)
    assert isinstance(missed.reason, e4.TimestampTooOld)


def test_the_retained_command_that_changed_the_clients_key_is_no_refusal() -> None:
    device = sym_device()
    gate = Gate(device.client, ClearTopics())
    own = device.client.receiving_topic
    command = device.command(commands.set_id_key(crypto.random_key()))
    assert isinstance(gate.open(own, command, 2, True), CommandApplied)
    assert gate.open(own, command, 2, True) is None
    forged = command[:-1] + bytes([command[-1] ^ 1])
    assert isinstance(gate.open(own, forged, 2, True), Refused)


def test_other_errors_of_commands_are_refusals(device: Device) -> None:
    gate = Gate(device.client, ClearTopics())
    own = device.client.receiving_topic
    for data, error in ((b"\xff", e4.InvalidCommand), (b"\x03" + bytes(48), e4.InvalidKey)):
        outcome = gate.open(own, device.command(data), 2, True)
        assert isinstance(outcome, Refused)
        assert isinstance(outcome.reason, error)


def test_a_store_that_cannot_be_written_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    device = sym_device()
    gate = Gate(device.client, ClearTopics())

    def full(state: bytes) -> None:
        raise e4.StoreError("disk full")

    monkeypatch.setattr(device.store, "write", full)
    outcome = gate.open(device.client.receiving_topic, device.command(key_for(TOPIC)), 2, True)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.reason, e4.StoreError)


@settings(max_examples=200)
@given(
    st.one_of(st.just("e4/x"), st.sampled_from([TOPIC, "", "a+b", "\0"]), st.text(max_size=8)),
    st.binary(max_size=200),
)
def test_anything_at_all_may_come(topic: str, payload: bytes) -> None:
    for device in (d() for d in DEVICES.values()):
        device.send(key_for(TOPIC))
        for policy in (ClearTopics(), EVERYTHING):
            outcome = Gate(device.client, policy).open(topic, payload, 0, False)
            if topic == TOPIC or policy is not EVERYTHING:
                assert isinstance(outcome, Refused)
            else:
                assert isinstance(outcome, Message | Refused)


def test_payloads_stay_out_of_reprs() -> None:
    for thing in (
        Message("t", b"hush-hush", 0, False, True),
        Refused("t", b"hush-hush", 0, False, e4.NotAuthentic()),
    ):
        assert "hush" not in repr(thing)
