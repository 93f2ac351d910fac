"""Publishes many messages with QoS 2, many of them in flight, and tells of each whether the broker has it.

Lives here: connecting, sending, keeping a connection alive. One thread drives it, and it starts none. It
subscribes to nothing, keeps no session, and never sends a message twice: after a lost connection it is for
the caller to send anew what was not completed (decision 7).

How many messages may be in flight is the broker's to say. An MQTT 5 broker says so when it takes the
connection, and refuses what exceeds it. An MQTT 3.1.1 broker cannot say it, and mosquitto then *drops* what
exceeds its ``max_inflight_messages`` (20 unless set) and still acknowledges it with PUBREC and PUBCOMP. So
under 3.1.1 the limit is `unadvertised_window`, to be raised only together with the broker's own.
"""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING, NamedTuple

from e4._names import encode_topic
from e4.errors import E4Error, InvalidInput, InvalidTopic, MqttError, NotConnected
from e4.mqtt._connection import Connection
from e4.mqtt._inflight import InFlight
from e4.mqtt._options import TLS, Options, Version
from e4.mqtt._packets import MAX_PACKET, REFUSED, Ack, publish, pubrel, reason_text
from e4.mqtt._stream import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["UNADVERTISED_WINDOW", "ConnectionLost", "Outcome", "Publisher"]

_logger = logging.getLogger("e4.mqtt")

UNADVERTISED_WINDOW = 20
_UNSENT = 65_536  # bytes; with more unsent no message is taken, so that none ages here
_BATCH = 256  # messages taken between two looks at the broker


class Outcome(NamedTuple):
    """What became of a message.

    Args:
        number: the message's place in what `Publisher.send` was given, from 0.
        error: why it was not taken; None where the broker has it (its PUBCOMP was seen).
    """

    number: int
    error: E4Error | None


