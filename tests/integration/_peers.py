"""Secure clients for the tests. Both kinds look the same here, so that each case is written once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Literal, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

import e4
from e4 import commands, crypto
from e4.mqtt import CommandApplied, Message, Refused, SecureClient, aio
from tests._broker import Broker, until
from tests._c2 import C2, Clock, Device, pub_device, sym_device
from tests._proxy import Proxy

Kind = Literal["threads", "asyncio"]
KINDS: tuple[Kind, ...] = ("threads", "asyncio")
VERSIONS = ("3.1.1", "5")
MODES = ("symkey", "pubkey")
TOPIC = "plant/1/temperature"

T = TypeVar("T")


class Events:
    """What a client was told, as the callbacks came."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refused: list[Refused] = []
        self.applied: list[CommandApplied] = []
        self.errors: list[e4.E4Error] = []
        self.connected = 0
        self.lost: list[e4.MqttError | None] = []

    def callbacks(self) -> dict[str, Any]:
        def connected() -> None:
            self.connected += 1

        return {
            "on_message": self.messages.append,
            "on_refused": self.refused.append,
            "on_command": self.applied.append,
            "on_error": self.errors.append,
            "on_connect": connected,
            "on_disconnect": self.lost.append,
        }

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    @property
    def reasons(self) -> list[type[e4.E4Error]]:
        return [type(refused.reason) for refused in self.refused]


class Peer:
    """One secure client, driven from the test's thread."""

    def __init__(self, device: Device, broker: Broker | Proxy, options: dict[str, Any]) -> None:
        self.device = device
        self.events = Events()
        self.arguments: tuple[Any, ...] = (device.client, broker.host, broker.port)
        self.options: dict[str, Any] = {
            "min_delay": 0.05,
            "max_delay": 0.2,
            **self.events.callbacks(),
            **options,
        }

    def connected(self) -> bool:
        return self.secure.is_connected

    secure: SecureClient | aio.SecureClient

    def until_connected(self) -> None:
        until(self.connected, what="connected")


class ThreadsPeer(Peer):
    def __init__(self, device: Device, broker: Broker | Proxy, options: dict[str, Any]) -> None:
        super().__init__(device, broker, options)
        self.secure: SecureClient = SecureClient(*self.arguments, **self.options)

    def connect(self, timeout: float = 10) -> Any:
        self.secure.connect(timeout)
        return self

    def start(self) -> Any:
        self.secure.start()
        return self

    def subscribe(self, filter: str, qos: int = 1, timeout: float | None = 10) -> None:
        self.secure.subscribe(filter, qos, timeout)

    def unsubscribe(self, filter: str) -> None:
        self.secure.unsubscribe(filter)

    def publish(self, *arguments: Any, **options: Any) -> Callable[[float], None]:
        return self.secure.publish(*arguments, **options).wait

    def close(self, timeout: float = 5) -> None:
        self.secure.close(timeout)


class AsyncioPeer(Peer):
    """Runs an event loop in a thread."""

    def __init__(self, device: Device, broker: Broker | Proxy, options: dict[str, Any]) -> None:
        super().__init__(device, broker, options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.secure: aio.SecureClient = aio.SecureClient(*self.arguments, **self.options)

    def connect(self, timeout: float = 10) -> Any:
        self._run(self.secure.connect(timeout))
        return self

    def start(self) -> Any:
        async def start() -> None:
            self.secure.start()

        self._run(start())
        return self

    def subscribe(self, filter: str, qos: int = 1, timeout: float | None = 10) -> None:
        self._run(self.secure.subscribe(filter, qos, timeout))

    def unsubscribe(self, filter: str) -> None:
        self._run(self.secure.unsubscribe(filter))

    def publish(self, *arguments: Any, **options: Any) -> Callable[[float], None]:
        started: Future[asyncio.Task[None]] = Future()

        async def publish() -> None:
            task = asyncio.create_task(self.secure.publish(*arguments, **options))
            await asyncio.sleep(0)
            if task.done():
                await task  # refused at once
            started.set_result(task)

        self._run(publish())
        task = started.result()

        def wait(timeout: float) -> None:
            async def wait() -> None:
                await asyncio.shield(task)

            try:
                self._run(wait(), timeout)
            except FutureTimeoutError:
                raise e4.NotDelivered from None

        return wait

    def close(self, timeout: float = 5) -> None:
        if not self._loop.is_running():
            return
        try:
            self._run(self.secure.close(timeout))
        finally:
            self._run(self._settle())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _settle(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(tasks, timeout=5) if tasks else None
        left = [task for task in asyncio.all_tasks() - {asyncio.current_task()} if not task.done()]
        assert not left, left

    def _run(self, work: Coroutine[Any, Any, T], timeout: float = 30) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)


_CLASSES = {"threads": ThreadsPeer, "asyncio": AsyncioPeer}
AnyPeer = ThreadsPeer | AsyncioPeer


class Peers:
    """Makes the clients of one test, and closes them with it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._made: list[AnyPeer] = []

    def __call__(self, device: Device, broker: Broker | Proxy, **options: Any) -> AnyPeer:
        peer = _CLASSES[self.kind](device, broker, options)
        self._made.append(peer)
        return peer

    def close(self) -> None:
        for peer in self._made:
            with contextlib.suppress(e4.NotDelivered):
                peer.close(0)


class Plain:
    """An ordinary MQTT client: C2, which publishes commands, or somebody who only sees bytes."""

    def __init__(self, broker: Broker, *filters: str, version: str = "3.1.1") -> None:
        protocol = MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311
        self.seen: list[paho.MQTTMessage] = []
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._paho.on_message = lambda _client, _data, message: self.seen.append(message)
        self._paho.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
        self._paho.connect(broker.host, broker.port)
        self._paho.loop_start()
        until(self._paho.is_connected, what="plain client connected")
        for filter in filters:
            granted = threading.Event()
            self._paho.on_subscribe = lambda *_, granted=granted: granted.set()
            self._paho.subscribe(filter, 2)
            assert granted.wait(10)

    def publish(self, topic: str, payload: bytes, qos: int = 2, retain: bool = False) -> None:
        self._paho.publish(topic, payload, qos, retain).wait_for_publish(10)

    def command(self, device: Device, command: commands.Command, *, retain: bool = True) -> None:
        """Send a command as C2 does, with QoS 2 and retained, under a new second."""
        device.clock.now += 1
        self.publish(device.client.receiving_topic, device.command(command), 2, retain)

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


def pair(mode: str, *, keys: bool = True) -> tuple[Device, Device]:
    """Alice and bob, with one clock; with `keys`, both have the key of `TOPIC`, and each other's."""
    clock = Clock()
    if mode == "symkey":
        alice, bob = sym_device("alice", clock=clock), sym_device("bob", clock=clock)
    else:
        private = {name: crypto.random_ed25519_private_key() for name in ("alice", "bob")}
        c2 = C2()
        alice, bob = (pub_device(name, clock=clock, c2=c2, private_key=key) for name, key in private.items())
        for device, other in ((alice, "bob"), (bob, "alice")):
            device.send(commands.set_pub_key(crypto.ed25519_public_key(private[other]), other))
    if keys:
        command = commands.set_topic_key(crypto.random_key(), TOPIC)
        alice.send(command)
        bob.send(command)
    return alice, bob
