"""A running server: one process with HTTP, gRPC, the sender of the outbox and the runner of jobs.

It starts whole or not at all, with one error that says why, and stops in order: no new requests, those
under way finished, publishes under way acknowledged, then the database closed. Takes no decision about
clients or topics.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import ipaddress
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn
from anyio import to_thread

from e4.c2 import folder, logs
from e4.c2.api.feed import Feed
from e4.c2.api.grpc.server import GrpcServer
from e4.c2.api.grpc.server import Tls as GrpcTls
from e4.c2.api.http import make_app
from e4.c2.auth import Authenticator
from e4.c2.delivery import Janitor, JobRunner, Sender
from e4.c2.metrics import DeliveryState, Health, Metrics
from e4.c2.service import Service
from e4.c2.settings import Address, Configuration
from e4.c2.storage import Store
from e4.c2.vault import Vault
from e4.errors import E4Error, InvalidInput, InvalidSettings, MqttError
from e4.mqtt import TLS
from e4.mqtt.publisher import Publisher

__all__ = ["Server"]

_HEADERS = 256 * 1024  # bytes: a topic of 65535, percent-encoded in a path, and some more
_BACKLOG = 512
_SIGNALLED = 128  # plus the signal's number: the exit code as a shell counts it
_LAST_MOMENT = 1.0  # seconds that the sender gets in any case
_DAY = 86400


class Server:
    """One server process.

    Args:
        configuration: of its data folder.
        passphrase: opens the database's keys.
    """

    def __init__(self, configuration: Configuration, passphrase: str) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._passphrase = passphrase
        self._log: Any = structlog.get_logger("e4.c2")

    def run(self, announce: Callable[[str], None] | None = None) -> None:
        """Serve until SIGTERM or SIGINT; a second one ends the process at once.

        Args:
            announce: gets a few lines for a person when the server is ready.

        Raises:
            InvalidSettings: a setting, a file or an address cannot be used.
            DatabaseError: the database cannot be opened, or another server has it.
            WrongPassphrase: the passphrase is not this database's.
        """
        logs.configure(self._settings.log.level, sys.stdout)
        try:
            asyncio.run(self._run(announce))
        except E4Error as error:
            self._log.error("not started", reason=str(error))
            raise

    async def _run(self, announce: Callable[[str], None] | None) -> None:
        settings = self._settings
        stop = _stop_at_signals()
        tls = _Tls.read(self._configuration)
        publisher = _publishers(self._configuration)
        for address in (settings.http.address, settings.grpc.address):
            _check_exposure(address, settings.auth.required)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(folder.lock(self._configuration))
            store, vault = folder.open_database(self._configuration, self._passphrase)
            self._passphrase = ""
            stack.callback(store.close)
            sockets = stack.enter_context(_listening(settings.http.address, "HTTP"))
            running = _Running(self._configuration, store, vault, publisher, tls)
            stack.push_async_callback(running.stop)
            addresses = await running.start(sockets)
            self._log.info("listening", **addresses, version=importlib.metadata.version("e4"))
            if (days := tls.days()) < settings.health.warn_certificate_days:
                self._log.warning("the server's certificate ends soon, or has ended", days=int(days))
            if announce is not None:
                self._tell(announce, addresses)
            await running.until(stop)
            self._log.info("stopping")
        self._log.info("stopped")

    def _tell(self, announce: Callable[[str], None], addresses: dict[str, str]) -> None:
        announce(f"HTTP    {addresses['http']}")
        announce(f"gRPC    {addresses['grpc']}")
        announce(f"broker  {Address(*self._settings.broker.address())}")
        if not self._settings.auth.required:
            announce("Anybody on this machine may do everything: authentication is off.")
        announce("Ctrl-C stops the server. Its log follows on stdout, as JSON lines.")


@dataclass(frozen=True, slots=True)
class _Tls:
    """The server's side of TLS, for both APIs."""

    context: ssl.SSLContext
    pem: GrpcTls
    ends_at: float

    @classmethod
    def read(cls, configuration: Configuration) -> _Tls:
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


