"""Devices behind a broker: each an `e4.Client`, which applies what C2 sends to it, and all that arrived.

One connection receives for all of them, in a session that outlives the broker's and its own absence.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

import e4
from e4 import _wire, crypto
from e4.errors import E4Error
from tests._broker import Broker, until

# What a broker needs so that it drops nothing of what comes at once.
BROKER = ("max_inflight_messages 1000", "max_queued_messages 0", "log_type error")
APPLIED, CLEARED, STRANGER = "applied", "cleared", "no such device"


@dataclass(frozen=True)
class Arrival:
    """A message on a control topic, and what came of it: ``applied``, or the name of the error."""

    topic: str
    payload: bytes
    outcome: str
    at: float  # seconds since the epoch, of the fleet's clock
    retained: bool  # the broker had kept it: it comes with each new subscription

    @property
    def second(self) -> int:
        """The second it is dated with."""
        return int.from_bytes(self.payload[: _wire.TIMESTAMP_LEN], "little")


@dataclass
class Device:
    """A client and its state."""

    client: e4.Client
    store: e4.MemoryStore = field(default_factory=e4.MemoryStore)

    @property
    def topic(self) -> str:
        """Where its commands come."""
        return self.client.receiving_topic

    def topic_keys(self) -> dict[str, bytes]:
        """Its current topic keys, by the topic's hash in hex."""
        keys = {name: base64.b64decode(key) for name, key in self._state()["TopicKeys"].items()}
        return {name: key for name, key in keys.items() if len(key) == _wire.KEY_LEN}

    def own_key(self) -> bytes:
        """Its symmetric key, or its public key."""
        data = self._state()["Key"]["keyData"]
        if "Key" in data:
            return base64.b64decode(data["Key"])
        return crypto.ed25519_public_key(base64.b64decode(data["PrivateKey"]))

    def c2_key(self) -> bytes:
        """C2's public key, as it has it."""
        return base64.b64decode(self._state()["Key"]["keyData"]["C2PubKey"])

    def public_keys(self) -> dict[str, bytes]:
        """The public keys it has, by the id in hex."""
        keys = self._state()["Key"]["keyData"]["PubKeys"] or {}
        return {id: base64.b64decode(key) for id, key in keys.items()}

    def _state(self) -> dict[str, dict[str, dict[str, str]]]:
        data = self.store.read()
        assert data is not None
        state: dict[str, dict[str, dict[str, str]]] = json.loads(data)
        return state


class Fleet:
    """The devices.

    Args:
        broker: where they are.
        clock: seconds since the epoch, theirs and C2's.
    """

    def __init__(self, broker: Broker, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.devices: dict[str, Device] = {}  # by name
        self.arrivals: list[Arrival] = []
        self._by_topic: dict[str, Device] = {}
        self._subscribed = threading.Event()
        self._paho = client = paho.Client(
            CallbackAPIVersion.VERSION2, f"fleet-{secrets.token_hex(6)}", clean_session=False
        )
        client.max_inflight_messages_set(1000)
        client.on_message = self._arrived
        client.on_connect = lambda *_: client.subscribe("e4/#", 2)
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
        client.connect(broker.host, broker.port)
        client.loop_start()
        assert self._subscribed.wait(20)

    def add_symmetric(self, name: str, key: bytes) -> Device:
        """A device in SK mode; one of this name is given this key anew, and has nothing else."""
        return self._add(name, e4.SymIdAndKey(crypto.hash_id_alias(name), key))

    def add_public(self, name: str, private_key: bytes, c2_key: bytes) -> Device:
        """A device in PK mode."""
        return self._add(name, e4.PubIdAndKey(crypto.hash_id_alias(name), private_key, c2_key))

    def to(self, name: str) -> list[Arrival]:
        """What has arrived for a device, in order."""
        topic = crypto.topic_for_id(crypto.hash_id_alias(name))
        return [arrival for arrival in list(self.arrivals) if arrival.topic == topic]

    def wait_for(self, payloads: set[bytes], timeout: float = 30.0) -> None:
        """Wait until all of these have arrived."""
        until(
            lambda: payloads <= {arrival.payload for arrival in list(self.arrivals)}, timeout, "they arrive"
        )

    def close(self) -> None:
        """Away from the broker."""
        self._paho.disconnect()
        self._paho.loop_stop()

    def _add(self, name: str, config: e4.ClientConfig) -> Device:
        store = e4.MemoryStore()
        device = Device(e4.Client.create(config, store, clock=self.clock), store)
        self.devices[name] = self._by_topic[device.topic] = device
        return device

    def _arrived(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        at, device = self.clock(), self._by_topic.get(message.topic)
        if not message.payload:
            outcome = CLEARED
        elif device is None:
            outcome = STRANGER
        else:
            try:
                assert device.client.unprotect(message.payload, message.topic) is None
                outcome = APPLIED
            except E4Error as error:
                outcome = type(error).__name__
        self.arrivals.append(Arrival(message.topic, message.payload, outcome, at, message.retain))
