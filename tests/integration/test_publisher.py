"""The publisher against mosquitto: what it is for, and what is noticed of a broker that fails."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import e4
from e4.mqtt import TLS
from e4.mqtt.publisher import ConnectionLost, Outcome
from tests._broker import Brokers, until
from tests._certificates import Authority
from tests._delay_proxy import DelayProxy
from tests._proxy import Proxy
from tests.integration._peers import Plain
from tests.integration._publishing import Message, Publishers, all_taken, collect, some
from tests.integration.test_access import tls_broker, with_password


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.mark.mosquitto
def test_every_message_arrives_once_and_in_order(
    mosquitto: Brokers,
    publishers: Publishers,
    plain: Callable[..., Plain],
    version: str,
) -> None:
    broker = mosquitto("max_queued_messages 100000", "max_inflight_messages 0")
    watcher = plain(broker, "e4/#")
    publisher = publishers(broker, version=version, unadvertised_window=1000)
    assert publisher.window == 1000
    assert all_taken(publisher.send(some(5000))) == 5000
    assert publisher.in_flight == 0
    assert all_taken(publisher.send([("e4/last", b"", False)])) == 1
    until(lambda: len(watcher.seen) == 5001, what="all have arrived")
    assert [message.payload for message in watcher.seen[:-1]] == [payload for _, payload, _ in some(5000)]


@pytest.mark.mosquitto
def test_the_window_is_what_the_broker_takes(
    mosquitto: Brokers, publishers: Publishers, plain: Callable[..., Plain], version: str
) -> None:
    """Mosquitto takes 20; with MQTT 3.1.1 it drops the rest, and acknowledges it."""
    broker = mosquitto("max_queued_messages 100000")
    publisher = publishers(broker, version=version)
    assert publisher.window == 20
    assert all_taken(publisher.send(some(500))) == 500
    watcher = plain(broker, "e4/#")
    until(lambda: len(watcher.seen) == 500, what="all were kept")
    assert all(message.retain for message in watcher.seen)


@pytest.mark.mosquitto
def test_a_receive_maximum_of_the_broker(
    mosquitto: Brokers, publishers: Publishers, plain: Callable[..., Plain]
) -> None:
    broker = mosquitto("max_inflight_messages 300", "max_queued_messages 100000")
    assert publishers(broker).window == 300
    assert publishers(broker, window=100).window == 100
    assert all_taken(publishers(broker).send(some(2000))) == 2000


@pytest.mark.mosquitto
def test_a_large_message(mosquitto: Brokers, publishers: Publishers, version: str) -> None:
    publisher = publishers(mosquitto(), version=version)
    assert all_taken(publisher.send(some(30, size=1_000_000))) == 30


@pytest.mark.mosquitto
def test_a_broker_that_is_killed_and_comes_back(
    mosquitto: Brokers, publishers: Publishers, plain: Callable[..., Plain], version: str
) -> None:
    broker = mosquitto("max_queued_messages 100000")
    publisher = publishers(broker, version=version)
    taken: list[int] = []

    def messages() -> Iterator[Message]:
        for number, message in enumerate(some(1000)):
            if number == 500:
                broker.kill()
            taken.append(number)
            yield message

    seen: list[Outcome] = []
    with pytest.raises(ConnectionLost, match=f"connection to 127.0.0.1:{broker.port} was lost") as lost:
        collect(publisher.send(messages()), seen)
    unknown = lost.value.unknown
    assert all(outcome.error is None for outcome in seen)
    done = {outcome.number for outcome in seen}
    assert len(done) >= 480
    assert 0 < len(unknown) <= 20
    assert sorted(done | set(unknown)) == taken
    assert not publisher.connected
    with pytest.raises(e4.NotConnected):
        publisher.send([])
    with pytest.raises(e4.NotConnected):
        publisher.idle(0)
    with pytest.raises(e4.MqttError, match=r"cannot reach the broker at .*: Connection refused"):
        publisher.connect()
    broker.start()
    publisher.connect()
    watcher = plain(broker, "e4/#")
    rest = [message for number, message in enumerate(some(1000)) if number not in done]
    assert all_taken(publisher.send(rest)) == len(rest)
    until(lambda: len(watcher.seen) == len(rest), what="arrived")


@pytest.mark.mosquitto
def test_a_broker_that_hangs(mosquitto: Brokers, publishers: Publishers, version: str) -> None:
    broker = mosquitto()
    publisher = publishers(broker, version=version)
    assert all_taken(publisher.send(some(100))) == 100
    broker.pause()
    with pytest.raises(ConnectionLost, match=r"has acknowledged nothing for 0.2 seconds") as lost:
        all_taken(publisher.send(some(100), 0.2))
    assert lost.value.unknown == tuple(range(20))


@pytest.mark.mosquitto
def test_a_broker_that_hangs_is_noticed_without_traffic(
    mosquitto: Brokers, publishers: Publishers, version: str
) -> None:
    broker = mosquitto()
    publisher = publishers(broker, version=version, keepalive=1)
    broker.pause()
    with pytest.raises(ConnectionLost, match=f"127.0.0.1:{broker.port} does not answer"):
        publisher.idle(60)


@pytest.mark.mosquitto
def test_a_slow_broker_over_tls(
    mosquitto: Brokers, publishers: Publishers, authority: Authority, version: str
) -> None:
    """More than the system's buffers hold waits to be written, and goes on later."""
    broker = tls_broker(mosquitto, authority)
    publisher = publishers(broker, version=version, tls=TLS(ca=authority.file))
    broker.pause()
    threading.Timer(0.3, broker.resume).start()
    assert all_taken(publisher.send(some(20, size=2_000_000))) == 20
    assert all_taken(publisher.send(some(2000))) == 2000


