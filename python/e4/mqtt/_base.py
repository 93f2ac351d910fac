"""What the threaded and the asyncio client have in common: how they are made, what can be asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e4.errors import MqttError, NotConnected
from e4.mqtt._callbacks import Callbacks
from e4.mqtt._options import TLS, Backoff, Options, Version
from e4.mqtt._policy import ClearTopics
from e4.mqtt._session import Session

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from e4.client import Client
    from e4.errors import E4Error
    from e4.mqtt._gate import CommandApplied, Message, Refused

__all__ = ["BaseSecureClient"]


class BaseSecureClient:
    """An E4 client and an MQTT connection as one; see the two classes made from it."""

    def __init__(
        self,
        client: Client,
        host: str = "localhost",
        port: int | None = None,
        *,
        tls: ssl.SSLContext | TLS | bool | None = None,
        username: str | None = None,
        password: str | Callable[[], str] | None = None,
        version: Version = "3.1.1",
        clean_session: bool = True,
        session_expiry: int | None = None,
        client_id: str | None = None,
        keepalive: int = 60,
        clear: ClearTopics | None = None,
        on_message: Callable[[Message], None] | None = None,
        on_refused: Callable[[Refused], None] | None = None,
        on_command: Callable[[CommandApplied], None] | None = None,
        on_connect: Callable[[], None] | None = None,
        on_disconnect: Callable[[MqttError | None], None] | None = None,
        on_error: Callable[[E4Error], None] | None = None,
        max_queued: int = 10_000,
        window: int = 20,
        connect_timeout: float = 5.0,
        min_delay: float = 1.0,
        max_delay: float = 120.0,
        max_unread: int = 0,
    ) -> None:
        """Check everything, and open no connection yet.

        Args:
            client: holds the keys; it stays open when the connection is closed.
            host: the broker's name or address.
            port: 1883 if not given, with TLS 8883.
            tls: an `ssl.SSLContext`, a `TLS`, or True for TLS with the system's authorities.
            username: for the broker.
            password: for the broker; a function is called before each connection.
            version: of MQTT, ``"3.1.1"`` or ``"5"``. Only with 5 does a broker say that it refused a message.
            clean_session: False has the broker keep subscriptions, and messages for them, while this client
                is away.
            session_expiry: MQTT 5 without clean session: for how many seconds it keeps them; None for ever.
            client_id: for the broker; random if not given, made from the E4 id for a session that is kept.
            keepalive: seconds without traffic after which a lost connection is noticed.
            clear: topics without a key on which messages may pass unprotected.
            on_message: called with each `Message`.
            on_refused: called with each `Refused` message.
            on_command: called with a `CommandApplied` after each command of C2.
            on_connect: called when connected and subscribed, at each connection.
            on_disconnect: called when that ends, with the reason, or None after `close`.
            on_error: called with what no caller is told: failed attempts to connect, subscriptions refused
                at a reconnection, messages refused after publish had accepted them.
            max_queued: how many messages of QoS 1 and 2 may wait for the broker's acknowledgement; beyond it
                publish raises. 0 for no limit.
            window: how many of those are sent before the first is acknowledged.
            connect_timeout: seconds for each attempt to connect.
            min_delay: seconds before the second attempt; the delay doubles each time, with jitter.
            max_delay: its upper limit in seconds.
            max_unread: with asyncio, how many messages may wait to be read in `messages`; a message beyond it
                is dropped, and goes to `on_refused`. 0 for no limit.

        Raises:
            InvalidInput: an argument out of its range.
            MqttError: a TLS file cannot be read.
        """
        self._client = client
        self._options = Options.checked(
            client.id, host, port, tls, username, password, version, clean_session, session_expiry, client_id,
            keepalive, connect_timeout, window,
        )  # fmt: skip
        self._backoff = Backoff(min_delay, max_delay)
        self._max_unread = max_unread
        callbacks = Callbacks(on_message, on_refused, on_command, on_connect, on_disconnect, on_error)
        self._session = Session(client, self._options, clear or ClearTopics(), callbacks, max_queued)

    def __repr__(self) -> str:
        state = "closed" if self._session.closed else "connected" if self.is_connected else "not connected"
        name = f"{type(self).__module__}.{type(self).__qualname__}".replace(".client.", ".")
        return f"<{name} {self._client.id.hex()} at {self._options.address}, {state}>"

    @property
    def client(self) -> Client:
        """The E4 client."""
        return self._client

    @property
    def client_id(self) -> str:
        """The name by which the broker knows this connection; not the E4 id."""
        return self._options.client_id

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there, and has answered the subscription to the receiving topic."""
        return self._session.ready

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 and 2 the broker has not acknowledged."""
        return self._session.unacknowledged

    @property
    def last_error(self) -> MqttError | None:
        """Why there is no connection; None while there is one."""
        return self._session.last_error

    def _not_connected(self, timeout: float | None) -> NotConnected:
        reason = self._session.last_error or f"no answer from {self._options.address}"
        return NotConnected(f"not connected within {timeout:g} seconds: {reason}")

    def _no_answer(self, timeout: float | None) -> MqttError:
        return MqttError(f"no answer from {self._options.address} within {timeout:g} seconds")
