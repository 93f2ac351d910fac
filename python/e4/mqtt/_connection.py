"""One connection that a broker has taken: packets out and in, and the keepalive.

Knows nothing of messages: what is acknowledged goes to the publisher.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from e4.errors import MqttError
from e4.mqtt import _packets
from e4.mqtt._options import connection_error, plain_reason
from e4.mqtt._packets import (
    Ack,
    Connack,
    Disconnect,
    Malformed,
    Packet,
    Parser,
    Pingresp,
    connack_text,
    reason_text,
)
from e4.mqtt._stream import Stream

if TYPE_CHECKING:
    from e4.mqtt._options import Options
    from e4.mqtt._stream import Waker

__all__ = ["Connection"]

_PARTING = 1.0  # seconds for a DISCONNECT to leave


class Connection:
    """See the module; made by `open`.

    Args:
        stream: to the broker.
        parser: of what comes from it.
        packets: its answer to CONNECT, and what came with it.
        options: where it is.
        waker: ends waits.

    Raises:
        MqttError: the broker refuses the connection, or is none that can be worked with.
    """

    def __init__(
        self, stream: Stream, parser: Parser, packets: list[Packet], options: Options, waker: Waker
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._address = options.address
        self._waker = waker
        self.answer = self._checked(packets[0])
        self.ended: str | None = None  # why there is nothing more to come
        self.out = stream.out  # what is to be written
        keepalive = options.keepalive if self.answer.keepalive is None else self.answer.keepalive
        self._silence = keepalive / 2 or float("inf")
        self._wrote_at = time.monotonic()
        self._pinged_at: float | None = None
        if self._sift(packets[1:]):
            self.not_in_flight()

    @classmethod
    def open(cls, options: Options, client_id: str, waker: Waker) -> Connection:
        """Connect and have the broker take the connection.

        Raises:
            MqttError: it cannot be done, or the broker refuses; the text says why.
            InvalidInput: client id, user name or password cannot be sent.
        """
        password = options.current_password()
        request = _packets.connect(options.version, client_id, options.keepalive, options.username, password)
        parser = Parser(options.version)
        try:
            stream = Stream.open(options.host, options.port, options.tls, options.connect_timeout, waker)
            try:
                stream.out += request
                packets = _answer(stream, parser, options, waker)
                return cls(stream, parser, packets, options, waker)
            except BaseException:
                stream.abort()
                raise
        except (OSError, ValueError) as error:
            raise connection_error(error, options.address)[0] from error

    def exchange(self, timeout: float) -> list[Ack]:
        """Write, wait until the broker has something to say or the waker or `timeout` ends it, and read.

        Raises:
            MqttError: the connection has ended; all that came before was given.
        """
        if self.ended is not None:
            raise MqttError(self.ended)
        now = time.monotonic()
        if self._pinged_at is None and now - self._wrote_at >= self._silence:
            self.out += _packets.PINGREQ
            self._pinged_at = now
        if self.out and self._stream.write():
            self._wrote_at = now
        look = (self._wrote_at if self._pinged_at is None else self._pinged_at) + self._silence
        self._stream.wait(max(min(timeout, look - now), 0))
        _check_abort(self._waker, self._address)
        try:
            data = self._stream.read()
        except OSError as error:
            raise MqttError(f"the connection to {self._address} was lost: {plain_reason(error)}") from error
        if data:
            return self._sift(self._parser.feed(data))
        if self._pinged_at is not None and time.monotonic() - self._pinged_at >= self._silence:
            raise MqttError(f"the broker at {self._address} does not answer")
        return []

    def not_in_flight(self) -> None:
        """The broker has acknowledged what it was never given."""
        self.ended = f"the broker at {self._address} acknowledged a message that is not in flight"

    def close(self) -> None:
        """Say farewell, and close."""
        self.out += _packets.DISCONNECT
        deadline = time.monotonic() + _PARTING
        while not self._stream.write() and self.out and (left := deadline - time.monotonic()) > 0:
            self._stream.wait(left)
        self._stream.close()

    def abort(self) -> None:
        """Close at once. What has not left this machine is thrown away."""
        self._stream.abort()

    def _sift(self, packets: list[Packet]) -> list[Ack]:
        """The acknowledgements; everything else is about the connection."""
        acks: list[Ack] = []
        for packet in packets:
            if isinstance(packet, Ack):
                acks.append(packet)
            elif isinstance(packet, Pingresp):
                self._pinged_at = None
            elif isinstance(packet, Disconnect):
                reason = reason_text(packet.reason)
                self.ended = f"the broker at {self._address} ended the connection: {reason}"
                break
            else:
                what = packet.what if isinstance(packet, Malformed) else "a second CONNACK"
                self.ended = f"the broker at {self._address} sent {what}"
                break
        return acks

    def _checked(self, answer: Packet) -> Connack:
        broker = f"the broker at {self._address}"
        if isinstance(answer, Malformed):
            raise MqttError(f"{broker} sent {answer.what}")
        if isinstance(answer, Disconnect):
            raise MqttError(f"{broker} refuses the connection: {reason_text(answer.reason)}")
        if not isinstance(answer, Connack):
            raise MqttError(f"{broker} does not answer CONNECT with CONNACK")
        if answer.reason:
            raise MqttError(f"{broker} refuses the connection: {connack_text(answer.reason)}")
        if answer.max_qos < 2:
            raise MqttError(f"{broker} takes no messages with QoS 2")
        return answer


def _answer(stream: Stream, parser: Parser, options: Options, waker: Waker) -> list[Packet]:
    """The broker's answer to CONNECT, and what follows at once."""
    deadline = time.monotonic() + options.connect_timeout
    packets: list[Packet] = []
    while not packets:
        left = deadline - time.monotonic()
        if left <= 0:
            raise MqttError(f"the broker at {options.address} does not answer")
        stream.write()
        stream.wait(left)
        _check_abort(waker, options.address)
        packets = parser.feed(stream.read())
    return packets


def _check_abort(waker: Waker, address: str) -> None:
    if waker.aborted:
        raise MqttError(f"the connection to {address} was given up")
