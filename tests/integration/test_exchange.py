"""Keys by command, then messages: what arrives, what is refused, and what passes in clear."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

import e4
from e4 import commands, crypto
from e4.mqtt import ClearTopics, SecureClient
from tests._broker import Brokers, until
from tests._c2 import sym_device
from tests.integration._peers import TOPIC, Peers, Plain, pair

pytestmark = pytest.mark.mosquitto

MakePlain = Callable[..., Plain]


def test_keys_by_command_then_messages_that_others_cannot_read(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, version: str, mode: str
) -> None:
    broker = mosquitto()
    devices = pair(mode, keys=False)
    c2 = plain(broker, version=version)
    wire = plain(broker, TOPIC)
    alice, bob = (peers(d, broker, version=version).connect() for d in devices)
    eve = peers(sym_device("eve", clock=devices[0].clock), broker, version=version).connect()
    bob.subscribe("plant/+/temperature")
    eve.subscribe("#")
    with pytest.raises(e4.TopicKeyMissing):
        alice.publish(TOPIC, b"21.5")

    key = crypto.random_key()
    for peer in (alice, bob):
        c2.command(peer.device, commands.set_topic_key(key, TOPIC))
        until(lambda peer=peer: peer.events.applied, what="command applied")
    for qos in (0, 1, 2):
        alice.publish(TOPIC, b"21.%d" % qos, qos=qos)(10)
    alice.publish(TOPIC, "ünïcode")(10)
    alice.publish(TOPIC, b"")(10)
    blob = os.urandom(1 << 16)
    alice.publish(TOPIC, bytearray(blob))(10)

    sent = [b"21.0", b"21.1", b"21.2", "ünïcode".encode(), b"", blob]
    until(lambda: len(bob.events.messages) == 6, what="bob has six messages")
    assert sorted(bob.events.payloads) == sorted(sent)
    message = bob.events.messages[0]
    assert (message.topic, message.retain, message.protected) == (TOPIC, False, True)
    until(lambda: len([r for r in eve.events.refused if r.topic == TOPIC]) == 6, what="eve is refused six")
    assert eve.events.messages == []
    assert {type(r.reason) for r in eve.events.refused if r.topic == TOPIC} == {e4.TopicKeyMissing}
    until(lambda: len(wire.seen) == 6, what="six on the wire")
    overhead = 24 if mode == "symkey" else 104
    assert sorted(len(m.payload) - overhead for m in wire.seen) == sorted(map(len, sent))
    assert not any(text in m.payload for m in wire.seen for text in (b"21.", "ünïcode".encode(), blob[:16]))
    assert alice.events.errors == bob.events.errors == []


def test_what_does_not_verify_is_refused_and_nothing_else(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, version: str, mode: str
) -> None:
    broker = mosquitto()
    alice, bob = pair(mode)
    receiver = peers(bob, broker, version=version, clear=ClearTopics(incoming=["#"])).connect()
    receiver.subscribe("#")
    attacker = plain(broker)
    old = alice.client.protect_message(b"old", TOPIC)
    alice.clock.now += 1000
    good = alice.client.protect_message(b"after", TOPIC)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    now = alice.clock.now.to_bytes(8, "little")
    for payload in (b"", b"in clear", forged, old, now + os.urandom(300)):
        attacker.publish(TOPIC, payload)
    attacker.publish(bob.client.receiving_topic, now + os.urandom(57))
    attacker.publish(TOPIC, good)
    until(lambda: receiver.events.messages and len(receiver.events.refused) == 6, what="one and six")
    assert receiver.events.payloads == [b"after"]
    assert receiver.events.applied == []
    on_topic = [r for r in receiver.events.refused if r.topic == TOPIC]
    assert [type(r.reason) for r in on_topic] == [
        e4.MalformedMessage,
        e4.MalformedMessage,
        e4.NotAuthentic if mode == "symkey" else e4.InvalidSignature,
        e4.TimestampTooOld,
        e4.NotAuthentic if mode == "symkey" else e4.PublicKeyMissing,
    ]
    assert on_topic[1].payload == b"in clear"
    command = next(r for r in receiver.events.refused if r.topic != TOPIC)
    assert isinstance(command.reason, e4.NotAuthentic)
    assert receiver.connected()


def test_a_signer_who_is_not_known_is_refused(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto()
    alice, bob = pair("pubkey")
    receiver, sender = peers(bob, broker).connect(), peers(alice, broker).connect()
    receiver.subscribe(TOPIC)
    bob.send(commands.reset_pub_keys())
    sender.publish(TOPIC, b"x")(10)
    until(lambda: receiver.events.refused, what="refused")
    assert receiver.events.reasons == [e4.PublicKeyMissing]
    assert receiver.events.messages == []


def test_topics_without_a_key_pass_in_clear_only_where_named(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, version: str
) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    clear = ClearTopics(incoming=["status/#"], outgoing=["status/+"])
    sender = peers(alice, broker, version=version, clear=clear).connect()
    receiver = peers(bob, broker, version=version, clear=clear).connect()
    wire = plain(broker, "#")
    receiver.subscribe("#")
    sender.publish("status/alice", b"up")(10)
    with pytest.raises(e4.TopicKeyMissing):
        sender.publish("status/alice/deep", b"up")
    with pytest.raises(e4.TopicKeyMissing):
        sender.publish("other", b"up")
    wire.publish("status/a/b", b"in")
    wire.publish("other", b"no")
    until(lambda: len(receiver.events.messages) == 2 and receiver.events.refused, what="two and one")
    assert [(m.topic, m.payload, m.protected) for m in receiver.events.messages] == [
        ("status/alice", b"up", False),
        ("status/a/b", b"in", False),
    ]
    assert [(r.topic, r.payload) for r in receiver.events.refused] == [("other", b"no")]
    assert [m.payload for m in wire.seen if m.topic == "status/alice"] == [b"up"]


def test_a_key_beats_the_policy_and_its_removal_does_not_open_the_topic(
    mosquitto: Brokers, peers: Peers, plain: MakePlain
) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey", keys=False)
    everything = ClearTopics(incoming=["#"], outgoing=["#"])
    sender = peers(alice, broker, clear=everything).connect()
    receiver = peers(bob, broker, clear=everything).connect()
    c2, wire = plain(broker), plain(broker, TOPIC)
    receiver.subscribe(TOPIC)
    sender.publish(TOPIC, b"before any key")(10)
    until(lambda: receiver.events.payloads == [b"before any key"], what="clear message")
    key = crypto.random_key()
    for peer in (sender, receiver):
        c2.command(peer.device, commands.set_topic_key(key, TOPIC))
        until(lambda peer=peer: peer.events.applied, what="key")
    wire.publish(TOPIC, b"still clear")
    until(lambda: receiver.events.refused, what="clear message refused")
    sender.publish(TOPIC, b"protected now")(10)
    until(lambda: len(receiver.events.messages) == 2, what="protected message")
    assert receiver.events.messages[1].protected

    for peer in (sender, receiver):
        c2.command(peer.device, commands.remove_topic(TOPIC))
        until(lambda peer=peer: len(peer.events.applied) == 2, what="key removed")
    with pytest.raises(e4.TopicKeyMissing):
        sender.publish(TOPIC, b"must not leave")
    wire.publish(TOPIC, b"must not enter")
    until(lambda: len(receiver.events.refused) == 2, what="refused")
    assert receiver.events.reasons[1] is e4.TopicKeyMissing
    assert not any(b"must not leave" in m.payload for m in wire.seen)
    with pytest.raises(e4.TopicKeyMissing):
        sender.publish(alice.client.receiving_topic, b"never in clear")


def test_a_callback_that_raises_ends_nothing(
    mosquitto: Brokers, peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    seen: list[bytes] = []

    def on_message(message: object) -> None:
        seen.append(message.payload)  # type: ignore[attr-defined]
        raise RuntimeError("the user's mistake")

    receiver = peers(bob, broker, on_message=on_message).connect()
    receiver.subscribe(TOPIC)
    sender = peers(alice, broker).connect()
    for payload in (b"one", b"two"):
        sender.publish(TOPIC, payload, qos=2)(10)
    until(lambda: len(seen) == 2, what="both")
    assert seen == [b"one", b"two"]
    assert "a callback has failed" in caplog.text
    assert receiver.connected()
    assert not receiver.events.lost


def test_a_callback_may_publish_and_subscribe_but_not_wait(mosquitto: Brokers) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    errors: list[BaseException] = []
    answered = threading.Event()

    def on_connect() -> None:
        echo.subscribe(TOPIC)

    def on_message(message: object) -> None:
        if message.payload == b"ping":  # type: ignore[attr-defined]
            publication = echo.publish(TOPIC, b"pong")
            for wait in (publication.wait, lambda: echo.wait_connected(1)):
                try:
                    wait()
                except e4.MqttError as error:
                    errors.append(error)
        else:
            answered.set()

    echo = SecureClient(
        bob.client, broker.host, broker.port, on_connect=on_connect, on_message=on_message, min_delay=0.05
    )
    with echo, SecureClient(alice.client, broker.host, broker.port) as sender:
        echo.publish(TOPIC, b"ping").wait(10)  # its own subscription was asked for in on_connect
        sender.publish(TOPIC, b"ping").wait(10)
        assert answered.wait(10)
        until(lambda: errors, what="an error")
    assert "callback cannot wait" in str(errors[0])


def test_many_threads_publish_at_once(mosquitto: Brokers) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    seen: list[bytes] = []
    with (
        SecureClient(
            bob.client, broker.host, broker.port, on_message=lambda m: seen.append(m.payload)
        ) as receiver,
        SecureClient(alice.client, broker.host, broker.port) as sender,
    ):  # fmt: skip
        receiver.subscribe(TOPIC, qos=2)

        def publish(name: int) -> None:
            for n in range(100):
                sender.publish(TOPIC, b"%d-%d" % (name, n), qos=n % 3)

        threads = [threading.Thread(target=publish, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(seen) == 400, what="all have arrived")
    assert len(set(seen)) == 400


def test_unsubscribe(mosquitto: Brokers, peers: Peers, version: str) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    sender, receiver = peers(alice, broker).connect(), peers(bob, broker, version=version).connect()
    receiver.subscribe(TOPIC)
    sender.publish(TOPIC, b"1")(10)
    until(lambda: receiver.events.messages, what="first")
    receiver.unsubscribe(TOPIC)
    sender.publish(TOPIC, b"2")(10)
    receiver.subscribe(TOPIC)
    sender.publish(TOPIC, b"3")(10)
    until(lambda: len(receiver.events.messages) == 2, what="third")
    assert receiver.events.payloads == [b"1", b"3"]
    with pytest.raises(e4.InvalidTopic):
        receiver.unsubscribe(bob.client.receiving_topic)
    for bad in ("", "a/#/b", "a+", "$share/x", "a\0"):
        with pytest.raises(e4.InvalidTopic):
            receiver.subscribe(bad)


def test_a_retained_message_reaches_a_later_subscriber(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    peers(alice, broker).connect().publish(TOPIC, b"kept", retain=True)(10)
    receiver = peers(bob, broker).connect()
    receiver.subscribe(TOPIC)
    until(lambda: receiver.events.messages, what="retained")
    message = receiver.events.messages[0]
    assert (message.payload, message.retain) == (b"kept", True)


def test_wrong_arguments_are_named(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto()
    alice, _ = pair("symkey")
    peer = peers(alice, broker).connect()
    with pytest.raises(e4.InvalidTopic):
        peer.publish("plant/+", b"x")
    with pytest.raises(e4.InvalidInput):
        peer.publish(TOPIC, b"x", qos=3)
    with pytest.raises(e4.InvalidInput):
        peer.publish(TOPIC, "\ud800")
    with pytest.raises(TypeError):
        peer.publish(TOPIC, 5)
    peer.publish(TOPIC, b"fine")(10)
