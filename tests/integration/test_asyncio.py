"""What only the asyncio client has: messages to iterate over, cancellation, a loop that is never held up."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

import pytest

import e4
from e4 import commands, crypto
from e4.mqtt import Message
from e4.mqtt.aio import SecureClient
from tests._broker import Brokers
from tests._c2 import Device, sym_device
from tests._fake_broker import FakeBroker
from tests.integration._peers import TOPIC, Plain, pair

pytestmark = pytest.mark.mosquitto


@pytest.fixture(autouse=True)
def nothing_goes_unnoticed(caplog: pytest.LogCaptureFixture):  # type: ignore[no-untyped-def]
    """asyncio complains in its log of exceptions and tasks that nobody waited for."""
    yield
    gc.collect()
    assert [r.getMessage() for r in caplog.get_records("call") if r.name == "asyncio"] == []


async def read(client: SecureClient, number: int) -> list[Message]:
    messages: list[Message] = []
    async with asyncio.timeout(15):
        async for message in client.messages:
            messages.append(message)
            if len(messages) == number:
                break
    return messages


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


async def test_messages_are_read_across_reconnections(mosquitto: Brokers, version: str) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    options = {"version": version, "min_delay": 0.05}
    async with (
        SecureClient(bob.client, broker.host, broker.port, **options) as receiver,
        SecureClient(alice.client, broker.host, broker.port, **options) as sender,
    ):
        await receiver.subscribe(TOPIC)
        reading = asyncio.create_task(read(receiver, 4))
        for n in range(2):
            await sender.publish(TOPIC, b"%d" % n, qos=n)
        await eventually(lambda: reading.done() or receiver._unread.empty())
        await asyncio.to_thread(broker.restart)
        await receiver.wait_connected(10)
        for n in range(2, 4):
            await sender.publish(TOPIC, b"%d" % n, qos=2)
        assert sorted(m.payload for m in await reading) == [b"0", b"1", b"2", b"3"]


async def test_iteration_ends_with_the_client_for_all_who_read(mosquitto: Brokers) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    receiver = SecureClient(bob.client, broker.host, broker.port)
    async with receiver, SecureClient(alice.client, broker.host, broker.port) as sender:
        await receiver.subscribe(TOPIC)

        async def read_all() -> list[bytes]:
            return [message.payload async for message in receiver.messages]

        readers = [asyncio.create_task(read_all()) for _ in range(2)]
        await sender.publish(TOPIC, b"x", qos=2)
        await eventually(lambda: receiver._unread.empty())
        await asyncio.sleep(0.05)
        await receiver.close()
        assert sorted(await asyncio.gather(*readers)) == [[], [b"x"]]
    assert [message async for message in receiver.messages] == []


async def test_commands_are_applied_before_the_messages_after_them(mosquitto: Brokers) -> None:
    """Although they are applied in a thread, and take their time there."""
    broker = mosquitto()
    store = SlowStore()
    device = sym_device("bob", store=store)
    async with SecureClient(device.client, broker.host, broker.port) as receiver:
        await receiver.subscribe(TOPIC, qos=2)
        store.delay = 0.6
        c2 = await asyncio.to_thread(Plain, broker)
        key = crypto.random_key()
        device.clock.now += 1
        command = device.command(commands.set_topic_key(key, TOPIC))
        message = crypto.protect_sym_key(b"after the key", key, timestamp=device.clock.now)

        def send() -> None:
            c2.publish(device.client.receiving_topic, command)
            c2.publish(TOPIC, message)
            c2.close()

        longest = asyncio.create_task(longest_pause(receiver))
        await asyncio.to_thread(send)
        [read_back] = await read(receiver, 1)
        assert read_back.payload == b"after the key"
        store.delay = 0
        longest.cancel()
        assert max(pauses) < 0.5


pauses: list[float] = []


async def longest_pause(client: SecureClient) -> None:
    """How long the event loop is held up, while commands are applied."""
    pauses.clear()
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.001)
        pauses.append(time.monotonic() - before)


class SlowStore(e4.MemoryStore):
    """As slow as a disk that syncs."""

    delay = 0.0

    def write(self, state: bytes) -> None:
        time.sleep(self.delay)
        super().write(state)


async def test_cancelling_a_publish_leaves_the_message_accepted(mosquitto: Brokers) -> None:
    broker = mosquitto(start=False)
    alice, bob = pair("symkey")
    sender = SecureClient(alice.client, broker.host, broker.port, min_delay=0.05, max_delay=0.1).start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sender.publish(TOPIC, b"late"), 0.1)
    assert sender.unacknowledged == 1
    await asyncio.to_thread(broker.start)
    async with SecureClient(bob.client, broker.host, broker.port) as receiver:
        await eventually(lambda: sender.unacknowledged == 0)
        await receiver.subscribe(TOPIC)
        await sender.publish(TOPIC, b"more")
        assert [m.payload for m in await read(receiver, 1)] == [b"more"]
    await sender.close()


@pytest.mark.parametrize("after", [0, 0.001, 0.005, 0.02, 0.1])
async def test_cancellation_at_any_time_leaves_nothing_behind(mosquitto: Brokers, after: float) -> None:
    broker = mosquitto()
    alice, _ = pair("symkey")

    async def work() -> None:
        async with SecureClient(alice.client, broker.host, broker.port) as client:
            await client.subscribe(TOPIC)
            while True:
                await client.publish(TOPIC, b"x")

    task = asyncio.create_task(work())
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


async def test_closing_while_the_broker_is_silent_does_not_take_long() -> None:
    with FakeBroker(connack=None) as broker:
        client = SecureClient(sym_device().client, broker.host, broker.port).start()
        await eventually(lambda: broker.connections)
        started = time.monotonic()
        await client.close()
        assert time.monotonic() - started < 2
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


async def test_more_than_may_wait_to_be_read_is_dropped_and_told(mosquitto: Brokers) -> None:
    broker = mosquitto()
    alice, bob = pair("symkey")
    refused: list[object] = []
    applied: list[object] = []
    options = {"max_unread": 3, "on_refused": refused.append, "on_command": applied.append}
    async with (
        SecureClient(bob.client, broker.host, broker.port, **options) as receiver,
        SecureClient(alice.client, broker.host, broker.port) as sender,
    ):
        await receiver.subscribe(TOPIC)
        for n in range(5):
            await sender.publish(TOPIC, b"%d" % n)
        await eventually(lambda: len(refused) == 2)
        assert "3 messages wait" in str(refused[0].reason)  # type: ignore[attr-defined]
        assert len(refused[0].payload) == 25  # type: ignore[attr-defined]
        # Commands are not held up by it.
        c2 = await asyncio.to_thread(Plain, broker)
        await asyncio.to_thread(c2.command, bob, commands.set_topic_key(crypto.random_key(), "other"))
        await eventually(lambda: applied)
        await asyncio.to_thread(c2.close)
        assert [m.payload for m in await read(receiver, 3)] == [b"0", b"1", b"2"]


async def test_an_error_in_a_with_block_is_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    alice, _ = pair("symkey")

    async def fail(client: SecureClient) -> None:
        async with client:
            client.close = lambda: SecureClient.close(client, 0)  # type: ignore[method-assign]
            publishing = asyncio.create_task(client.publish(TOPIC, b"x"))
            await eventually(lambda: client.unacknowledged)
            publishing.cancel()
            raise KeyError

    with FakeBroker(acknowledge=False) as broker:
        with pytest.raises(KeyError):
            await fail(SecureClient(alice.client, broker.host, broker.port))
        assert "1 messages that the broker has not acknowledged" in caplog.text


async def test_connecting_can_be_tried_again(mosquitto: Brokers) -> None:
    broker = mosquitto(start=False)
    client = SecureClient(sym_device().client, broker.host, broker.port)
    for _ in range(2):
        with pytest.raises(e4.NotConnected):
            await client.connect(timeout=0.1)
    await asyncio.to_thread(broker.start)
    await client.connect()
    assert client.is_connected
    await client.close()
    with pytest.raises(e4.MqttError, match="closed"):
        await client.connect()


async def test_device_is_left_open(mosquitto: Brokers) -> None:
    broker = mosquitto()
    device: Device = sym_device()
    async with SecureClient(device.client, broker.host, broker.port):
        pass
    device.send(commands.set_topic_key(crypto.random_key(), TOPIC))
    assert device.client.has_topic_key(TOPIC)
