"""What a broker refuses, limits, or leaves unanswered, and how it is said."""

from __future__ import annotations

import time

import pytest

import e4
from e4 import commands, crypto
from tests._broker import until
from tests._c2 import sym_device
from tests._fake_broker import FakeBroker, publish_packet
from tests.integration._peers import TOPIC, Peers, pair

NOT_AUTHORIZED = 0x87
QUOTA = 0x97


@pytest.mark.parametrize("qos", [1, 2])
def test_a_refused_message_says_why(peers: Peers, qos: int) -> None:
    alice, _ = pair("symkey")
    alice.send(commands.set_topic_key(crypto.random_key(), "other"))
    with FakeBroker(refuse={TOPIC: NOT_AUTHORIZED}) as broker:
        sender = peers(alice, broker, version="5").connect()
        wait = sender.publish(TOPIC, b"x", qos=qos)
        with pytest.raises(e4.MqttError, match=f"refused the message on {TOPIC}: Not authorized"):
            wait(10)
        until(lambda: sender.events.errors, what="reported")
        assert f"refused the message on {TOPIC}: Not authorized" in str(sender.events.errors[0])
        sender.publish("other", b"y", qos=qos)(10)
        assert sender.secure.unacknowledged == 0
        sender.close()


def test_a_refused_subscription_says_why_and_is_not_repeated(peers: Peers, version: str) -> None:
    with FakeBroker(refuse={"forbidden/#": NOT_AUTHORIZED}) as broker:
        peer = peers(sym_device(), broker, version=version).connect()
        with pytest.raises(e4.MqttError, match="refused the subscription to forbidden/#"):
            peer.subscribe("forbidden/#")
        peer.subscribe("allowed")
        assert peer.events.errors == []
        peer.subscribe("forbidden/#", timeout=0)
        until(lambda: peer.events.errors, what="reported")
        assert "refused the subscription to forbidden/#" in str(peer.events.errors[0])
        broker.drop()
        until(lambda: peer.events.connected == 2, what="connected again")
        assert broker.subscribed.count("allowed") == 2
        assert broker.subscribed.count("forbidden/#") == 2
        peer.close()


def test_a_subscription_refused_at_a_reconnection_is_reported(peers: Peers, version: str) -> None:
    with FakeBroker() as broker:
        peer = peers(sym_device(), broker, version=version).connect()
        peer.subscribe("now and then")
        broker.refuse["now and then"] = NOT_AUTHORIZED
        broker.drop()
        until(lambda: peer.events.connected == 2, what="connected again")
        assert "refused the subscription to now and then" in str(peer.events.errors[-1])
        broker.refuse.clear()
        broker.drop()
        until(lambda: broker.subscribed.count("now and then") == 3, what="asked again")
        peer.close()


def test_without_its_commands_a_client_is_not_connected(peers: Peers, version: str) -> None:
    device = sym_device()
    own = device.client.receiving_topic
    with FakeBroker(refuse={own: NOT_AUTHORIZED}) as broker:
        peer = peers(device, broker, version=version)
        with pytest.raises(e4.MqttError, match=f"refused the subscription to {own}"):
            peer.connect()
        peer.start()
        until(lambda: peer.events.errors, what="reported")
        assert not peer.connected()
        broker.refuse.clear()
        broker.drop()
        peer.until_connected()
        peer.close()


@pytest.mark.parametrize("code", [NOT_AUTHORIZED, QUOTA])
def test_a_refused_connection_says_why(peers: Peers, code: int) -> None:
    with FakeBroker(connack=code) as broker:
        peer = peers(sym_device(), broker, version="5")
        started = time.monotonic()
        with pytest.raises(e4.MqttError, match=r"Not authorized|Quota exceeded"):
            peer.connect(timeout=0.5)
        # A quota may be free again soon, a right is not: that one does not wait.
        waited = time.monotonic() - started >= 0.5
        assert waited == (code == QUOTA)
        assert (broker.connections > 1) == (code == QUOTA)


def test_a_broker_that_says_nothing(peers: Peers, version: str) -> None:
    with FakeBroker(connack=None) as broker:
        peer = peers(sym_device(), broker, version=version, connect_timeout=0.2)
        with pytest.raises(e4.NotConnected, match="no answer"):
            peer.connect(timeout=0.6)
        broker.connack = 0
        peer.connect()
        broker.connack = None
        broker.drop()
        until(lambda: any("no answer" in str(error) for error in peer.events.errors[1:]), what="told again")
        broker.connack = 0
        peer.until_connected()
        peer.close()


def test_limits_of_the_broker_fail_the_message_not_the_connection(peers: Peers) -> None:
    # Receive Maximum 2, Maximum QoS 1, Retain Available 0, Maximum Packet Size 100.
    properties = b"\x21\x00\x02" + b"\x24\x01" + b"\x25\x00" + b"\x27\x00\x00\x00\x64"
    alice, _ = pair("symkey")
    with FakeBroker(properties=properties) as broker:
        sender = peers(alice, broker, version="5").connect()
        for arguments, text in (
            ({"payload": b"x", "qos": 2}, "QoS 1 at most"),
            ({"payload": b"x", "retain": True}, "no retained"),
            ({"payload": bytes(100)}, "100 bytes at most"),
        ):
            with pytest.raises(e4.MqttError, match=text):
                sender.publish(TOPIC, **arguments)(10)
        waits = [sender.publish(TOPIC, b"x") for _ in range(20)]
        for wait in waits:
            wait(10)
        assert broker.most_unacknowledged <= 2
        assert broker.connections == 1
        sender.close()


def test_the_window_holds_back_what_is_not_acknowledged(peers: Peers, version: str) -> None:
    alice, _ = pair("symkey")
    with FakeBroker(acknowledge=False) as broker:
        sender = peers(alice, broker, version=version, window=3).connect()
        for n in range(10):
            sender.publish(TOPIC, b"%d" % n, qos=1 + n % 2)
        until(lambda: broker.unacknowledged == 3, what="three in flight")
        with pytest.raises(e4.NotDelivered, match="10 messages"):
            sender.close(timeout=0.1)
        assert broker.most_unacknowledged == 3


def test_nonsense_from_the_broker_does_not_end_the_client(peers: Peers, version: str) -> None:
    number = 5 if version == "5" else 4
    with FakeBroker(send_on_connect=publish_packet(b"\xff\xfe", b"x", number)) as broker:
        peer = peers(sym_device(), broker, version=version).connect()
        until(lambda: peer.events.refused, what="a topic that is no text")
        assert peer.events.reasons == [e4.InvalidTopic]
        broker.send_on_connect = b"\x30\x01\x00"  # a PUBLISH too short for its topic
        broker.drop()
        until(lambda: len(peer.events.errors + peer.events.lost) > 1, what="given up")
        broker.send_on_connect = b""
        broker.drop()
        peer.until_connected()
        peer.close()
