"""The client for asyncio, over aiomqtt: everything on the event loop, but commands applied in a thread.

The decisions are those of the threaded client, made in the same modules. Of aiomqtt it uses the
connection; acknowledgements with their reasons, which aiomqtt keeps to itself, come from its paho-mqtt.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from typing import TYPE_CHECKING, Any, Self

from e4.errors import MqttError, NotDelivered
from e4.mqtt import _paho
from e4.mqtt._base import BaseSecureClient
from e4.mqtt._gate import CommandApplied, Message, Refused
from e4.mqtt._options import TLS, connection_error
from e4.mqtt._policy import ClearTopics

try:
    import aiomqtt
except ImportError as error:
    raise ImportError("e4.mqtt.aio needs the package aiomqtt, which the extra aio of e4 installs") from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Future
    from types import TracebackType

    from paho.mqtt.client import Client as Paho
    from paho.mqtt.client import MQTTMessage
    from typing_extensions import Buffer

__all__ = ["TLS", "ClearTopics", "CommandApplied", "Message", "Refused", "SecureClient"]

_logger = logging.getLogger("e4.mqtt")

_PARTING = 1.0  # seconds for a DISCONNECT to leave
_BATCH = 64  # messages opened before others on the loop have their turn


class SecureClient(BaseSecureClient):
    """An E4 client and an MQTT connection as one, for asyncio. Its methods belong to one event loop.

    It takes the arguments of `e4.mqtt.SecureClient`. Callbacks are plain functions and run on the event loop.

    ::

        async with SecureClient(client, "broker.example", tls=True) as secure:
            await secure.subscribe("plant/+/temperature")
            await secure.publish("plant/1/temperature", b"21.5")
            async for message in secure.messages:
                print(message.topic, message.payload)
    """

    _runner: asyncio.Task[None] | None = None

    @functools.cached_property
    def _unread(self) -> asyncio.Queue[Message | None]:
        return asyncio.Queue()

    async def __aenter__(self) -> Self:
        if self._runner is None:
            await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except NotDelivered as error:
            if kind is None:
                raise
            _logger.warning("%s", error)

    async def connect(self, timeout: float | None = 10.0) -> Self:
        """Connect, and subscribe to the receiving topic.

        Args:
            timeout: for how many seconds to try; None for as long as it takes.

        Raises:
            MqttError: the broker refused the connection, its certificate is not accepted, or it cannot
                be reached in time. Unless `start` was called before, nothing runs on then.
        """
        future = self._session.when_ready(fail_fast=True)
        started = self._runner is not None
        self.start()
        try:
            await self._wait(future, timeout, self._not_connected)
        except BaseException:
            if not started:
                await self._stop()
            raise
        return self

    def start(self) -> Self:
        """Connect in the background, also to a broker that is away, and try again until `close`."""
        self._session.check_open()
        if self._runner is None:
            self._loop = asyncio.get_running_loop()
            self._pump_is_due = False
            self._ended = asyncio.Event()
            self._arrived: asyncio.Queue[tuple[str, bytes, int, bool] | None] = asyncio.Queue()
            self._was_entered = False
            self._mqtt = self._make_aiomqtt()
            self._session.wake = self._wake
            self._session.ended = self._ended.set
            self._session.leaving = False
            if self._session.callbacks.on_message is None:
                self._session.callbacks.on_message = self._unread.put_nowait
            self._runner = self._loop.create_task(self._run(), name="e4-mqtt")
            self._worker = self._loop.create_task(self._work(), name="e4-mqtt-messages")
        return self

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until connected and subscribed.

        Raises:
            NotConnected: not in time; the text has the last reason.
        """
        await self._wait(self._session.when_ready(fail_fast=False), timeout, self._not_connected)

    async def subscribe(self, filter: str, qos: int = 1, timeout: float | None = 10.0) -> None:
        """Subscribe, now and at each reconnection.

        Args:
            filter: topic filter, with ``+`` and ``#``.
            qos: the highest QoS at which to receive.
            timeout: seconds to wait for the broker's answer; with 0 a refusal goes to `on_error`.

        Raises:
            MqttError: the broker refused; or it has not answered, and will be asked again.
            InvalidTopic: not a topic filter.
        """
        future = self._session.subscribe(filter, qos, timeout != 0)
        if timeout != 0:
            await self._wait(future, timeout, self._no_answer)

    async def unsubscribe(self, filter: str, timeout: float | None = 10.0) -> None:
        """End a subscription; the one to the receiving topic stays.

        Args:
            filter: as it was given to `subscribe`.
            timeout: seconds to wait for the broker's answer.

        Raises:
            MqttError: the broker has not answered, and will be asked again.
            InvalidTopic: not a topic filter, or the receiving topic.
        """
        future = self._session.unsubscribe(filter)
        if timeout != 0:
            await self._wait(future, timeout, self._no_answer)

    async def publish(self, topic: str, payload: Buffer | str, qos: int = 1, retain: bool = False) -> None:
        """Protect a message, publish it, and wait until the broker has taken it over.

        With QoS 1 or 2 it waits across reconnections, and the message is protected when it is sent.
        Cancelling the wait does not take the message back.

        Args:
            topic: where.
            payload: bytes, or text to be sent as UTF-8.
            qos: 0, 1 or 2; with 0 it does not wait for the broker.
            retain: have the broker keep it for later subscribers, who take it only while it is not too old.

        Raises:
            TopicKeyMissing: the client has no key for the topic, and it may not pass in clear.
            InvalidTopic: not a topic name.
            NotConnected: QoS 0, and the broker is away.
            NotDelivered: closed before the broker had acknowledged it.
            MqttError: the broker refused it, too many messages wait already, or the connection is closed.
        """
        await asyncio.wrap_future(self._session.publish(topic, payload, qos, retain)._future)

    @property
    def messages(self) -> AsyncIterator[Message]:
        """The messages as they come, across reconnections; ends after `close`. Not with `on_message`."""
        return self._read_messages()

    async def close(self, timeout: float = 5.0) -> None:
        """Wait for acknowledgements, and disconnect. The E4 client stays open.

        Args:
            timeout: how many seconds to wait for the broker to acknowledge what is on its way.

        Raises:
            NotDelivered: messages were not acknowledged; says how many.
        """
        count = 0
        try:
            if self._runner is not None and self.unacknowledged:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        await asyncio.wrap_future(self._session.when_drained())
        finally:
            count = self._session.close()
            try:
                await self._stop()
            finally:
                self._unread.put_nowait(None)
        if count:
            raise NotDelivered(f"closed with {count} messages that the broker has not acknowledged")

    async def _wait(
        self, future: Future[None], timeout: float | None, late: Callable[[float | None], MqttError]
    ) -> None:
        try:
            # Not wait_for, which in Python 3.11 may swallow a cancellation.
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(future)
        except TimeoutError:
            raise late(timeout) from None

    async def _read_messages(self) -> AsyncIterator[Message]:
        while (message := await self._unread.get()) is not None:
            yield message
        self._unread.put_nowait(None)  # for others who read

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._session.leaving = True
        runner.cancel()
        self._arrived.put_nowait(None)
        # What has arrived is acknowledged, so it is still opened and applied.
        await asyncio.gather(runner, self._worker, return_exceptions=True)

    # The connection.

    def _make_aiomqtt(self) -> aiomqtt.Client:
        options = self._options
        silent = logging.Logger("aiomqtt")  # the session says what there is to say
        silent.addHandler(logging.NullHandler())
        clean: Any = (
            {"clean_start": options.clean_session}
            if options.version == "5"
            else {"clean_session": options.clean_session}
        )
        client = aiomqtt.Client(
            options.host,
            options.port,
            logger=silent,
            identifier=options.client_id,
            protocol=aiomqtt.ProtocolVersion(options.protocol),
            timeout=options.connect_timeout,
            keepalive=options.keepalive,
            properties=options.connect_properties(),
            tls_context=options.tls,
            **clean,
        )
        # aiomqtt does not tell why a message was refused, nor whether the broker still had the session.
        paho: Paho = client._client
        paho.connect_timeout = options.connect_timeout
        on_disconnect: Any = paho.on_disconnect

        def disconnected(*arguments: Any) -> None:
            on_disconnect(*arguments)
            if client._disconnected.done() and not client._disconnected.cancelled():
                client._disconnected.exception()  # or asyncio complains that nobody asked

        paho.on_disconnect = disconnected
        self._session.attach(paho, chain=True)
        paho.on_message = self._on_message
        # aiomqtt's own might watch a socket that is closed by then, or one that came after it.
        paho.on_socket_register_write = self._on_register_write
        self._paho = paho
        return client

    async def _run(self) -> None:
        while not self._session.leaving:
            try:
                if await self._connect():
                    await self._serve()
            except Exception:
                _logger.exception("the connection to %s is given up", self._options.address)
            finally:
                _paho.hang_up(self._paho)
                self._session.lost("")
            if self._session.reached:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.delay())

    async def _connect(self) -> bool:
        options = self._options
        self._session.connecting()
        try:
            password = await asyncio.to_thread(options.current_password)
            self._paho.username_pw_set(options.username, password)
            await self._enter()
        except aiomqtt.MqttError as error:
            cause = error.__context__  # the reason, of which aiomqtt keeps the text alone
            if isinstance(cause, OSError):
                self._session.failed(*connection_error(cause, options.address))
            else:
                self._session.lost("")  # refused: paho has told the session
        except MqttError as error:
            self._session.failed(error, False)
        else:
            return True
        return False

    async def _enter(self) -> None:
        """Enter aiomqtt's context; neither an early end nor a cancellation leaves a thread that connects."""
        self._ended.clear()
        entering = self._loop.create_task(self._mqtt.__aenter__())
        ended = self._loop.create_task(self._ended.wait())
        try:
            await asyncio.wait([entering, ended], return_when=asyncio.FIRST_COMPLETED)
            if self._was_entered:
                await entering  # from the second time on, it does not wait for the broker's answer
        finally:
            while not entering.done() and self._paho.socket() is None and not self._ended.is_set():
                await asyncio.sleep(0.01)
            entering.cancel()
            ended.cancel()
            await asyncio.wait([entering, ended])
        if entering.cancelled():
            # It would wait for an answer all the same; interrupted, it cannot be entered again.
            self._mqtt = self._make_aiomqtt()
        else:
            entering.result()
            self._was_entered = True

    async def _serve(self) -> None:
        """Wait for the connection's end, and leave aiomqtt's context."""
        answer = self._loop.call_later(self._options.connect_timeout, self._expect_answer)
        ended = self._loop.create_task(self._ended.wait())
        failed = self._loop.create_task(self._wait_for_aiomqtt())
        try:
            await asyncio.wait([ended, failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
            ended.cancel()
            failed.cancel()
            await asyncio.wait([ended, failed])
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(_PARTING):
                    await self._mqtt.__aexit__(None, None, None)

    async def _wait_for_aiomqtt(self) -> None:
        """Until aiomqtt finds the connection broken, at times by what paho does not report."""
        with contextlib.suppress(aiomqtt.MqttError):
            async for _ in self._mqtt.messages:  # all go to on_message
                pass

    def _expect_answer(self) -> None:
        if not self._session.connected:
            self._session.unanswered()
            _paho.hang_up(self._paho)
            self._session.lost("")

    def _on_register_write(self, _paho: Paho, _data: Any, connection: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch_for_writing, connection)

    def _watch_for_writing(self, connection: socket.socket) -> None:
        if self._paho.socket() is connection and self._paho.want_write():
            self._loop.add_writer(connection.fileno(), self._paho.loop_write)

    # What goes out and what comes in.

    def _wake(self) -> None:
        # Not at once: paho may be in the middle of something that led here.
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        self._session.pump()

    def _on_message(self, _paho: Paho, _data: Any, message: MQTTMessage) -> None:
        received = self._session.read(message)
        if received is not None:
            self._arrived.put_nowait(received)

    async def _work(self) -> None:
        """Open messages and apply commands, in order; a command is saved to disk, so in a thread."""
        client, session = self._client, self._session
        turn = 0
        while (received := await self._arrived.get()) is not None:
            if client.is_receiving_topic(received[0]):
                session.callbacks.received(await asyncio.to_thread(session.gate.open, *received))
            elif self._max_unread and self._unread.qsize() >= self._max_unread:
                reason = MqttError(
                    f"{self._max_unread} messages wait to be read already: this one is dropped"
                )
                session.callbacks.received(Refused(*received, reason))
            else:
                session.callbacks.received(session.gate.open(*received))
            turn += 1
            if turn % _BATCH == 0:
                await asyncio.sleep(0)