@pytest.mark.mosquitto
def test_a_certificate_that_is_not_accepted(
    mosquitto: Brokers, publishers: Publishers, authority: Authority, tmp_path: Path
) -> None:
    broker = tls_broker(mosquitto, authority)
    for tls in (TLS(ca=Authority(tmp_path, "other").file), True):
        publisher = publishers(broker, connect=False, tls=tls)
        with pytest.raises(e4.MqttError, match=f"certificate of 127.0.0.1:{broker.port} is not accepted"):
            publisher.connect()
    publisher = publishers(broker, connect=False, connect_timeout=5)
    with pytest.raises(e4.MqttError):  # no TLS at all
        publisher.connect()
    with pytest.raises(e4.MqttError):  # TLS with one that speaks none
        publishers(mosquitto(), tls=True)


@pytest.mark.mosquitto
def test_a_client_certificate_that_is_missing(
    mosquitto: Brokers, publishers: Publishers, authority: Authority
) -> None:
    broker = tls_broker(mosquitto, authority, "require_certificate true")
    with pytest.raises(e4.MqttError):
        publishers(broker, tls=TLS(ca=authority.file))
    certfile, keyfile = authority.issue("c2")
    publishers(broker, tls=TLS(ca=authority.file, certfile=certfile, keyfile=keyfile))


@pytest.mark.mosquitto
def test_passwords(mosquitto: Brokers, publishers: Publishers, tmp_path: Path, version: str) -> None:
    broker = mosquitto(with_password(tmp_path))
    for password in ("wrong secret", None):
        publisher = publishers(broker, connect=False, version=version, username="alice", password=password)
        with pytest.raises(
            e4.MqttError,
            match=f"broker at 127.0.0.1:{broker.port} refuses the connection: not authorized",
        ):
            publisher.connect()
        assert "secret" not in repr(publisher)
    publishers(broker, version=version, username="alice", password=lambda: "correct horse")


@pytest.mark.mosquitto
def test_another_connection_with_the_same_client_id(
    mosquitto: Brokers, publishers: Publishers, version: str
) -> None:
    broker = mosquitto()
    first = publishers(broker, version=version, client_id="c2")
    publishers(broker, version=version, client_id="c2")
    with pytest.raises(ConnectionLost, match="it closed the connection"):
        first.idle(60)


@pytest.mark.mosquitto
def test_an_idle_connection_is_kept(mosquitto: Brokers, publishers: Publishers, version: str) -> None:
    """Mosquitto ends a connection after one and a half times the keepalive."""
    publisher = publishers(mosquitto(), version=version, keepalive=1)
    assert not publisher.idle(2)
    assert all_taken(publisher.send(some(1))) == 1


@pytest.mark.mosquitto
def test_far_away(mosquitto: Brokers, publishers: Publishers, version: str) -> None:
    broker = mosquitto("max_inflight_messages 500")
    with DelayProxy(broker.port, 0.02) as proxy:
        publisher = publishers(proxy, version=version, unadvertised_window=500)
        assert all_taken(publisher.send(some(3000))) == 3000
        before = time.monotonic()
        assert all_taken(publisher.send(some(1))) == 1
        assert time.monotonic() - before >= 0.04  # QoS 2 takes two round trips


@pytest.mark.mosquitto
def test_a_line_that_is_cut_again_and_again(
    mosquitto: Brokers, publishers: Publishers, plain: Callable[..., Plain], version: str
) -> None:
    """Everything arrives at last, and nothing is ever sent twice: each attempt has bytes of its own."""
    broker = mosquitto("max_queued_messages 100000")
    watcher = plain(broker, "e4/#")
    proxy = Proxy(broker.port, seed=1)
    publisher = publishers(proxy, connect=False, version=version)
    proxy.cut_after(1500)
    left = dict(enumerate(some(400)))
    attempt = 0
    while left:
        attempt += 1
        with contextlib.suppress(e4.MqttError):
            publisher.connect()
            order = list(left)
            mark = attempt.to_bytes(4, "big")
            for number, error in publisher.send([(t, p[:4] + mark, r) for t, p, r in left.values()]):
                assert error is None
                del left[order[number]]
    proxy.close()
    assert proxy.cuts > 3
    assert attempt > 3
    until(lambda: len({m.topic for m in watcher.seen}) == 400, what="all have arrived")
    assert len({(m.topic, m.payload) for m in watcher.seen}) == len(watcher.seen)
    payloads = {m.payload[:4] for m in watcher.seen}
    assert payloads == {payload[:4] for _, payload, _ in some(400)}


def test_the_delaying_proxy_keeps_bytes_and_order() -> None:
    def echo() -> None:
        sock, _ = listener.accept()
        with sock:
            while data := sock.recv(65536):
                sock.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, daemon=True).start()
        with DelayProxy(listener.getsockname()[1], 0.03) as proxy:
            data = os.urandom(3_000_000)
            with socket.create_connection((proxy.host, proxy.port)) as sock:
                before = time.monotonic()
                threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))).start()
                first = sock.recv(1)
                assert time.monotonic() - before >= 0.03
                with sock.makefile("rb") as stream:
                    assert first + stream.read() == data
