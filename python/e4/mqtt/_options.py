"""How to reach a broker: address, TLS, credentials, session, reconnection. Opens no connection."""

from __future__ import annotations

import os
import random
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from e4.errors import InvalidInput, MqttError

__all__ = ["TLS", "Backoff", "Options", "Version", "connection_error", "plain_reason"]

Version = Literal["3.1.1", "5"]

_NEVER = 0xFFFFFFFF  # MQTT 5.0, 3.1.2.11.2: the session does not expire


@dataclass(frozen=True, slots=True)
class TLS:
    """TLS 1.2 or newer to the broker, whose certificate and host name are always checked.

    Args:
        ca: PEM file of the authorities to trust; the system's if not given.
        certfile: PEM file of the client's certificate chain.
        keyfile: PEM file of its private key; may be in `certfile`.
        keyfile_password: for an encrypted private key.
    """

    ca: str | os.PathLike[str] | None = None
    certfile: str | os.PathLike[str] | None = None
    keyfile: str | os.PathLike[str] | None = None
    keyfile_password: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """The files, read.

        Raises:
            MqttError: a file cannot be read, or does not hold what it should.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise MqttError(f"cannot read certificates from {self.ca}: {plain_reason(error)}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certfile is not None:
            try:
                # An encrypted key without a password must fail, not ask on the terminal.
                context.load_cert_chain(self.certfile, self.keyfile, self.keyfile_password or "")
            except OSError as error:
                files = os.fspath(self.certfile) + (f" and {self.keyfile}" if self.keyfile else "")
                raise MqttError(f"cannot read the certificate in {files}: {plain_reason(error)}") from error
        elif self.keyfile is not None:
            raise InvalidInput("keyfile needs certfile")
        return context


@dataclass(frozen=True, slots=True)
class Options:
    """Everything about a connection that does not change. The arguments are those of `SecureClient`."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str | None
    password: str | Callable[[], str] | None = field(repr=False)
    version: Version
    clean_session: bool
    session_expiry: int | None
    client_id: str
    keepalive: int
    connect_timeout: float
    window: int

    @classmethod
    def checked(
        cls,
        id: bytes,
        host: str,
        port: int | None,
        tls: ssl.SSLContext | TLS | bool | None,
        username: str | None,
        password: str | Callable[[], str] | None,
        version: Version,
        clean_session: bool,
        session_expiry: int | None,
        client_id: str | None,
        keepalive: int,
        connect_timeout: float,
        window: int,
    ) -> Options:
        """The arguments of `SecureClient`, checked, with defaults filled in."""
        try:
            valid = len(host.encode("idna")) > 0
        except UnicodeError:
            valid = False
        if not valid:
            raise InvalidInput("host is not a name or an address")
        if version not in ("3.1.1", "5"):
            raise InvalidInput('version must be "3.1.1" or "5"')
        if password is not None and username is None:
            raise InvalidInput("a password needs a username")
        if session_expiry is not None and (version != "5" or clean_session):
            raise InvalidInput('session_expiry needs version="5" and clean_session=False')
        if not 0 <= keepalive <= 0xFFFF:
            raise InvalidInput("keepalive must be 0 to 65535 seconds")
        if not 1 <= window <= 0xFFFF:
            raise InvalidInput("window must be 1 to 65535 messages")
        context = TLS().context() if tls is True else tls.context() if isinstance(tls, TLS) else tls or None
        port = (8883 if context else 1883) if port is None else port
        if not 1 <= port <= 0xFFFF:
            raise InvalidInput("port must be 1 to 65535")
        if client_id is None:
            # A session is found again by its client id, so it must be the same at each start.
            client_id = f"e4-{secrets.token_hex(8) if clean_session else id.hex()}"
        return cls(
            host, port, context, username, password, version, clean_session, session_expiry, client_id,
            keepalive, connect_timeout, window,
        )  # fmt: skip

    @property
    def address(self) -> str:
        """The broker's address, for error texts."""
        return f"{self.host}:{self.port}"

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The version as paho-mqtt has it."""
        return MQTTProtocolVersion.MQTTv5 if self.version == "5" else MQTTProtocolVersion.MQTTv311

    def connect_properties(self) -> Properties | None:
        """MQTT 5: how long the broker keeps the session."""
        if self.version != "5" or self.clean_session:
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _NEVER if self.session_expiry is None else self.session_expiry
        return properties

    def current_password(self) -> str | None:
        """The password for the next connection; may call the user's function.

        Raises:
            MqttError: that function failed.
        """
        if not callable(self.password):
            return self.password
        try:
            return self.password()
        except Exception as error:
            raise MqttError(
                f"the password for {self.address} could not be had: {type(error).__name__}"
            ) from error


class Backoff:
    """Delays between attempts to connect: doubled each time, up to a limit, with jitter.

    Args:
        min_delay: the first delay, in seconds.
        max_delay: the longest.
    """

    def __init__(self, min_delay: float, max_delay: float) -> None:
        if not 0 < min_delay <= max_delay:
            raise InvalidInput("delays must be 0 < min_delay <= max_delay seconds")
        self._min = self._next = min_delay
        self._max = max_delay

    def reset(self) -> None:
        """A connection was made."""
        self._next = self._min

    def delay(self) -> float:
        """How long to wait now; spread out, so that a fleet does not come back all at once."""
        delay = self._next
        self._next = min(delay * 2, self._max)
        return delay * random.uniform(0.5, 1)


def connection_error(error: Exception, address: str) -> tuple[MqttError, bool]:
    """A failed attempt in plain words, and whether trying again soon cannot help."""
    if isinstance(error, MqttError):
        return error, False
    if isinstance(error, ssl.SSLCertVerificationError):
        return MqttError(f"the certificate of {address} is not accepted: {error.verify_message}"), True
    if isinstance(error, ssl.SSLError):
        cut_off = isinstance(
            error, ssl.SSLEOFError | ssl.SSLZeroReturnError
        )  # by a broker that stops, perhaps
        return MqttError(f"TLS with {address} failed: {plain_reason(error)}"), not cut_off
    return MqttError(f"cannot reach the broker at {address}: {plain_reason(error)}"), False


def plain_reason(error: Exception) -> str:
    """What the system or the TLS library says of a failure, without numbers."""
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
