"""The network thread: opens the connection, reads and writes, and comes back when it is lost.

Knows no message; what paho-mqtt reports goes to the session.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client as Paho
from paho.mqtt.enums import CallbackAPIVersion

from e4.errors import MqttError
from e4.mqtt import _paho
from e4.mqtt._options import connection_error

if TYPE_CHECKING:
    from e4.mqtt._options import Backoff, Options
    from e4.mqtt._session import Session

__all__ = ["NetworkThread"]

_logger = logging.getLogger("e4.mqtt")

_TICK = 1.0  # seconds between looks at the keepalive
_PARTING = 1.0  # seconds for a DISCONNECT to leave


class NetworkThread:
    """Keeps one session connected until it is stopped.

    paho-mqtt has such a thread of its own, but it hides why it cannot connect, sleeps through a stop, and
    all clients of a broker that comes back would return in the same second.

    Args:
        session: what is to be connected.
        options: where to.
        backoff: how long to wait between attempts.
    """

    def __init__(self, session: Session, options: Options, backoff: Backoff) -> None:
        self._session = session
        self._options = options
        self._backoff = backoff
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._paho = self._make_paho()
        self._thread = threading.Thread(target=self._run, name="e4-mqtt", daemon=True)
        session.wake = self.wake
        session.forbid_waiting = self.forbid_waiting

    def start(self) -> None:
        """Begin, in the background."""
        self._session.leaving = False
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and end. An attempt to connect cannot be interrupted; the thread then ends after it."""
        self._session.leaving = True
        self._stopping.set()
        self.wake()
        if not self.is_current():
            self._thread.join(self._options.connect_timeout + 2 * _PARTING)

    def wake(self) -> None:
        """There is something to send."""
        # Full means that it wakes already; closed, that there is nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")

    def is_current(self) -> bool:
        """Whether the caller runs on this thread: it is a callback."""
        return threading.current_thread() is self._thread

    def forbid_waiting(self) -> None:
        """Raises `MqttError` in a callback."""
        if self.is_current():
            raise MqttError(
                "a callback cannot wait for the broker: it holds up the thread that would hear it"
            )

    def _make_paho(self) -> Paho:
        options = self._options
        paho = Paho(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=options.clean_session if options.version == "3.1.1" else None,
            protocol=options.protocol,
            reconnect_on_failure=False,
        )
        paho.connect_timeout = options.connect_timeout
        if options.tls is not None:
            paho.tls_set_context(options.tls)
        # Tells paho that another loop does the writing: ours.
        paho.on_socket_register_write = lambda *_: None
        self._session.attach(paho)
        paho.on_message = lambda _client, _data, message: self._session.receive(message)
        return paho

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._connect():
                    self._serve()
                if self._session.reached:
                    self._backoff.reset()
                self._stopping.wait(self._backoff.delay())
        finally:
            self._wake_read.close()
            self._wake_write.close()

    def _connect(self) -> bool:
        options, paho = self._options, self._paho
        self._session.connecting()
        # paho takes this argument with MQTT 5 only.
        clean: Any = {"clean_start": options.clean_session} if options.version == "5" else {}
        try:
            paho.username_pw_set(options.username, options.current_password())
            paho.connect(
                options.host,
                options.port,
                options.keepalive,
                properties=options.connect_properties(),
                **clean,
            )
        except (OSError, ValueError, MqttError) as error:
            if not self._stopping.is_set():
                self._session.failed(*connection_error(error, options.address))
            return False
        return True

    def _serve(self) -> None:
        """Read and write until the connection ends, at the user's wish or otherwise."""
        paho, session = self._paho, self._session
        connection: Any = paho.socket()
        deadline: float | None = time.monotonic() + self._options.connect_timeout
        leaving = False
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.register(connection, selectors.EVENT_READ)
            while self._holds(connection):
                if session.connected and not leaving:
                    deadline = None
                if self._stopping.is_set() and not leaving:
                    leaving = True
                    deadline = time.monotonic() + _PARTING
                    paho.disconnect()
                if deadline is not None and time.monotonic() > deadline:
                    session.unanswered()
                    break
                try:
                    self._turn(selector, connection, deadline)
                except Exception:  # a packet that paho cannot read, for one
                    _logger.exception("the connection to %s is given up", self._options.address)
                    break
        _paho.hang_up(paho)
        session.lost("")

    def _holds(self, connection: object) -> bool:
        return self._paho.socket() is connection

    def _turn(self, selector: selectors.BaseSelector, connection: Any, deadline: float | None) -> None:
        paho = self._paho
        writing = selectors.EVENT_WRITE if paho.want_write() else 0
        selector.modify(connection, selectors.EVENT_READ | writing)
        # TLS may hold decrypted bytes that the selector cannot see.
        pending = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        patience = _TICK if deadline is None else min(_TICK, max(0.0, deadline - time.monotonic()))
        ready = {key.fileobj: events for key, events in selector.select(0 if pending else patience)}
        if self._wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_read.recv(4096)
        if pending or ready.get(connection, 0) & selectors.EVENT_READ:
            paho.loop_read()
        self._session.pump()
        if paho.want_write():
            paho.loop_write()
        paho.loop_misc()
