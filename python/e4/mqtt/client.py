"""The client for threads: one network thread over paho-mqtt, callbacks on that thread."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Self

from e4.errors import NotDelivered
from e4.mqtt._base import BaseSecureClient
from e4.mqtt._network import NetworkThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Buffer

    from e4.errors import MqttError
    from e4.mqtt._outbox import Publication

__all__ = ["SecureClient"]

_logger = logging.getLogger("e4.mqtt")


class SecureClient(BaseSecureClient):
    """An E4 client and an MQTT connection as one, for programs with threads.

    Callbacks run on the network thread, one at a time and in the order of arrival; they may publish
    and subscribe, but not wait. All methods may be called from any thread.

    ::

        with SecureClient(client, "broker.example", tls=True, on_message=print) as secure:
            secure.subscribe("plant/+/temperature")
            secure.publish("plant/1/temperature", b"21.5").wait(10)
    """

    _network: NetworkThread | None = None

    def __enter__(self) -> Self:
        if self._network is None:
            self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except NotDelivered as error:
            if kind is None:
                raise
            _logger.warning("%s", error)

    def connect(self, timeout: float | None = 10.0) -> Self:
        """Connect, and subscribe to the receiving topic.

        Args:
            timeout: for how many seconds to try; None for as long as it takes.

        Raises:
            MqttError: the broker refused the connection, its certificate is not accepted, or it cannot
                be reached in time. Unless `start` was called before, nothing runs on then.
        """
        future = self._session.when_ready(fail_fast=True)
        started = self._network is not None
        self.start()
        try:
            self._wait(future, timeout, self._not_connected)
        except BaseException:
            if not started:
                self._stop()
            raise
        return self

    def start(self) -> Self:
        """Connect in the background, also to a broker that is away, and try again until `close`."""
        self._session.check_open()
        if self._network is None:
            self._network = NetworkThread(self._session, self._options, self._backoff)
            self._network.start()
        return self

    def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until connected and subscribed.

        Raises:
            NotConnected: not in time; the text has the last reason.
        """
        self._wait(self._session.when_ready(fail_fast=False), timeout, self._not_connected)

    def subscribe(self, filter: str, qos: int = 1, timeout: float | None = 10.0) -> None:
        """Subscribe, now and at each reconnection.

        In a callback, and with ``timeout=0``, it does not wait for the broker's answer; a refusal then
        goes to `on_error`.

        Args:
            filter: topic filter, with ``+`` and ``#``.
            qos: the highest QoS at which to receive.
            timeout: seconds to wait for the broker's answer; None for as long as it takes.

        Raises:
            MqttError: the broker refused; or it has not answered, and will be asked again.
            InvalidTopic: not a topic filter.
        """
        waits = self._waits(timeout)
        future = self._session.subscribe(filter, qos, waits)
        if waits:
            self._wait(future, timeout, self._no_answer)

    def unsubscribe(self, filter: str, timeout: float | None = 10.0) -> None:
        """End a subscription; the one to the receiving topic stays.

        Args:
            filter: as it was given to `subscribe`.
            timeout: seconds to wait for the broker's answer.

        Raises:
            MqttError: the broker has not answered, and will be asked again.
            InvalidTopic: not a topic filter, or the receiving topic.
        """
        future = self._session.unsubscribe(filter)
        if self._waits(timeout):
            self._wait(future, timeout, self._no_answer)

    def publish(self, topic: str, payload: Buffer | str, qos: int = 1, retain: bool = False) -> Publication:
        """Protect a message and publish it.

        With QoS 1 or 2 it is kept while the broker is away, and protected when it is sent. What cannot be
        delivered is never dropped in silence: `Publication.wait` or `close` says so.

        Args:
            topic: where.
            payload: bytes, or text to be sent as UTF-8.
            qos: 0, 1 or 2.
            retain: have the broker keep it for later subscribers, who take it only while it is not too old.

        Raises:
            TopicKeyMissing: the client has no key for the topic, and it may not pass in clear.
            InvalidTopic: not a topic name.
            NotConnected: QoS 0, and the broker is away.
            MqttError: too many messages wait already, or the connection is closed.
        """
        return self._session.publish(topic, payload, qos, retain)

    def close(self, timeout: float = 5.0) -> None:
        """Wait for acknowledgements, disconnect, and end the network thread. The E4 client stays open.

        Args:
            timeout: how many seconds to wait for the broker to acknowledge what is on its way. A callback
                cannot wait: there it is 0.

        Raises:
            NotDelivered: messages were not acknowledged; says how many.
        """
        network = self._network
        count = 0
        try:
            if network is not None and not network.is_current() and self.unacknowledged:
                with contextlib.suppress(FutureTimeoutError):
                    self._session.when_drained().result(timeout)
        finally:
            count = self._session.close()
            self._stop()
        if count:
            raise NotDelivered(f"closed with {count} messages that the broker has not acknowledged")

    def _stop(self) -> None:
        network, self._network = self._network, None
        if network is not None:
            network.stop()

    def _wait(
        self, future: Future[None], timeout: float | None, late: Callable[[float | None], MqttError]
    ) -> None:
        if not future.done():
            self._session.forbid_waiting()
        try:
            future.result(timeout)
        except FutureTimeoutError:
            future.cancel()
            raise late(timeout) from None

    def _waits(self, timeout: float | None) -> bool:
        in_callback = self._network is not None and self._network.is_current()
        return timeout != 0 and not in_callback
