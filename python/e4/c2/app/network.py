"""The server's certificate, where it listens, and how it reaches the broker."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e4 import mqtt
from e4.c2 import folder
from e4.c2.api.grpc.server import Tls as GrpcTls
from e4.c2.settings import Address, Configuration
from e4.errors import InvalidInput, InvalidSettings, MqttError
from e4.mqtt.publisher import Publisher

__all__ = ["BACKLOG", "Tls", "check_exposure", "listening", "publisher_factory"]

BACKLOG = 512
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Tls:
    """The server's side of TLS, for both APIs."""

    context: ssl.SSLContext
    pem: GrpcTls
    ends_at: float

    @classmethod
    def read(cls, configuration: Configuration) -> Tls:
        """From the files that the settings name. Raises `InvalidSettings`."""
        tls = configuration.settings.tls
        certificate, key = configuration.path(tls.certificate), configuration.path(tls.key)
        context = folder.check_certificate(certificate, key)
        client_ca = None
        if tls.client_ca is not None:
            file = configuration.path(tls.client_ca)
            try:
                client_ca = file.read_bytes()
                context.load_verify_locations(file)
            except OSError as error:
                reason = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
                raise InvalidSettings(f"tls.client_ca: {file}: {reason}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        pem = GrpcTls(certificate.read_bytes(), key.read_bytes(), client_ca)
        return cls(context, pem, folder.certificate_end(certificate))

    def days(self) -> float:
        """For how many days the certificate is still valid."""
        return (self.ends_at - time.time()) / _DAY


def _resolved(address: Address) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        raise InvalidSettings(
            f"{address.host} is not an address of this machine, nor a name of one"
        ) from None
    return list(dict.fromkeys((family, where) for family, _, _, _, where in found))


def check_exposure(address: Address, required: bool) -> None:
    """Nobody but this machine may reach a server that asks for no token. Raises `InvalidSettings`."""
    if required:
        return
    for _, where in _resolved(address):
        if not ipaddress.ip_address(where[0].partition("%")[0]).is_loopback:
            raise InvalidSettings(
                f"no authentication is for loopback addresses only, and {address} is none: "
                "listen on 127.0.0.1, or leave out --auth none"
            )


@contextlib.contextmanager
def listening(address: Address, api: str) -> Iterator[list[socket.socket]]:
    """Sockets that listen on all that a name stands for; closed at the end. Raises `InvalidSettings`."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        port = address.port
        for family, where in _resolved(address):
            sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((where[0], port, *where[2:]))
                sock.listen(BACKLOG)
            except OSError as error:
                if sockets and family == socket.AF_INET6:
                    continue  # a machine without IPv6 may still have a name for its loopback address
                raise InvalidSettings(
                    f"{api} cannot listen on {address}: {os.strerror(error.errno or 0).lower()}; "
                    f"give another address with --{api.lower()}"
                ) from None
            port = sock.getsockname()[1]  # of 0, the one that was given
            sockets.append(sock)
        yield sockets


def publisher_factory(configuration: Configuration) -> Callable[[], Publisher]:
    """Makes connections to the broker. Raises `InvalidSettings` where a file cannot be read."""
    broker = configuration.settings.broker
    host, port = broker.address()

    def path(file: Path | None) -> Path | None:
        return None if file is None else configuration.path(file)

    password_file = path(broker.password_file)

    def password() -> str:
        assert password_file is not None
        try:
            return password_file.read_bytes().split(b"\n", 1)[0].removesuffix(b"\r").decode()
        except OSError as error:
            raise MqttError(f"cannot read {password_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise MqttError(f"{password_file} does not hold UTF-8 text") from None

    def make() -> Publisher:
        return Publisher(
            host,
            port,
            tls=mqtt.TLS(path(broker.ca), path(broker.certificate), path(broker.key))
            if broker.uses_tls()
            else None,
            username=broker.username,
            password=None if password_file is None else password,
            version=broker.version,
            client_id=broker.client_id,
            keepalive=broker.keepalive_seconds,
            connect_timeout=broker.connect_timeout_seconds,
            window=broker.window,
            unadvertised_window=broker.unadvertised_window,
        )

    try:
        if password_file is not None:
            password()
        make().close()  # reads the files
    except (MqttError, InvalidInput) as error:
        raise InvalidSettings(f"the broker's settings: {error}") from None
    return make
