"""One message to the broker, as it is, and then away: how a command is sent without a client of one's own.

Knows no key and no state: what is published here must be protected already.
"""

from __future__ import annotations

import math
import secrets
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from e4._names import encode_topic, read_buffer
from e4.errors import MqttError, NotConnected, NotDelivered
from e4.mqtt._options import TLS, Options, Version, connection_error
from e4.mqtt._paho import report_refused_pubrec

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["publish_command"]

_TICK = 0.1  # seconds; paho's loop returns as soon as something arrives


def publish_command(
    topic: str,
    message: Buffer,
    *,
    host: str,
    port: int | None = None,
    tls: ssl.SSLContext | TLS | bool | None = None,
    username: str | None = None,
    password: str | Callable[[], str] | None = None,
    version: Version = "3.1.1",
    retain: bool = True,
    timeout: float = 10.0,
) -> None:
    """Connect, publish one protected command with QoS 2, wait for the acknowledgement, disconnect.

    Args:
        topic: the client's control topic (`e4.crypto.topic_for_id`).
        message: the protected command (`e4.crypto.protect_sym_key`).
        host: the broker.
        port: 1883, or 8883 with TLS, if not given.
        tls: True for TLS with the system's authorities, or the details.
        username: for the broker.
        password: for the broker.
        version: of MQTT.
        retain: whether the broker keeps the command, as the deployed C2 has it.
        timeout: seconds for all of it.

    Raises:
        NotConnected: the broker cannot be reached.
        NotDelivered: the broker did not acknowledge in time; it may or may not have the command.
        MqttError: the broker's certificate is not accepted, or it refuses the connection or the command.
        InvalidTopic: not a topic name.
    """
    encode_topic(topic)
    payload = read_buffer(message)
    options = Options.checked(
        id=b"", host=host, port=port, tls=tls, username=username, password=password, version=version,
        clean_session=True, session_expiry=None, client_id=f"e4-command-{secrets.token_hex(8)}",
        keepalive=min(max(1, math.ceil(timeout)), 0xFFFF), connect_timeout=timeout, window=1,
    )  # fmt: skip
    _Delivery(options, timeout).run(topic, payload, retain)


class _Delivery:
    """One connection, driven by this thread alone."""

    def __init__(self, options: Options, timeout: float) -> None:
        self._options = options
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._error: MqttError | None = None
        self._connected = self._acknowledged = False
        self._paho = paho = Client(
            CallbackAPIVersion.VERSION2, client_id=options.client_id, protocol=options.protocol
        )
        paho.connect_timeout = options.connect_timeout
        if options.tls is not None:
            paho.tls_set_context(options.tls)
        if options.username is not None:
            paho.username_pw_set(options.username, options.current_password())
        paho.on_connect = self._on_connect
        paho.on_publish = self._on_publish
        report_refused_pubrec(paho)

    def run(self, topic: str, payload: bytes, retain: bool) -> None:
        """The whole delivery; see `publish_command`."""
        address = self._options.address
        try:
            try:
                self._paho.connect(self._options.host, self._options.port, keepalive=self._options.keepalive)
            except (OSError, ValueError) as error:
                reason, final = connection_error(error, address)
                raise (reason if final else NotConnected(str(reason))) from error
            self._loop(lambda: self._connected, f"the broker at {address} does not answer")
            self._paho.publish(topic, payload, qos=2, retain=retain)
            self._loop(
                lambda: self._acknowledged,
                f"the broker at {address} has not acknowledged the command within {self._timeout:g} seconds",
            )
        finally:
            self._paho.disconnect()
            self._paho.loop(_TICK)  # writes the farewell, and finds the connection closed

    def _loop(self, done: Callable[[], bool], otherwise: str) -> None:
        while True:
            code = self._paho.loop(_TICK)
            if self._error is not None:
                raise self._error
            if done():
                return
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise NotDelivered(f"the connection to {self._options.address} ended before the answer")
            if time.monotonic() >= self._deadline:
                raise NotDelivered(otherwise)

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._error = MqttError(f"the broker at {self._options.address} refuses the connection: {reason}")
        self._connected = not reason.is_failure

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._error = MqttError(f"the broker at {self._options.address} refuses the command: {reason}")
        self._acknowledged = not reason.is_failure
