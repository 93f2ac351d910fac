"""Publishers for the tests, and brokers that say what a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from e4.mqtt.publisher import Outcome, Publisher

CONNACK = bytes.fromhex("2003000000")

Message = tuple[str, bytes, bool]
Script = Callable[[socket.socket, Any], None]


class Publishers:
    """Makes the publishers of one test, connected unless told otherwise, and closes them with it."""

    def __init__(self) -> None:
        self._made: list[Publisher] = []

    def __call__(self, broker: Any, *, connect: bool = True, **options: Any) -> Publisher:
        publisher = Publisher("127.0.0.1", broker.port, **options)
        self._made.append(publisher)
        if connect:
            publisher.connect()
        return publisher

    def close(self) -> None:
        for publisher in self._made:
            publisher.close()


class RawBroker:
    """One that says what the test says, byte by byte, to one connection after another.

    Args:
        script: gets the socket, and the stream of what comes from the client; then the connection is closed.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, sock.makefile("rb") as stream:
                try:
                    self._script(sock, stream)
                except (OSError, EOFError, IndexError):
                    pass
                except BaseException as error:
                    self.error = error

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert self.error is None


class RawBrokers:
    """Makes the brokers of one test, and ends them with it."""

    def __init__(self) -> None:
        self._made: list[RawBroker] = []

    def __call__(self, script: Script) -> RawBroker:
        self._made.append(RawBroker(script))
        return self._made[-1]

    def close(self) -> None:
        for broker in self._made:
            broker.close()


def read_packet(stream: Any) -> tuple[int, bytes]:
    """The first byte and the body of a packet of less than 128 bytes."""
    head = stream.read(2)
    return head[0], stream.read(head[1])


def after_connack(answer: bytes, connack: bytes = CONNACK) -> Script:
    """Takes a connection and one PUBLISH (id 1), says `answer`, and waits for the client to leave."""

    def script(sock: socket.socket, stream: Any) -> None:
        read_packet(stream)
        sock.sendall(connack)
        read_packet(stream)
        sock.sendall(answer)
        while stream.read(1):
            pass

    return script


def some(count: int, size: int = 75, retain: bool = True) -> Iterator[Message]:
    for number in range(count):
        yield f"e4/{number:04}", number.to_bytes(4, "big") + bytes(size - 4), retain


def all_taken(outcomes: Iterable[Outcome]) -> int:
    """How many; none may have failed."""
    numbers = []
    for outcome in outcomes:
        assert outcome.error is None, outcome
        numbers.append(outcome.number)
    assert sorted(numbers) == list(range(len(numbers)))
    return len(numbers)


def collect(outcomes: Iterable[Outcome], seen: list[Outcome]) -> None:
    """Put them there one by one, until an exception ends it."""
    for outcome in outcomes:
        seen.append(outcome)
