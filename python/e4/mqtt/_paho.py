"""The corners of paho-mqtt that have no public name, all in this file, tested against real answers.

paho-mqtt ignores the reason in a PUBREC, so a QoS 2 message that an MQTT 5 broker refuses would look
delivered. An attempt to connect that fails makes it publish again what the broker has taken over
already. And before 2.2 it cannot be told to forget a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from paho.mqtt.client import Client as Paho
from paho.mqtt.enums import MessageState, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

__all__ = ["forget", "hang_up", "keep_released", "report_refused_pubrec"]

_REFUSED = 0x80  # reason codes from here on are failures


def forget(paho: Paho, mids: Iterable[int]) -> None:
    """Have paho drop messages that it would otherwise send again. Only while it connects."""
    with paho._out_message_mutex:
        for mid in mids:
            paho._out_messages.pop(mid, None)


def keep_released(paho: Paho) -> None:
    """Before an attempt: have paho remember for which QoS 2 messages only a PUBREL is due.

    It marks them at each attempt, but takes the mark of a failed one for a message never sent.
    """
    with paho._out_message_mutex:
        for message in paho._out_messages.values():
            if message.state == MessageState.MQTT_MS_RESEND_PUBREL:
                message.state = MessageState.MQTT_MS_WAIT_FOR_PUBCOMP


def report_refused_pubrec(paho: Paho) -> None:
    """Have ``on_publish`` called with the reason when a PUBREC refuses a message (MQTT 5.0, 3.5.2.1)."""
    client: Any = paho
    handle_pubrec: Callable[[], MQTTErrorCode] = client._handle_pubrec

    def handle() -> MQTTErrorCode:
        packet = client._in_packet["packet"]
        if client._protocol == MQTTProtocolVersion.MQTTv5 and len(packet) > 2 and packet[2] >= _REFUSED:
            mid = int.from_bytes(packet[:2], "big")
            reason = ReasonCode(PacketTypes.PUBREC, identifier=packet[2])
            with client._out_message_mutex:
                if mid in client._out_messages:
                    client._do_on_publish(mid, reason, None)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return handle_pubrec()

    client._handle_pubrec = handle


def hang_up(paho: Paho) -> None:
    """Close the connection without a farewell; those who watch its socket are told."""
    paho._sock_close()
