"""The publisher against brokers that do what mosquitto does not: refusals, limits, silence and nonsense."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import e4
from e4.mqtt.publisher import UNADVERTISED_WINDOW, ConnectionLost, Outcome, Publisher
from tests._broker import until
from tests._fake_broker import FakeBroker
from tests.integration._publishing import (
    CONNACK,
    Message,
    Publishers,
    RawBrokers,
    after_connack,
    all_taken,
    collect,
    read_packet,
    some,
)

NOT_AUTHORIZED = 0x87
QUOTA = 0x97
RECEIVE_MAXIMUM_7 = bytes.fromhex("210007")


class TestOutcomes:
    def test_a_refused_message_says_why(self, publishers: Publishers) -> None:
        with FakeBroker(refuse={"e4/0003": QUOTA, "e4/0005": NOT_AUTHORIZED}) as broker:
            outcomes = dict(publishers(broker).send(some(10)))
            assert sorted(outcomes) == list(range(10))
            failed = {number: str(error) for number, error in outcomes.items() if error}
            address = f"127.0.0.1:{broker.port}"
            assert failed == {
                3: f"the broker at {address} refused the message: quota exceeded",
                5: f"the broker at {address} refused the message: not authorized",
            }
            assert all(isinstance(outcomes[number], e4.MqttError) for number in failed)

    def test_a_pubcomp_that_refuses(self, raw: RawBrokers, publishers: Publishers) -> None:
        def script(sock: socket.socket, stream: Any) -> None:
            read_packet(stream)
            sock.sendall(CONNACK)
            read_packet(stream)
            sock.sendall(b"\x50\2\0\1")
            assert read_packet(stream) == (0x62, b"\0\1")
            sock.sendall(b"\x70\3\0\1\x92")
            stream.read()

        [outcome] = publishers(raw(script)).send(some(1))
        assert outcome.number == 0
        assert "refused the message: packet identifier not found" in str(outcome.error)

    def test_no_more_than_the_window_is_in_flight(self, publishers: Publishers) -> None:
        with FakeBroker(properties=RECEIVE_MAXIMUM_7) as broker:
            publisher = publishers(broker)
            assert publisher.window == 7
            assert all_taken(publisher.send(some(300))) == 300
            assert broker.most_unacknowledged <= 7
            assert [payload[:4] for _, payload, _ in broker.published] == [p[:4] for _, p, _ in some(300)]

    def test_the_window_of_a_broker_that_cannot_say(self, publishers: Publishers) -> None:
        with FakeBroker() as broker:
            assert publishers(broker, version="3.1.1").window == UNADVERTISED_WINDOW == 20
            assert publishers(broker, version="3.1.1", window=5).window == 5
            assert publishers(broker, version="3.1.1", unadvertised_window=30).window == 30
            assert publishers(broker, version="5").window == 1000
            assert publishers(broker, version="5", window=65535).window == 65535

    def test_messages_are_taken_when_they_leave(self, publishers: Publishers) -> None:
        """And what is known of those before was told by then: this source stops at the first refusal."""
        seen: list[Outcome] = []
        in_flight: list[int] = []

        def messages() -> Iterator[Message]:
            for message in some(100_000):
                if any(outcome.error for outcome in seen):
                    return
                in_flight.append(publisher.in_flight)
                yield message

        with FakeBroker(refuse={"e4/0050": NOT_AUTHORIZED}) as broker:
            publisher = publishers(broker, window=20)
            collect(publisher.send(messages()), seen)
            assert max(in_flight) < 20
            assert 51 <= len(seen) <= 51 + 2 * 20
            assert len(broker.published) == len(seen)

    def test_an_error_of_the_source_waits_for_what_is_in_flight(self, publishers: Publishers) -> None:
        def messages() -> Iterator[Message]:
            yield from some(30)
            raise e4.StoreError("the disk is full")

        with FakeBroker() as broker:
            publisher = publishers(broker)
            seen: list[Outcome] = []
            with pytest.raises(e4.StoreError, match="the disk is full"):
                collect(publisher.send(messages()), seen)
            assert all_taken(seen) == 30
            assert publisher.connected
            assert all_taken(publisher.send(some(5))) == 5

    def test_what_cannot_be_sent_is_refused_here(self, publishers: Publishers) -> None:
        retain_not_available = bytes.fromhex("2500")
        max_packet_100 = bytes.fromhex("2700000064")
        with FakeBroker(properties=retain_not_available + max_packet_100) as broker:
            publisher = publishers(broker)
            messages = [
                ("a", b"1", False), ("b", b"2", True), ("c#", b"3", False), ("d", bytes(93), False),
                ("e", bytes(92), False), ("f", b"6", False),
            ]  # fmt: skip
            errors = {number: str(error) for number, error in publisher.send(messages) if error}
            address = f"the broker at 127.0.0.1:{broker.port}"
            assert errors == {
                1: f"{address} keeps no retained messages",
                2: e4.InvalidTopic.default,
                3: f"{address} takes packets of 100 bytes at most",
            }
            assert [topic for topic, _, _ in broker.published] == ["a", "e", "f"]
            assert [o.number for o in publisher.send([("x", b"", True)] * 3) if o.error] == [0, 1, 2]

    def test_nothing_to_send(self, publishers: Publishers) -> None:
        with FakeBroker() as broker:
            publisher = publishers(broker)
            assert list(publisher.send([])) == []
            assert publisher.connected

    def test_leaving_early_drops_the_connection(self, publishers: Publishers) -> None:
        with FakeBroker() as broker:
            publisher = publishers(broker)
            outcomes = publisher.send(some(5000))
            next(outcomes)
            with pytest.raises(e4.MqttError, match="being sent already"):
                publisher.send([])
            outcomes.close()
            assert not publisher.connected
            assert publisher.in_flight == 0
            publisher.connect()
            assert all_taken(publisher.send(some(10))) == 10

    def test_a_new_connection_ends_what_runs_on_the_old_one(self, publishers: Publishers) -> None:
        with FakeBroker() as broker:
            publisher = publishers(broker)
            outcomes = publisher.send(some(5000))
            next(outcomes)
            publisher.connect()
            with pytest.raises(e4.NotConnected):
                list(outcomes)
            assert all_taken(publisher.send(some(10))) == 10


class TestConnecting:
    @pytest.mark.parametrize(
        ("version", "code", "reason"),
        [
            ("3.1.1", 1, "it does not speak this version of MQTT"),
            ("3.1.1", 4, "user name or password is wrong"),
            ("5", 0x88, "it is not available"),
            ("5", 0x8A, "banned"),
            ("5", 0xEE, "reason 0xee"),
        ],
    )
    def test_a_refused_connection(self, publishers: Publishers, version: str, code: int, reason: str) -> None:
        with FakeBroker(connack=code) as broker:
            publisher = publishers(broker, connect=False, version=version)
            with pytest.raises(e4.MqttError) as caught:
                publisher.connect()
            assert (
                str(caught.value) == f"the broker at 127.0.0.1:{broker.port} refuses the connection: {reason}"
            )
            assert not publisher.connected

    def test_a_broker_that_takes_no_qos_2(self, publishers: Publishers) -> None:
        broker: Any
        with (
            FakeBroker(properties=bytes.fromhex("2401")) as broker,
            pytest.raises(e4.MqttError, match="takes no messages with QoS 2"),
        ):
            publishers(broker)

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (b"", "cannot reach the broker at .*: it closed the connection"),
            (b"\x20\3\0", "cannot reach the broker at .*: it closed the connection"),
            (b"HTTP/1.1 400 Bad Request\r\n", "sent a SUBSCRIBE, which has no place here|sent a PUBACK"),
            (b"\x20\2\0\1", "refuses the connection: it does not speak this version of MQTT"),
            (b"\xe0\1\x9c", "refuses the connection: use another server"),
            (b"\x50\2\0\1", "does not answer CONNECT with CONNACK"),
            (b"\xd0\0", "does not answer CONNECT with CONNACK"),
            (b"\x20\xff\xff\xff\x7f", "sent a CONNACK of 268435460 bytes"),
        ],
    )
    def test_a_strange_answer(
        self, raw: RawBrokers, publishers: Publishers, answer: bytes, reason: str
    ) -> None:
        def script(sock: socket.socket, stream: Any) -> None:
            read_packet(stream)
            sock.sendall(answer)

        with pytest.raises(e4.MqttError, match=reason):
            publishers(raw(script))

    def test_no_answer(self, raw: RawBrokers, publishers: Publishers) -> None:
        broker = raw(lambda _, stream: stream.read())
        with pytest.raises(e4.MqttError, match=f"broker at 127.0.0.1:{broker.port} does not answer"):
            publishers(broker, connect_timeout=0.2)
        with pytest.raises(e4.MqttError, match="no answer in time"):
            publishers(broker, connect_timeout=0.2, tls=True)

    def test_the_client_id_that_the_broker_gives_is_kept(
        self, raw: RawBrokers, publishers: Publishers
    ) -> None:
        bodies: list[bytes] = []

        def script(sock: socket.socket, stream: Any) -> None:
            bodies.append(read_packet(stream)[1])
            sock.sendall(bytes.fromhex("2009 0000 06 12 0003") + b"one")
            stream.read()

        publisher = publishers(raw(script), client_id="")
        publisher.connect()
        assert bodies[0].endswith(b"\0\0")
        assert bodies[1].endswith(b"\0\3one")

    def test_the_client_id_stays_the_same(self, raw: RawBrokers, publishers: Publishers) -> None:
        bodies: list[bytes] = []

        def script(sock: socket.socket, stream: Any) -> None:
            bodies.append(read_packet(stream)[1])
            sock.sendall(CONNACK)
            stream.read()

        broker = raw(script)
        publisher = publishers(broker)
        publisher.connect()
        assert bodies[0] == bodies[1]
        publisher.close()
        publishers(broker)
        assert bodies[2] != bodies[0]

    def test_passwords_are_asked_for_each_time_and_not_shown(self, publishers: Publishers) -> None:
        def password() -> str:
            raise OSError("secret")

        with FakeBroker() as broker:
            publisher = publishers(broker, connect=False, username="c2", password=password)
            with pytest.raises(e4.MqttError, match=r"could not be had: OSError$"):
                publisher.connect()
            publisher = publishers(broker, connect=False, username="c2", password="se\0cret")
            with pytest.raises(e4.InvalidInput) as caught:
                publisher.connect()
            assert "cret" not in str(caught.value)

    def test_arguments(self) -> None:
        unchecked = ssl.create_default_context()
        unchecked.check_hostname = False
        for options in (
            {"window": 0},
            {"window": 65536},
            {"unadvertised_window": 0},
            {"keepalive": -1},
            {"version": "4"},
            {"password": "x"},
            {"port": 0},
            {"version": "3.1.1", "client_id": ""},
            {"tls": unchecked},
        ):
            with pytest.raises(e4.InvalidInput):
                Publisher(**options)

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files by /proc")
    def test_nothing_is_left_open(self, publishers: Publishers, raw: RawBrokers) -> None:
        def files() -> int:
            return len(os.listdir("/proc/self/fd"))

        silent = raw(lambda _, stream: stream.read(1))
        with FakeBroker(connack=NOT_AUTHORIZED) as broker:
            publisher = publishers(broker, connect=False)
            before = files()
            for tls in (None, ssl.create_default_context()):
                other = publishers(silent if tls else broker, connect=False, tls=tls)
                for _ in range(5):
                    with pytest.raises(e4.MqttError):
                        other.connect()
                other.close()
            broker.connack = 0
            for _ in range(5):
                publisher.connect()
                assert all_taken(publisher.send(some(3))) == 3
            publisher.close()
            until(lambda: files() <= before, what="all are closed")


class TestBadBrokers:
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (b"\0", "sent a packet of type 0, which has no place here"),
            (b"\x30\5\0\1ab", "sent a PUBLISH, which has no place here"),
            (b"\x90\3\0\1\0", "sent a SUBACK, which has no place here"),
            (b"\x50\xff\xff\xff\xff", "sent a PUBREC whose length is not valid"),
            (b"\x50\x80\x80\x80\x01", "sent a PUBREC of 2097157 bytes"),
            (CONNACK, "sent a second CONNACK"),
            (b"\x50\2\0\2", "acknowledged a message that is not in flight"),
            (b"\x70\2\0\1", "acknowledged a message that is not in flight"),
            (b"\x50\2\0\1\x50\2\0\1", "acknowledged a message that is not in flight"),
            (b"\x50\2\0\1\x70\2\0\1\x70\2\0\1", "acknowledged a message that is not in flight"),
            (b"\xe0\1\x8b", "ended the connection: it is shutting down"),
            (b"\xe0\1\x8e", "ended the connection: another connection has the same client id"),
            (b"\xe0\0", "ended the connection: normal disconnection"),
        ],
    )
    def test_what_it_says_ends_the_connection(
        self, raw: RawBrokers, publishers: Publishers, answer: bytes, reason: str
    ) -> None:
        broker = raw(after_connack(answer))
        publisher = publishers(broker)
        seen: list[Outcome] = []

        def send_and_wait() -> None:  # one may be completed before the answer's end is looked at
            collect(publisher.send(some(1)), seen)
            publisher.idle(30)

        with pytest.raises(ConnectionLost, match=f"the broker at 127.0.0.1:{broker.port} {reason}") as lost:
            send_and_wait()
        assert lost.value.unknown == (() if seen else (0,))
        assert not publisher.connected
        publisher.connect()

    def test_half_a_packet(self, raw: RawBrokers, publishers: Publishers) -> None:
        def script(sock: socket.socket, stream: Any) -> None:
            read_packet(stream)
            sock.sendall(CONNACK)
            read_packet(stream)
            sock.sendall(b"\x50\2\0")

        with pytest.raises(ConnectionLost, match="was lost: it closed the connection") as lost:
            list(publishers(raw(script)).send(some(1)))
        assert lost.value.unknown == (0,)

    def test_what_came_before_the_end_counts(self, raw: RawBrokers, publishers: Publishers) -> None:
        def script(sock: socket.socket, stream: Any) -> None:
            read_packet(stream)
            sock.sendall(CONNACK)
            for _ in range(3):
                read_packet(stream)
            sock.sendall(b"\x50\2\0\1\x50\2\0\2")
            for _ in range(2):
                read_packet(stream)
            sock.sendall(b"\x70\2\0\2\x70\2\0\1\xe0\1\x97")

        seen: list[Outcome] = []
        publisher = publishers(raw(script))
        with pytest.raises(ConnectionLost, match="ended the connection: quota exceeded") as lost:
            collect(publisher.send(some(3)), seen)
        assert seen == [(1, None), (0, None)]
        assert lost.value.unknown == (2,)

    def test_an_acknowledgement_before_there_was_anything(
        self, raw: RawBrokers, publishers: Publishers
    ) -> None:
        publisher = publishers(raw(after_connack(b"", connack=CONNACK + b"\x50\2\0\1")))
        with pytest.raises(ConnectionLost, match="acknowledged a message that is not in flight"):
            publisher.idle(30)

    def test_pings_are_sent_and_answered(self, raw: RawBrokers, publishers: Publishers) -> None:
        """With the keepalive that the broker asks for, in place of an hour."""
        pings = []

        def script(sock: socket.socket, stream: Any) -> None:
            read_packet(stream)
            sock.sendall(bytes.fromhex("2006 0000 03 13 0001"))
            for _ in range(3):
                pings.append(read_packet(stream))
                sock.sendall(b"\xd0\0")
            sock.sendall(b"\xe0\1\x98")

        with pytest.raises(ConnectionLost, match="administrative action"):
            publishers(raw(script), keepalive=3600).idle(60)
        assert pings == [(0xC0, b"")] * 3

    def test_no_progress_while_pings_are_answered(self, publishers: Publishers) -> None:
        with FakeBroker(acknowledge=False, properties=bytes.fromhex("130001")) as broker:
            publisher = publishers(broker)
            with pytest.raises(ConnectionLost, match=r"has acknowledged nothing for 1.2 seconds"):
                list(publisher.send(some(3), 1.2))


class TestThreads:
    def test_wake_ends_idle(self, publishers: Publishers, version: str) -> None:
        with FakeBroker() as broker:
            publisher = publishers(broker, version=version)
            threading.Timer(0.1, publisher.wake).start()
            assert publisher.idle(60)
            assert not publisher.idle(0)

    def test_a_wake_is_not_forgotten(self, publishers: Publishers) -> None:
        with FakeBroker() as broker:
            publisher = publishers(broker, connect=False)
            publisher.wake()
            publisher.connect()
            assert publisher.idle(60)
            publisher.wake()
            publisher.wake()
            assert all_taken(publisher.send(some(100))) == 100
            assert publisher.idle(60)
            assert not publisher.idle(0)
            publisher.close()
            publisher.wake()

    def test_abort_ends_a_send_that_hangs(self, publishers: Publishers) -> None:
        with FakeBroker(acknowledge=False) as broker:
            publisher = publishers(broker)
            threading.Timer(0.1, publisher.abort).start()
            with pytest.raises(ConnectionLost, match="was given up") as lost:
                list(publisher.send(some(3), 60))
            assert lost.value.unknown == (0, 1, 2)
            assert not publisher.connected
            with pytest.raises(e4.MqttError, match="closed"):
                publisher.connect()

    def test_abort_ends_a_connect_that_hangs(self, raw: RawBrokers, publishers: Publishers) -> None:
        publisher = publishers(raw(lambda _, stream: stream.read()), connect=False, connect_timeout=60)
        threading.Timer(0.1, publisher.abort).start()
        with pytest.raises(e4.MqttError, match="was given up"):
            publisher.connect()

    def test_close_says_farewell(self, raw: RawBrokers, publishers: Publishers) -> None:
        left: list[bytes] = []

        def script(sock: socket.socket, stream: Any) -> None:
            read_packet(stream)
            sock.sendall(CONNACK)
            left.append(stream.read())

        broker = raw(script)
        publisher = publishers(broker)
        assert repr(publisher).endswith(f" at 127.0.0.1:{broker.port}, connected>")
        publisher.close()
        publisher.close()
        until(lambda: left, what="closed")
        assert left == [b"\xe0\0"]
        assert repr(publisher).endswith(", not connected>")
        with pytest.raises(e4.MqttError, match="the publisher is closed"):
            publisher.connect()
