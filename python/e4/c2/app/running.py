"""Everything that runs in a server, put together, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from anyio import to_thread

from e4.c2.api.feed import Feed
from e4.c2.api.grpc.server import GrpcServer
from e4.c2.api.http import make_app
from e4.c2.app.network import BACKLOG, Tls, listening
from e4.c2.auth import Authenticator
from e4.c2.delivery import Janitor, JobRunner, Sender
from e4.c2.metrics import DeliveryState, Health, Metrics
from e4.c2.model import JobState
from e4.c2.service import Service
from e4.c2.settings import Address, Configuration
from e4.c2.storage import Store
from e4.c2.vault import Vault
from e4.errors import DatabaseError, InvalidSettings
from e4.mqtt.publisher import Publisher

__all__ = ["Running"]

_HEADERS = 256 * 1024  # bytes: a topic of 65535, percent-encoded in a path, and some more
_LAST_MOMENT = 1.0  # seconds that the sender gets in any case
_FAREWELL = 0.5  # seconds to answer it
_MANY_JOBS = 1000  # running at the same time; more are not counted


class Running:
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
        tls: Tls,
    ) -> None:
        settings = configuration.settings
        self._settings = settings
        self._store = store
        service = Service(store, vault, clock=_now, notify=self._notify)
        authenticator = Authenticator(
            store,
            required=settings.auth.required,
            max_failed=settings.auth.max_failed,
            window=settings.auth.failed_window_seconds,
            refused=service.refused_token,
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
        with listening(wanted, "gRPC"):
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
            jobs=self._running_jobs(),
        )

    def _running_jobs(self) -> int:
        try:
            with self._store.read() as tx:
                return len(tx.jobs.page(None, _MANY_JOBS, state=JobState.RUNNING))
        except DatabaseError:
            return 0  # the check of the database says so


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
            backlog=BACKLOG,
            timeout_keep_alive=keep_alive,
            timeout_graceful_shutdown=max(1, round(drain)),
            h11_max_incomplete_event_size=_HEADERS,
        )
        config.load()
        config.ssl = tls
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in order, and wait for no client that keeps an idle connection."""
        closing = asyncio.create_task(self._end_idle())
        try:
            await super().shutdown(sockets)
        finally:
            closing.cancel()

    async def _end_idle(self) -> None:
        """End the connections that are closed on our side.

        A client that does not look at its idle connection does not answer TLS's farewell, and asyncio
        would wait half a minute for that.
        """
        while True:
            await asyncio.sleep(_FAREWELL)
            for connection in list(self.server_state.connections):
                transport: Any = connection.transport
                if transport is not None and transport.is_closing():
                    transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them."""
        yield


def _now() -> int:
    return time.time_ns() // 1_000_000