class _Running:
    """Everything that runs, put together.

    Args:
        configuration: the settings in force.
        store: the database.
        vault: opens its keys.
        publisher: makes the connection to the broker.
        tls: of both APIs.
    """

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        vault: Vault,
        publisher: Callable[[], Publisher],
        tls: _Tls,
    ) -> None:
        settings = configuration.settings
        self._settings = settings
        service = Service(store, vault, clock=_now, notify=self._notify)
        authenticator = Authenticator(
            store,
            required=settings.auth.required,
            max_failed=settings.auth.max_failed,
            window=settings.auth.failed_window_seconds,
        )
        self._sender = Sender(
            store,
            service,
            vault,
            publisher,
            settings.delivery,
            retain=settings.broker.retain,
            clock=_now,
        )
        self._jobs = JobRunner(store, service, settings.delivery)
        self._janitor = Janitor(store, settings.delivery, _now)
        self._feed = Feed(service)
        self._health = Health(settings.health, store.ping, self._delivery, tls.days)
        metrics = Metrics(service.mode, self._delivery)
        app = make_app(service, authenticator, feed=self._feed, health=self._health, metrics=metrics)
        self._http = _Http(app, tls.context, settings.http.keep_alive_seconds, settings.server.drain_seconds)
        self._grpc = GrpcServer(
            service, authenticator, self._feed, metrics, tls=tls.pem, workers=settings.server.threads
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self, sockets: list[socket.socket]) -> dict[str, str]:
        """Start everything.

        Args:
            sockets: where HTTP listens.

        Returns:
            The addresses by API.

        Raises:
            InvalidSettings: gRPC cannot listen where it should.
        """
        wanted = self._settings.grpc.address
        with _listening(wanted, "gRPC"):
            pass  # in plain words, why it cannot
        try:
            port = await self._grpc.start(str(wanted))
        except OSError as error:
            raise InvalidSettings(f"grpc.address: {error}") from None
        to_thread.current_default_thread_limiter().total_tokens = self._settings.server.threads
        self._serving = asyncio.create_task(self._http.serve(sockets))
        for worker in (self._sender, self._jobs, self._janitor):
            worker.start()
        host = self._settings.http.address.host
        return {
            "http": f"https://{Address(host, sockets[0].getsockname()[1])}",
            "grpc": str(Address(wanted.host, port)),
        }

    async def until(self, stop: asyncio.Event) -> None:
        """Wait until told to stop. Raises what has ended the HTTP server, if anything has."""
        assert self._serving is not None
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([waiting, self._serving], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """Take no more requests, let what is under way come to its end, and stop."""
        drain = self._settings.server.drain_seconds
        deadline = time.monotonic() + drain
        self._health.stopping = True
        self._feed.close()
        self._http.should_exit = True
        await asyncio.gather(
            self._grpc.stop(drain), *([self._serving] if self._serving else []), return_exceptions=True
        )
        rest = max(_LAST_MOMENT, deadline - time.monotonic())
        workers = (self._sender, self._jobs, self._janitor)
        await asyncio.gather(*(asyncio.to_thread(worker.stop, rest) for worker in workers))

    def _notify(self) -> None:
        """Something was committed: commands, jobs or events."""
        self._sender.wake()
        self._jobs.wake()
        self._feed.notify()

    def _delivery(self) -> DeliveryState:
        status = self._sender.status()
        return DeliveryState(
            alive=status.alive,
            connected=status.connected,
            error=status.error,
            pending=status.pending,
            oldest_seconds=0.0 if status.oldest is None else max(0.0, (_now() - status.oldest) / 1000),
            in_flight=status.in_flight,
            sent=status.sent,
            failed=status.failed,
            superseded=status.superseded,
        )


class _Http(uvicorn.Server):
    """Uvicorn in a loop that is not its own: the process's signals are not its either."""

    def __init__(self, app: Any, tls: ssl.SSLContext, keep_alive: int, drain: float) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=keep_alive,
            timeout_graceful_shutdown=max(1, round(drain)),
            h11_max_incomplete_event_size=_HEADERS,
        )
        config.load()
        config.ssl = tls
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them."""
        yield


def _now() -> int:
    return time.time_ns() // 1_000_000


def _stop_at_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; the second of them ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(_SIGNALLED + number)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


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


def _check_exposure(address: Address, required: bool) -> None:
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
def _listening(address: Address, api: str) -> Iterator[list[socket.socket]]:
    """Sockets that listen on all that a name stands for; closed at the end. Raises `InvalidSettings`."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        port = address.port
        for family, where in _resolved(address):
            sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((where[0], port, *where[2:]))
                sock.listen(_BACKLOG)
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


def _publishers(configuration: Configuration) -> Callable[[], Publisher]:
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
            tls=TLS(path(broker.ca), path(broker.certificate), path(broker.key))
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
