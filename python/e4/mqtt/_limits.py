"""What may be published: by MQTT itself, and by the broker at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from e4._names import read_buffer
from e4.errors import InvalidInput, MqttError

if TYPE_CHECKING:
    from paho.mqtt.properties import Properties
    from typing_extensions import Buffer

    from e4.mqtt._outbox import Publication

__all__ = ["BrokerLimits", "check_qos", "encode_payload"]

# A packet holds 268,435,455 bytes, with the topic and what protection adds.
_MAX_PAYLOAD = 268_000_000
_MAX_HEADER = 16  # bytes of a PUBLISH beside topic and payload


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What the broker said, when it took the connection, that it can take (MQTT 5.0, section 3.2.2.3).

    Args:
        window: how many messages before the first is acknowledged.
        max_qos: 0, 1 or 2.
        retain: whether it keeps retained messages.
        max_size: of a packet, in bytes.
    """

    window: int
    max_qos: int = 2
    retain: bool = True
    max_size: int | None = None

    @classmethod
    def of(cls, properties: Properties | None, window: int) -> BrokerLimits:
        """From the properties of a CONNACK; `window` is the client's own."""
        return cls(
            min(window, getattr(properties, "ReceiveMaximum", window)),
            getattr(properties, "MaximumQoS", 2),
            bool(getattr(properties, "RetainAvailable", 1)),
            getattr(properties, "MaximumPacketSize", None),
        )

    def check(self, publication: Publication, size: int) -> None:
        """Raises `MqttError` for a message that would end the connection, at each attempt again."""
        size += len(publication.topic.encode()) + _MAX_HEADER
        problem = None
        if publication.qos > self.max_qos:
            problem = f"it takes QoS {self.max_qos} at most"
        elif publication.retain and not self.retain:
            problem = "it keeps no retained messages"
        elif self.max_size is not None and size > self.max_size:
            problem = f"it takes packets of {self.max_size} bytes at most"
        if problem:
            raise MqttError(f"the broker cannot take the message on {publication.topic}: {problem}")


def check_qos(qos: int) -> None:
    """Raises `InvalidInput` for what is no QoS."""
    if qos not in (0, 1, 2):
        raise InvalidInput("qos must be 0, 1 or 2")


def encode_payload(payload: Buffer | str) -> bytes:
    """The payload's bytes, or `InvalidInput` where it is too long or no text."""
    if isinstance(payload, str):
        try:
            payload = payload.encode()
        except UnicodeEncodeError:  # its text would show a part of the payload
            raise InvalidInput("payload must be bytes, or text that UTF-8 can encode") from None
    data = read_buffer(payload)
    if len(data) > _MAX_PAYLOAD:
        raise InvalidInput(f"payload must be {_MAX_PAYLOAD} bytes at most")
    return data
