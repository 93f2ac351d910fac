"""A TCP proxy that cuts connections, also in the middle of a packet, while the broker lives on."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading


class Proxy:
    """Stands between clients and one port of 127.0.0.1.

    Args:
        port: the broker's.
        seed: of the choice where to cut.
    """

    host = "127.0.0.1"

    def __init__(self, port: int, seed: int = 0) -> None:
        self._target = port
        self._random = random.Random(seed)
        self._budget: float = float("inf")
        self._average = 0
        self.cuts = 0
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, average: int) -> None:
        """From now on, cut a connection after about so many bytes each time; 0 for never."""
        self._average = average
        self._budget = self._next()

    def close(self) -> None:
        """Stop, and cut what is open."""
        self._listener.close()
        for sock in list(self._open):
            _cut(sock)

    def _next(self) -> float:
        return self._random.expovariate(1 / self._average) if self._average else float("inf")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection((self.host, self._target))
        except OSError:
            client.close()
            return
        pair = {client: broker, broker: client}
        self._open |= set(pair)
        with client, broker, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            for sock in pair:
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    data = sock.recv(4096)
                    if not data:
                        return
                    cut = self._budget < len(data)
                    pair[sock].sendall(data[: int(self._budget)] if cut else data)
                    self._budget -= len(data)
                    if cut:
                        self.cuts += 1
                        self._budget = self._next()
                        return
        self._open -= set(pair)


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
