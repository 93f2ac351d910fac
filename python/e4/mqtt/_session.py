"""One client's dealings with its broker over many connections; the part that threads and asyncio share.

Lives here: subscriptions, the outbox, what paho-mqtt's callbacks mean, and what waits for what. It
never opens a connection and never waits. paho-mqtt is only called from the one network thread (or
event loop) that a driver runs; other threads leave their requests here and wake it.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from paho.mqtt.enums import LogLevel, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes

from e4.errors import E4Error, InvalidTopic, MqttError, NotConnected, NotDelivered
from e4.mqtt import _paho
from e4.mqtt._callbacks import Callbacks
from e4.mqtt._gate import Gate, Refused
from e4.mqtt._limits import BrokerLimits, check_qos, encode_payload
from e4.mqtt._outbox import Entry, Outbox, Publication, settle
from e4.mqtt._policy import ClearTopics
from e4.mqtt._subscriptions import Request, Subscriptions, check_subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import Client as Paho
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode
    from typing_extensions import Buffer

    from e4.client import Client
    from e4.mqtt._options import Options

__all__ = ["Session"]

_logger = logging.getLogger("e4.mqtt")

# Unavailable, busy, quota exceeded, rate exceeded: reasons of a CONNACK that pass by themselves.
_PASSING = (0x88, 0x89, 0x97, 0x9F)
_UNKNOWN_MID = 0x92


class Session:
    """See the module.

    Args:
        client: holds the keys.
        options: where the broker is.
        clear: what may pass in clear.
        callbacks: the user's functions, called on the network thread.
        max_queued: how many unacknowledged messages to keep.
    """

    def __init__(
        self, client: Client, options: Options, clear: ClearTopics, callbacks: Callbacks, max_queued: int
    ) -> None:
        self.callbacks = callbacks
        self.wake: Callable[[], None] = lambda: None
        self.ended: Callable[[], None] = lambda: None
        self.forbid_waiting: Callable[[], None] = lambda: None
        self.last_error: MqttError | None = None
        self.connected = False
        self.ready = False
        self.closed = False
        self.leaving = False
        self.reached = False
        self.gate = Gate(client, clear)
        self._options = options
        self._outbox = Outbox(self.gate, client.now, client.limits, max_queued)
        self._lock = threading.RLock()
        self._paho: Paho | None = None
        self._broker = BrokerLimits(options.window)
        self._subscriptions = Subscriptions(client.receiving_topic)
        self._blocked = False
        self._ready_waiters: list[tuple[Future[None], bool]] = []
        self._drained: list[Future[None]] = []
        self._refusal: tuple[MqttError, bool] | None = None
        self._last_log = ""
        self._told_lost = True

    # What users ask for, from any thread.

    def publish(self, topic: str, payload: Buffer | str, qos: int, retain: bool) -> Publication:
        """Accept a message, or say at once why not."""
        check_qos(qos)
        data = encode_payload(payload)
        self.gate.check(topic)
        publication = Publication(topic, qos, bool(retain), lambda: self.forbid_waiting())
        with self._lock:
            self.check_open()
            if qos == 0 and not self.connected:
                raise NotConnected
            self._outbox.add(Entry(publication, data))
        self.wake()
        return publication

    def subscribe(self, filter: str, qos: int, wait: bool) -> Future[None]:
        """Subscribe now or when the connection is back, and at each later one.

        Where nobody waits for the answer, a refusal is reported.
        """
        check_subscription(filter)
        check_qos(qos)
        return self._request(filter, qos, wait)

    def unsubscribe(self, filter: str) -> Future[None]:
        """End a subscription; the one to the receiving topic stays."""
        check_subscription(filter)
        return self._request(filter, None, True)

    def when_ready(self, fail_fast: bool) -> Future[None]:
        """Done when connected and subscribed; with `fail_fast`, fails when trying again cannot help."""
        future: Future[None] = Future()
        with self._lock:
            self.check_open()
            if self.ready:
                settle(future)
            else:
                self._ready_waiters.append((future, fail_fast))
        return future

    def when_drained(self) -> Future[None]:
        """Done when the broker has acknowledged everything."""
        future: Future[None] = Future()
        with self._lock:
            if len(self._outbox) == 0:
                settle(future)
            else:
                self._drained.append(future)
        return future

    def check_open(self) -> None:
        """Raises `MqttError` after `close`."""
        if self.closed:
            raise MqttError("the connection is closed")

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 and 2 the broker has not acknowledged."""
        return len(self._outbox)

    def close(self) -> int:
        """Refuse everything from now on; returns how many messages were not acknowledged."""
        with self._lock:
            self.closed = True
            count = self._outbox.fail_all(lambda: NotDelivered("closed before the broker acknowledged it"))
            futures = self._subscriptions.clear() + [future for future, _ in self._ready_waiters]
            self._ready_waiters.clear()
        for future in futures:
            settle(future, MqttError("the connection is closed"))
        return count

    # What the driver does on the network thread.

    def attach(self, paho: Paho, *, chain: bool = False) -> None:
        """Take over paho's callbacks; with `chain`, those of the connection are also called as before."""
        self._paho = paho
        paho.max_inflight_messages_set(self._options.window)
        on_connect, on_disconnect = (paho.on_connect, paho.on_disconnect) if chain else (None, None)

        def connected(*arguments: Any) -> None:
            self._on_connect(*arguments)
            if on_connect:
                on_connect(*arguments)

        def disconnected(*arguments: Any) -> None:
            self._on_disconnect(*arguments)
            if on_disconnect:
                on_disconnect(*arguments)

        paho.on_connect = connected
        paho.on_disconnect = disconnected
        paho.on_publish = self._on_publish
        paho.on_subscribe = self._on_subscribe
        paho.on_unsubscribe = self._on_unsubscribe
        _paho.report_refused_pubrec(paho)

    def connecting(self) -> None:
        """An attempt begins."""
        assert self._paho is not None
        self.reached = self._told_lost = False
        self._refusal = None
        self._last_log = ""
        self._paho.on_log = self._on_log
        _paho.keep_released(self._paho)

    def failed(self, error: MqttError, final: bool) -> None:
        """The attempt failed."""
        with self._lock:
            self._told_lost = True
            self.last_error = error
            waiters = [f for f, fail_fast in self._ready_waiters if final and fail_fast]
            self._ready_waiters = [w for w in self._ready_waiters if w[0] not in waiters]
        for future in waiters:
            settle(future, error)
        if not waiters:
            self.callbacks.failed(error)

    def unanswered(self) -> None:
        """The broker took the connection and said nothing; the driver hangs up."""
        timeout = self._options.connect_timeout
        error = MqttError(f"no answer from {self._options.address} within {timeout:g} seconds")
        self._refusal = self._refusal or (error, False)

    def lost(self, detail: str) -> None:
        """The connection has ended, or was never made; said again, this does nothing."""
        address = self._options.address
        with self._lock:
            was_connected, self.connected = self.connected, False
            was_ready, self.ready = self.ready, False
            told, self._told_lost = self._told_lost, True
            self._outbox.lost()
        self.ended()
        if self.leaving:
            if was_ready:
                self.callbacks.disconnected(None)
        elif was_connected:
            error = MqttError(f"the connection to {address} is lost{detail}")
            self.last_error = error
            if was_ready:
                self.callbacks.disconnected(error)
            else:
                self.callbacks.failed(error)
        elif not told:
            detail = f": {self._last_log}" if self._last_log else detail
            ended = MqttError(f"{address} ended the connection before it was made{detail}")
            self.failed(*(self._refusal or (ended, "SSL" in detail)))

    def pump(self) -> None:
        """Give paho what it may send now."""
        errors: list[E4Error] = []
        with self._lock:
            paho = self._paho
            if not self.connected or paho is None:
                return
            while (request := self._subscriptions.take()) is not None:
                mid = _ask(paho, request)
                self._subscriptions.sent(request, mid)
                if mid is None:
                    return
            while (entry := self._outbox.take(self._broker.window)) is not None:
                publication = entry.publication
                try:
                    message = self._outbox.seal(entry)
                    self._broker.check(publication, len(message))
                    mid = self._send(paho, publication, message)
                except Exception as error:
                    errors.append(self._unsendable(entry, error))
                else:
                    self._outbox.sent(entry, mid)
            drained = self._take_drained()
        for future in drained:
            settle(future)
        for failure in errors:
            self.callbacks.failed(failure)

    def read(self, message: MQTTMessage) -> tuple[str, bytes, int, bool] | None:
        """What a received message holds; None if its topic is no text, which is reported here."""
        payload = bytes(message.payload)
        try:
            return message.topic, payload, message.qos, message.retain
        except UnicodeDecodeError:
            topic = repr(message._topic)
            reason = InvalidTopic("topic is not UTF-8")
            self.callbacks.received(Refused(topic, payload, message.qos, message.retain, reason))
            return None

    def receive(self, message: MQTTMessage) -> None:
        """Open a received message or apply it, and tell the user."""
        received = self.read(message)
        if received is not None:
            self.callbacks.received(self.gate.open(*received))

    # What paho reports.

    def _on_connect(
        self, paho: Paho, _data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            error = MqttError(f"the broker at {self._options.address} refused the connection: {reason}")
            self._refusal = error, reason.value not in _PASSING
            return
        with self._lock:
            paho.on_log = None
            self.connected = self.reached = True
            self._told_lost = False
            self._broker = BrokerLimits.of(properties, self._options.window)
            _paho.forget(paho, self._outbox.resume(flags.session_present))
            self._subscriptions.renew()
            self._blocked = False
        _logger.debug("connected to %s", self._options.address)
        self.wake()

    def _on_disconnect(
        self, _paho: Paho, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        self.lost(f": {reason}" if flags.is_disconnect_packet_from_server else "")

    def _on_publish(
        self, _paho: Paho, _data: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        # A broker that has finished with a QoS 2 message no longer knows its identifier: all is well.
        finished = reason.packetType == PacketTypes.PUBCOMP and reason.value == _UNKNOWN_MID
        refused = str(reason) if reason.is_failure and not finished else None
        with self._lock:
            error = self._outbox.acknowledged(mid, refused)
            drained = self._take_drained()
        for future in drained:
            settle(future)
        if error is not None:
            self.callbacks.failed(error)
        self.wake()

    def _on_subscribe(
        self, _paho: Paho, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = next((reason for reason in reasons if reason.is_failure), None)
        with self._lock:
            request = self._subscriptions.answered(mid, refused is not None)
        if request is None:
            return
        error = None
        if refused is not None:
            error = MqttError(f"the broker refused the subscription to {request.filter}: {refused}")
            if self.gate.is_own(request.filter):
                self._blocked = True
                self.failed(error, final=True)
            elif request.automatic or all(future.cancelled() for future in request.waiters):
                self.callbacks.failed(error)
        for future in request.waiters:
            settle(future, error)
        self._check_ready()

    def _on_unsubscribe(
        self, _paho: Paho, _data: Any, mid: int, _reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        with self._lock:
            request = self._subscriptions.answered(mid)
        for future in request.waiters if request is not None else ():
            settle(future)
        self._check_ready()

    def _on_log(self, _paho: Paho, _data: Any, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._last_log = text

    # Helpers.

    def _request(self, filter: str, qos: int | None, wait: bool) -> Future[None]:
        with self._lock:
            self.check_open()
            future = self._subscriptions.request(filter, qos)
            if not wait:
                future.cancel()
        self.wake()
        return future

    def _check_ready(self) -> None:
        with self._lock:
            if self.ready or not self.connected or self._blocked or self._subscriptions.renewing:
                return
            self.ready = True
            self.last_error = None
            waiters, self._ready_waiters = self._ready_waiters, []
        for future, _ in waiters:
            settle(future)
        _logger.info("connected to %s", self._options.address)
        self.callbacks.connected()

    def _send(self, paho: Paho, publication: Publication, message: bytes) -> int:
        # paho refuses a packet identifier that is still in use; the next call takes the next one.
        for _ in range(self._options.window + 1):
            info = paho.publish(publication.topic, message, publication.qos, publication.retain)
            if info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                break
        if info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN and publication.qos == 0:
            raise NotConnected
        return info.mid

    def _take_drained(self) -> list[Future[None]]:
        if len(self._outbox):
            return []
        futures, self._drained = self._drained, []
        return futures

    def _unsendable(self, entry: Entry, error: Exception) -> E4Error:
        """A message that cannot be sent fails by itself, and holds up no other."""
        if not isinstance(error, E4Error):
            _logger.error("cannot send a message on %r", entry.publication.topic, exc_info=error)
            error = MqttError(f"the message could not be sent: {type(error).__name__}")
        self._outbox.finish(entry, error)
        return error


def _ask(paho: Paho, request: Request) -> int | None:
    """Send a SUBSCRIBE or UNSUBSCRIBE; None if the connection is gone."""
    if request.qos is None:
        result, mid = paho.unsubscribe(request.filter)
    else:
        result, mid = paho.subscribe(request.filter, request.qos)
    return mid if result == MQTTErrorCode.MQTT_ERR_SUCCESS else None
