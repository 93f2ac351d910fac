"""A broker that answers as the test says: with refusals, limits and silence unknown to mosquitto."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)


@dataclass
class FakeBroker:
    """Speaks as much MQTT 3.1.1 and 5 as a client needs.

    Args:
        connack: reason code of the answer to CONNECT; None for no answer.
        session_present: what CONNACK says of the session.
        properties: of CONNACK with MQTT 5, encoded.
        refuse: reason codes for topics (PUBACK, PUBREC) and filters (SUBACK).
        acknowledge: whether messages are acknowledged.
        send_on_connect: bytes to send after CONNACK.
    """

    connack: int | None = 0
    session_present: bool = False
    properties: bytes = b""
    refuse: dict[str, int] = field(default_factory=dict)
    acknowledge: bool = True
    send_on_connect: bytes = b""
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.published: list[tuple[str, bytes, int]] = []
        self.connections = 0
        self.unacknowledged = 0
        self.most_unacknowledged = 0
        self.subscribed: list[str] = []
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> FakeBroker:
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """Cut all connections."""
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self.connections += 1
        version = 4
        with sock, contextlib.suppress(OSError, EOFError), sock.makefile("rb") as stream:
            while True:
                kind, flags, body = _read(stream)
                if kind == CONNECT:
                    version = body[6]
                    if self.connack is not None:
                        properties = _length(len(self.properties)) + self.properties if version == 5 else b""
                        sock.sendall(
                            _packet(CONNACK, bytes([self.session_present, self.connack]) + properties)
                        )
                        sock.sendall(self.send_on_connect)
                elif kind == SUBSCRIBE:
                    self._subscribe(sock, body, version)
                elif kind == UNSUBSCRIBE:
                    sock.sendall(_packet(UNSUBACK, body[:2] + (b"\0\0" if version == 5 else b"")))
                elif kind == PUBLISH:
                    self._publish(sock, flags, body, version)
                elif kind == PUBREL:
                    self.unacknowledged -= 1
                    sock.sendall(_packet(PUBCOMP, body[:2]))
                elif kind == PINGREQ:
                    sock.sendall(_packet(PINGRESP, b""))
                elif kind == DISCONNECT:
                    return

    def _subscribe(self, sock: socket.socket, body: bytes, version: int) -> None:
        at = 2 + (1 + body[2] if version == 5 else 0)
        (size,) = struct.unpack_from("!H", body, at)
        filter = body[at + 2 : at + 2 + size].decode()
        self.subscribed.append(filter)
        code = self.refuse.get(filter, body[-1] & 3)
        sock.sendall(
            _packet(
                SUBACK,
                body[:2]
                + (b"\0" if version == 5 else b"")
                + bytes([code if version == 5 else min(code, 0x80)]),
            )
        )

    def _publish(self, sock: socket.socket, flags: int, body: bytes, version: int) -> None:
        qos = flags >> 1 & 3
        (size,) = struct.unpack_from("!H", body)
        topic, at = body[2 : 2 + size].decode(), 2 + size
        mid = body[at : at + 2] if qos else b""
        at += len(mid)
        self.published.append((topic, body[at + (1 + body[at] if version == 5 else 0) :], qos))
        if not qos:
            return
        self.unacknowledged += 1
        self.most_unacknowledged = max(self.most_unacknowledged, self.unacknowledged)
        if not self.acknowledge:
            return
        reason = self.refuse.get(topic, 0)
        if qos == 1 or reason:
            self.unacknowledged -= 1
        answer = mid + (bytes([reason, 0]) if version == 5 and reason else b"")
        sock.sendall(_packet(PUBACK if qos == 1 else PUBREC, answer))


def publish_packet(topic: bytes, payload: bytes, version: int) -> bytes:
    """A PUBLISH with QoS 0 from the broker."""
    return _packet(
        PUBLISH, struct.pack("!H", len(topic)) + topic + (b"\0" if version == 5 else b"") + payload
    )


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([kind << 4 | (2 if kind == PUBREL else 0)]) + _length(len(body)) + body


def _length(size: int) -> bytes:
    encoded = b""
    while True:
        size, low = divmod(size, 128)
        encoded += bytes([low | (0x80 if size else 0)])
        if not size:
            return encoded


def _read(stream: Any) -> tuple[int, int, bytes]:
    first = stream.read(1)
    if not first:
        raise EOFError
    size = shift = 0
    while True:
        (byte,) = stream.read(1)
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return first[0] >> 4, first[0] & 15, stream.read(size)
