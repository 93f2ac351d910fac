"""Brokers that are away, are killed, forget, or keep; what was accepted arrives all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import e4
from e4 import commands, crypto
from e4.mqtt import ClearTopics
from tests._broker import Brokers, until
from tests._c2 import sym_device
from tests._proxy import Proxy
from tests.integration._peers import TOPIC, Peers, Plain, pair

pytestmark = pytest.mark.mosquitto

MakePlain = Callable[..., Plain]


def test_killed_in_the_middle_nothing_is_lost(
    mosquitto: Brokers, peers: Peers, version: str, mode: str
) -> None:
    """Some messages are acknowledged, some cut off in flight, some published while the broker is away."""
    broker = mosquitto(persistent=True)
    alice, bob = pair(mode)
    options = {"version": version, "clean_session": False, "window": 5}
    receiver = peers(bob, broker, client_id="bob", **options).connect()
    receiver.subscribe(TOPIC, qos=2)
    sender = peers(alice, broker, client_id="alice", **options).connect()
    wanted = {qos: [b"%d-%d" % (qos, n) for n in range(24)] for qos in (1, 2)}
    waits = []

    def publish(numbers: range) -> None:
        for n in numbers:
            waits.extend(sender.publish(TOPIC, wanted[qos][n], qos=qos) for qos in (1, 2))

    publish(range(4))
    for wait in waits:
        wait(10)
    # A mosquitto killed now would bring again what it has not seen completed.
    until(lambda: broker.log().count("Received PUBCOMP from bob") == 4, what="the broker is at rest")
    broker.save()
    broker.pause()
    publish(range(4, 12))
    until(lambda: sender.secure.unacknowledged == 16, what="in flight")
    broker.kill()
    until(lambda: not sender.connected(), what="loss noticed")
    publish(range(12, 24))
    broker.start()
    for wait in waits:
        wait(20)
    until(lambda: len(set(receiver.events.payloads)) == 48, what="all have arrived")
    twice = [payload for payload in wanted[2] if receiver.events.payloads.count(payload) != 1]
    assert twice == []
    assert sender.secure.unacknowledged == 0
    assert receiver.events.refused == []
    # In order per QoS: a resent one comes before later ones.
    for qos in (1, 2):
        order = list(dict.fromkeys(p for p in receiver.events.payloads if p in wanted[qos]))
        assert order == wanted[qos]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_cut_off_at_any_byte(mosquitto: Brokers, peers: Peers, version: str, side: str, seed: int) -> None:
    """With sessions that the broker keeps: QoS 1 at least once, and what is sent with QoS 2 once.

    Received over a connection that is cut, QoS 2 may come twice: mosquitto 2.0 takes a message that it
    had released for a new one if it is interrupted a second time before it could say so.
    """
    broker = mosquitto()
    proxy = Proxy(broker.port, seed)
    alice, bob = pair("symkey")
    options = {"version": version, "clean_session": False, "window": 8, "min_delay": 0.01, "max_delay": 0.02}
    try:
        receiver = peers(bob, proxy if side == "receiver" else broker, **options).connect()
        receiver.subscribe(TOPIC, qos=2)
        sender = peers(alice, proxy if side == "sender" else broker, **options).connect()
        proxy.cut_after(1500 if side == "sender" else 3500)
        wanted = {qos: [b"%d-%d" % (qos, n) for n in range(100)] for qos in (1, 2)}
        waits = [sender.publish(TOPIC, wanted[qos][n], qos=qos) for n in range(100) for qos in (1, 2)]
        for wait in waits:
            wait(30)
        until(lambda: len(set(receiver.events.payloads)) == 200, 30, what="all have arrived")
        proxy.cut_after(0)
        # A last one the same way, so that anything still under way has arrived.
        sender.publish(TOPIC, b"last", qos=2)(10)
        until(lambda: b"last" in receiver.events.payloads, what="the last one")
        assert proxy.cuts
        assert receiver.events.refused == []
        if side == "sender":
            assert [p for p in wanted[2] if receiver.events.payloads.count(p) != 1] == []
    finally:
        peers.close()
        proxy.close()


def test_away_at_start(mosquitto: Brokers, peers: Peers, version: str) -> None:
    broker = mosquitto(start=False)
    alice, bob = pair("symkey")
    receiver = peers(bob, broker, version=version).start()
    receiver.subscribe(TOPIC, timeout=0)
    sender = peers(alice, broker, version=version).start()
    waits = [sender.publish(TOPIC, b"%d" % qos, qos=qos) for qos in (1, 2)]
    with pytest.raises(e4.NotConnected):
        sender.publish(TOPIC, b"0", qos=0)
    until(lambda: sender.events.errors, what="a failed attempt is told")
    assert f"cannot reach the broker at 127.0.0.1:{broker.port}" in str(sender.events.errors[0])
    assert sender.secure.last_error is not None
    with pytest.raises(e4.NotDelivered):
        waits[0](0.1)
    sender.options["min_delay"] = 1
    broker.start()
    for wait in waits:
        wait(10)
    receiver.until_connected()
    sender.publish(TOPIC, b"0", qos=0)(10)
    sender.publish(TOPIC, b"last")(10)
    until(lambda: b"last" in receiver.events.payloads, what="subscribed")
    assert sender.secure.last_error is None


def test_connect_says_that_nobody_is_there(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto(start=False)
    peer = peers(sym_device(), broker)
    with pytest.raises(e4.NotConnected, match=rf"cannot reach the broker at 127.0.0.1:{broker.port}: "):
        peer.connect(timeout=0.3)
    broker.start()
    assert peer.connect().connected()  # connect may be called again


def test_a_broker_that_forgets_is_subscribed_to_again(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, version: str
) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    receiver = peers(bob, broker, version=version).connect()
    receiver.subscribe(TOPIC)
    receiver.subscribe("gone")
    receiver.unsubscribe("gone")
    broker.restart()
    until(lambda: receiver.events.lost and receiver.connected(), what="connected again")
    assert "is lost" in str(receiver.events.lost[0])
    assert receiver.events.connected == 2
    peers(alice, broker, version=version).connect().publish(TOPIC, b"x", qos=2)(10)
    plain(broker).command(bob, commands.set_topic_key(crypto.random_key(), "other"))
    until(lambda: receiver.events.payloads == [b"x"] and receiver.events.applied, what="both arrive")
    assert bob.client.has_topic_key("other")


def test_a_kept_session_brings_what_was_sent_meanwhile(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, version: str, mode: str
) -> None:
    broker = mosquitto(persistent=True)
    alice, bob = pair(mode)
    receiver = peers(bob, broker, version=version, clean_session=False).connect()
    receiver.subscribe(TOPIC, qos=2)
    receiver.close()

    c2 = plain(broker)
    key = crypto.random_key()
    for device in (alice, bob):
        c2.command(device, commands.set_topic_key(key, TOPIC), retain=False)
    c2.command(bob, commands.set_topic_key(key, "other"), retain=False)
    # Retained or not, a command published without a session would be lost: alice applies hers here.
    alice.send(commands.set_topic_key(key, TOPIC))
    peers(alice, broker).connect().publish(TOPIC, b"while away", qos=2)(10)
    c2.close()
    broker.save()
    broker.restart()

    again = peers(bob, broker, version=version, clean_session=False).connect()
    until(lambda: again.events.messages and len(again.events.applied) == 2, what="all of it")
    assert again.events.payloads == [b"while away"]
    assert again.events.refused == []
    assert bob.client.has_topic_key("other")


@pytest.mark.parametrize("age", [0, 3600])
def test_a_retained_command_that_comes_again_is_no_refusal(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, version: str, mode: str, age: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    broker = mosquitto(persistent=True)
    _, bob = pair(mode)
    receiver = peers(bob, broker, version=version).connect()
    plain(broker).command(bob, commands.set_topic_key(crypto.random_key(), "other"))
    until(lambda: receiver.events.applied, what="applied")
    broker.save()
    bob.clock.now += age
    caplog.set_level("DEBUG", "e4.mqtt")
    broker.restart()
    until(lambda: "delivered again" in caplog.text, what="the broker delivers it again")
    assert receiver.events.refused == []
    assert len(receiver.events.applied) == 1


def test_the_command_that_changed_the_clients_key_comes_again(
    mosquitto: Brokers, peers: Peers, plain: MakePlain, caplog: pytest.LogCaptureFixture
) -> None:
    """It no longer opens under the new key, and is still nothing to report."""
    broker = mosquitto(persistent=True)
    device = sym_device("bob")
    receiver = peers(device, broker).connect()
    plain(broker).command(device, commands.set_id_key(crypto.random_key()))
    until(lambda: receiver.events.applied, what="applied")
    broker.save()
    caplog.set_level("DEBUG", "e4.mqtt")
    broker.restart()
    until(lambda: "delivered again" in caplog.text, what="the broker delivers it again")
    assert receiver.events.refused == []


@pytest.mark.parametrize("clean_session", [True, False])
@pytest.mark.parametrize("qos", [1, 2])
def test_after_a_long_outage_messages_are_protected_anew(
    mosquitto: Brokers, peers: Peers, version: str, clean_session: bool, qos: int
) -> None:
    """Receivers refuse what is over 600 seconds old, so what waited or was in flight gets a new timestamp."""
    broker = mosquitto(persistent=True)
    alice, bob = pair("symkey")
    receiver = peers(bob, broker, version=version, clean_session=False).connect()
    receiver.subscribe(TOPIC, qos=2)
    sender = peers(alice, broker, version=version, clean_session=clean_session).connect()
    broker.save()
    broker.pause()
    waits = [sender.publish(TOPIC, b"in flight", qos=qos)]
    until(lambda: sender.secure._session._outbox._in_flight, what="in flight")
    broker.kill()
    until(lambda: not sender.connected(), what="loss noticed")
    waits.append(sender.publish(TOPIC, b"queued", qos=qos))
    alice.clock.now += 700
    broker.start()
    for wait in waits:
        wait(10)
    until(lambda: len(receiver.events.messages) == 2, what="both arrive")
    assert receiver.events.payloads == [b"in flight", b"queued"]
    # A QoS 2 copy that the broker may have seen finishes its handshake, and is refused as too old.
    expected = [e4.TimestampTooOld] if qos == 2 and not clean_session else []
    until(lambda: len(receiver.events.refused) == len(expected), what="the old copy")
    assert receiver.events.reasons == expected


def test_a_key_removed_meanwhile_fails_the_message(
    mosquitto: Brokers, peers: Peers, plain: MakePlain
) -> None:
    broker = mosquitto(start=False)
    alice, _ = pair("symkey")
    sender = peers(alice, broker, clear=ClearTopics(outgoing=["#"])).start()
    wait = sender.publish(TOPIC, b"secret")
    kept = sender.publish("in/clear", b"not secret")
    alice.send(commands.remove_topic(TOPIC))
    broker.start()
    with pytest.raises(e4.TopicKeyMissing):
        wait(10)
    kept(10)
    assert any(isinstance(error, e4.TopicKeyMissing) for error in sender.events.errors)
    assert sender.secure.unacknowledged == 0


def test_close_says_how_many_messages_were_not_delivered(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto()
    alice, _ = pair("symkey")
    sender = peers(alice, broker).connect()
    broker.kill()
    until(lambda: not sender.connected(), what="loss noticed")
    waits = [sender.publish(TOPIC, b"x") for _ in range(3)]
    with pytest.raises(e4.NotDelivered, match="3 messages"):
        sender.close(timeout=0.1)
    if peers.kind == "threads":
        with pytest.raises(e4.NotDelivered):
            waits[0](1)
        with pytest.raises(e4.MqttError, match="closed"):
            sender.publish(TOPIC, b"x")


def test_close_waits_for_what_is_on_its_way(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto(persistent=True)
    alice, bob = pair("symkey")
    receiver = peers(bob, broker).connect()
    receiver.subscribe(TOPIC)
    sender = peers(alice, broker).connect()
    for n in range(100):
        sender.publish(TOPIC, b"%d" % n)
    sender.close()
    until(lambda: len(receiver.events.messages) == 100, what="all hundred")
    assert [message.payload for message in receiver.events.messages] == [b"%d" % n for n in range(100)]


def test_close_waits_for_a_broker_that_comes_back(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto()
    alice, _ = pair("symkey")
    sender = peers(alice, broker).connect()
    broker.kill()
    until(lambda: not sender.connected(), what="loss noticed")
    wait = sender.publish(TOPIC, b"x")
    starter = threading.Timer(0.2, broker.start)
    starter.start()
    sender.close(timeout=10)
    starter.join()
    assert not sender.connected()
    if peers.kind == "threads":
        wait(0)


def test_more_than_may_wait_is_refused_at_once(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto(start=False)
    alice, _ = pair("symkey")
    sender = peers(alice, broker, max_queued=2).start()
    waits = [sender.publish(TOPIC, b"x") for _ in range(2)]
    with pytest.raises(e4.MqttError, match="2 messages wait"):
        sender.publish(TOPIC, b"x")
    broker.start()
    for wait in waits:
        wait(10)
    sender.publish(TOPIC, b"x")(10)


def test_subscriptions_asked_for_while_away_are_made_later(mosquitto: Brokers, peers: Peers) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    receiver = peers(bob, broker).connect()
    receiver.subscribe("once")
    broker.kill()
    until(lambda: not receiver.connected(), what="loss noticed")
    with pytest.raises(e4.MqttError, match="no answer"):
        receiver.subscribe(TOPIC, timeout=0.1)
    broker.start()
    receiver.subscribe("more")
    receiver.until_connected()
    peers(alice, broker).connect().publish(TOPIC, b"x")(10)
    until(lambda: receiver.events.payloads == [b"x"], what="subscribed")
