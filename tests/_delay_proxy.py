"""A TCP proxy that is far away: every byte takes half of a given round-trip time to pass, each way.

Nothing else is changed: order is kept, and the bandwidth has no limit of its own. The proxy is a process of
its own, so that it is not held up by what it delays. It ends with the process that made it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class DelayProxy:
    """Stands between clients and one port of 127.0.0.1.

    Args:
        port: the broker's.
        round_trip: seconds that are added to each round trip. Opening a connection takes none of them.
    """

    host = "127.0.0.1"

    def __init__(self, port: int, round_trip: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port), str(round_trip / 2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> DelayProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and cut what is open."""
        self._process.kill()
        self._process.communicate()


@dataclass
class _Way:
    """One direction of one connection."""

    source: socket.socket
    target: socket.socket
    on_its_way: deque[tuple[float, bytes]] = field(
        default_factory=deque
    )  # when due, and what; b"" is the end
    reading: bool = True
    blocked: bool = False
    done: bool = False

    def receive(self, delay: float) -> None:
        data = self.source.recv(1 << 18)
        if _QUICKACK is not None:  # a delay of the system's own would add to ours
            self.source.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self.on_its_way.append((time.monotonic() + delay, data))
        self.reading = bool(data)

    def deliver(self, now: float) -> None:
        self.blocked = False
        while self.on_its_way and self.on_its_way[0][0] <= now:
            due, data = self.on_its_way.popleft()
            if not data:
                self.target.shutdown(socket.SHUT_WR)
                self.done = True
                return
            try:
                sent = self.target.send(data)
            except BlockingIOError:
                sent = 0
            if sent < len(data):
                self.on_its_way.appendleft((due, data[sent:]))
                self.blocked = True
                return


def _serve(listener: socket.socket, target: int, delay: float) -> None:
    ways: list[_Way] = []

    def cut(way: _Way) -> None:
        """An end of this connection is gone, or both have finished."""
        for sock in (way.source, way.target):
            sock.close()
        ways[:] = [other for other in ways if other.source not in (way.source, way.target)]

    while True:
        due = min((way.on_its_way[0][0] for way in ways if way.on_its_way and not way.blocked), default=None)
        readable, writable, _ = select.select(
            [sys.stdin.fileno(), listener, *(way.source for way in ways if way.reading)],
            [way.target for way in ways if way.blocked],
            [],
            None if due is None else max(due - time.monotonic(), 0),
        )
        if sys.stdin.fileno() in readable:  # its other end is closed: nobody needs the proxy any more
            return
        if listener in readable:
            with contextlib.suppress(OSError):
                client, _ = listener.accept()
                ways += _connect(client, target)
        for way in list(ways):
            if way not in ways:
                continue
            try:
                if way.source in readable:
                    way.receive(delay)
                if not way.blocked or way.target in writable:
                    way.deliver(time.monotonic())
            except OSError:
                cut(way)
                continue
            if way.done and all(other.done for other in ways if other.source is way.target):
                cut(way)


def _connect(client: socket.socket, target: int) -> list[_Way]:
    try:
        broker = socket.create_connection((DelayProxy.host, target))
    except OSError:
        client.close()
        return []
    for sock in (client, broker):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [_Way(client, broker), _Way(broker, client)]


def _main() -> None:
    target, delay = int(sys.argv[1]), float(sys.argv[2])
    with socket.create_server((DelayProxy.host, 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        _serve(listener, target, delay)


if __name__ == "__main__":
    _main()