class ConnectionLost(MqttError):
    """The connection ended while it was in use.

    Args:
        message: why.
        unknown: the numbers of the messages that were given to the broker, and whose outcome is not known:
            it may have them or not. Everything else that was taken has had its outcome.
    """

    def __init__(self, message: str, unknown: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.unknown = unknown


class Publisher:
    """A connection to a broker on which messages are published.

    One thread uses it; only `wake` and `abort` may be called from others.

    Args:
        host: the broker's name or address.
        port: 1883 if not given, with TLS 8883.
        tls: True for TLS with the system's authorities, or the details. The broker's certificate and host
            name are always checked.
        username: for the broker.
        password: for the broker; a function is called before each connection.
        version: of MQTT, ``"5"`` or ``"3.1.1"``. Only with 5 does a broker say that it refused a message, and
            how many it takes at once.
        client_id: random if not given. It stays the same for all connections of this object, so that a new
            one ends what may be left of the one before: the broker reads nothing more of that.
        keepalive: seconds without traffic after which a lost connection is noticed; 0 for never.
        connect_timeout: seconds for connecting, TLS included, and again for the broker's answer.
        window: how many messages may be in flight at most.
        unadvertised_window: the same for a broker that cannot say how many it takes: see the module.

    Raises:
        InvalidInput: an argument out of its range, or a TLS context that checks no certificates.
        MqttError: a TLS file cannot be read.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int | None = None,
        *,
        tls: ssl.SSLContext | TLS | bool | None = None,
        username: str | None = None,
        password: str | Callable[[], str] | None = None,
        version: Version = "5",
        client_id: str | None = None,
        keepalive: int = 60,
        connect_timeout: float = 10.0,
        window: int = 1000,
        unadvertised_window: int = UNADVERTISED_WINDOW,
    ) -> None:
        self._options = options = Options.checked(
            id=b"", host=host, port=port, tls=tls, username=username, password=password, version=version,
            clean_session=True, session_expiry=None, client_id=client_id, keepalive=keepalive,
            connect_timeout=connect_timeout, window=window,
        )  # fmt: skip
        if client_id == "" and version == "3.1.1":
            raise InvalidInput('client_id must not be empty: only with version="5" does the broker give one')
        if options.tls and not (options.tls.check_hostname and options.tls.verify_mode == ssl.CERT_REQUIRED):
            raise InvalidInput("tls must check the broker's certificate and host name")
        if not 1 <= unadvertised_window <= 0xFFFF:
            raise InvalidInput("unadvertised_window must be 1 to 65535 messages")
        self._unadvertised_window = unadvertised_window
        self._client_id = options.client_id
        self._waker = Waker()
        self._closed = False
        self._connection: Connection | None = None
        self._in_flight = InFlight(1)
        self._outcomes: list[Outcome] = []
        self._taken = 0  # messages of the present `send`
        self._sending = False
        self._stalled = 0.0  # seconds waited since the last acknowledgement

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        return f"<{type(self).__qualname__} {self._client_id} at {self._options.address}, {state}>"

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        connection = self._connection
        return connection is not None and connection.ended is None and not self._waker.aborted

    @property
    def window(self) -> int:
        """How many messages may be in flight on this connection, or could on the last one."""
        return self._in_flight.window

    @property
    def in_flight(self) -> int:
        """How many messages the broker was given and has not completed."""
        return len(self._in_flight)

    def connect(self) -> None:
        """Open a connection and have the broker take it; an older one is dropped.

        Raises:
            MqttError: it cannot be done, or the broker refuses; the text says why.
            InvalidInput: client id, user name or password cannot be sent.
        """
        if self._closed or self._waker.aborted:
            raise MqttError("the publisher is closed")
        self._drop()
        options = self._options
        connection = Connection.open(options, self._client_id, self._waker)
        answer = connection.answer
        limit = 0xFFFF if options.version == "5" else self._unadvertised_window
        self._in_flight = InFlight(min(options.window, answer.receive_maximum or limit))
        self._retain = answer.retain
        self._max_packet = min(answer.max_packet or MAX_PACKET, MAX_PACKET)
        self._client_id = answer.client_id or self._client_id
        self._connection = connection
        _logger.debug("connected to %s, window %d", options.address, self.window)

    def send(
        self, messages: Iterable[tuple[str, bytes, bool]], timeout_without_progress: float = 30.0
    ) -> Iterator[Outcome]:
        """Publish messages, each once, in their order, and give the outcome of each as it comes.

        A message is taken from `messages` just before it leaves, and after all outcomes known by then were
        given; so `messages` can be a generator that protects each at that moment, and that leaves some out
        or ends early because of what it has seen. What is in flight when `messages` ends is waited for, and
        so it is before an exception of `messages` is raised.

        Who leaves the iteration before its end drops the connection: what is in flight then stays unknown.

        Args:
            messages: topic, payload and retain flag of each.
            timeout_without_progress: seconds of waiting for the broker without any acknowledgement after
                which the connection is given up.

        Yields:
            In the order in which messages are completed.

        Raises:
            NotConnected: there is no connection.
            ConnectionLost: it ended.
        """
        if self._connection is None:
            raise NotConnected
        if self._sending:
            raise MqttError("messages are being sent already")
        return self._send(self._connection, iter(messages), timeout_without_progress)

    def idle(self, timeout: float) -> bool:
        """Keep the connection alive, until `timeout` seconds have passed or `wake` is or was called.

        Returns:
            Whether it was woken.

        Raises:
            NotConnected: there is no connection.
            ConnectionLost: it ended.
        """
        deadline = time.monotonic() + timeout
        while True:
            if self._connection is None:
                raise NotConnected
            left = max(deadline - time.monotonic(), 0)
            self._exchange(self._connection, 0 if self._waker.woken else left)
            if self._waker.woken or left == 0:
                woken, self._waker.woken = self._waker.woken, False
                return woken

    def wake(self) -> None:
        """End the present call of `idle`, or the next one. From any thread."""
        self._waker.wake()

    def abort(self) -> None:
        """Give the connection up, for good: whatever waits for the broker raises. From any thread."""
        self._waker.abort()

    def close(self) -> None:
        """Say farewell to the broker and close; for good."""
        self._closed = True
        if self._connection is not None and self.connected and not self._in_flight:
            self._connection.close()
            self._connection = None
        self._drop()
        self._waker.close()

    def _send(
        self, connection: Connection, messages: Iterator[tuple[str, bytes, bool]], patience: float
    ) -> Iterator[Outcome]:
        self._sending = True
        self._taken = 0
        self._stalled = 0.0
        failure: Exception | None = None
        more = True
        try:
            while True:
                if self._connection is not connection:  # since the last outcome was given
                    raise NotConnected
                if more:
                    try:
                        more = self._take(connection, messages)
                    except Exception as error:
                        more, failure = False, error
                if not self._outcomes:
                    if self._in_flight:
                        self._press_on(connection, more, patience)
                    elif not more:
                        break
                outcomes, self._outcomes = self._outcomes, []
                yield from outcomes
            if failure is not None:
                raise failure
        finally:
            if self._connection is connection:
                self._sending = False
                if self._in_flight:
                    self._drop()

    def _take(self, connection: Connection, messages: Iterator[tuple[str, bytes, bool]]) -> bool:
        """Take and encode messages while there is room for them; False when there are no more."""
        out, in_flight, version = connection.out, self._in_flight, self._options.version
        for _ in range(min(in_flight.room, _BATCH)):
            if len(out) >= _UNSENT:
                return True
            message = next(messages, None)
            if message is None:
                return False
            topic, payload, retain = message
            number = self._taken
            self._taken += 1
            try:
                packet = publish(version, encode_topic(topic), in_flight.next_id, payload, retain)
                self._check(packet, retain)
            except (InvalidTopic, MqttError) as error:
                self._outcomes.append(Outcome(number, error))
                continue
            in_flight.add(number)
            out += packet
        return True

    def _check(self, packet: bytes, retain: bool) -> None:
        """Raises `MqttError` for what would make the broker end the connection."""
        problem = None
        if retain and not self._retain:
            problem = "keeps no retained messages"
        elif len(packet) > self._max_packet:
            problem = f"takes packets of {self._max_packet} bytes at most"
        if problem:
            raise MqttError(f"the broker at {self._options.address} {problem}")

    def _press_on(self, connection: Connection, more: bool, patience: float) -> None:
        """Exchange what there is, and wait for the broker if it is its turn."""
        ours = more and self._in_flight.room and len(connection.out) < _UNSENT
        self._exchange(connection, 0 if ours else patience - self._stalled)
        if self._stalled >= patience and not self._outcomes:
            address = self._options.address
            raise self._lost(f"the broker at {address} has acknowledged nothing for {patience:g} seconds")

    def _exchange(self, connection: Connection, timeout: float) -> None:
        """Write and read, and settle what is acknowledged."""
        started = time.monotonic()
        try:
            acks = connection.exchange(timeout)
        except MqttError as error:
            raise self._lost(str(error)) from error
        if acks:
            self._stalled = 0.0
            self._settle(connection, acks)
        else:
            self._stalled += time.monotonic() - started

    def _settle(self, connection: Connection, acks: list[Ack]) -> None:
        acknowledge, outcomes, address = self._in_flight.acknowledge, self._outcomes, self._options.address
        releases = bytearray()
        for ack in acks:
            try:
                number = acknowledge(ack)
            except KeyError:
                connection.not_in_flight()
                break
            if number is None:
                releases += pubrel(ack.id)
            elif ack.reason < REFUSED:
                outcomes.append(Outcome(number, None))
            else:
                error = MqttError(f"the broker at {address} refused the message: {reason_text(ack.reason)}")
                outcomes.append(Outcome(number, error))
        connection.out += releases

    def _lost(self, message: str) -> ConnectionLost:
        """The connection cannot be used any more."""
        unknown = self._in_flight.numbers
        self._drop()
        return ConnectionLost(message, unknown)

    def _drop(self) -> None:
        """Close without a farewell; nothing is in flight any more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self._in_flight = InFlight(self.window)
        self._outcomes = []
        self._sending = False
