"""A key server in this process: the service on a new SQLite database, its HTTP application, and uvicorn."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from e4 import crypto
from e4.c2.api.feed import Feed
from e4.c2.api.http import make_app
from e4.c2.auth import Authenticator
from e4.c2.model import ANYBODY, Call, Mode, Role
from e4.c2.service import Service
from e4.c2.service.setup import initialise
from e4.c2.storage import Store
from e4.c2.vault import Kdf

_numbers = itertools.count()


class _Metrics:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []  # operation and outcome

    def request(self, api: str, operation: str, outcome: str, seconds: float) -> None:
        self.requests.append((operation, outcome))

    def render(self) -> tuple[bytes, str]:
        return b"", "text/plain"


class _Health:
    def alive(self) -> dict[str, Any]:
        return {}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return True, {}


class Keyserver:
    """A key server without delivery. Its `app` belongs to the event loop that serves it first.

    Args:
        folder: for its database.
        required: whether tokens are needed; `token` makes them.
        max_failed: wrong ones per minute and address that are looked at.
    """

    def __init__(
        self, folder: Path, mode: Mode = "symkey", *, required: bool = False, max_failed: int = 10
    ) -> None:
        self.mode: Mode = mode
        self.store = Store.create(f"sqlite:///{folder / f'c2-{next(_numbers)}.sqlite'}")
        vault = initialise(self.store, mode, "a passphrase for tests", 0, kdf=Kdf(1, 64, 1))
        self.service = Service(self.store, vault, notify=lambda: self.feed.notify())
        self.feed = Feed(self.service, poll_seconds=0.1)
        self.metrics = _Metrics()
        self.authenticator = Authenticator(self.store, required=required, max_failed=max_failed)
        self.app = make_app(
            self.service,
            self.authenticator,
            self.feed,
            health=_Health(),  # type: ignore[arg-type]
            metrics=self.metrics,  # type: ignore[arg-type]
        )

    def close(self) -> None:
        self.store.close()

    def token(self, role: Role = Role.ADMIN, *, protect: bool = True, name: str | None = None) -> str:
        """The secret of a new token."""
        name = name or f"{role}-{next(_numbers)}"
        return self.service.tokens.new_token(self.call, name, role, protect, None)[1]

    @property
    def call(self) -> Call:
        return Call(ANYBODY, "test")

    def key(self) -> bytes:
        """A key that a client may have."""
        if self.mode == "symkey":
            return crypto.random_key()
        return crypto.ed25519_public_key(crypto.random_ed25519_private_key())

    def deliver(self, failure: str | None = None) -> None:
        """As if all that is queued were sent; or refused by the broker, for that reason."""
        now = time.time_ns() // 1_000_000
        with self.store.claim(1000, now) as claim:
            sent = [] if failure else [(out, now // 1000) for out in claim.outgoing]
            failed = [(out, failure, now + 60_000) for out in claim.outgoing] if failure else []
            with claim.write() as tx:
                self.service.delivered(tx, sent, failed)

    def add_clients(self, *names: str) -> None:
        self.service.clients.new_clients(self.call, [(name, self.key()) for name in names])


class Serving:
    """uvicorn in a thread, on a port of its own; `stop` and `start` again on the same port.

    Args:
        server: what it serves.
        certificate: its file and that of its key, for TLS.
    """

    def __init__(self, server: Keyserver, certificate: tuple[Path, Path] | None = None) -> None:
        self._server = server
        self._certificate = certificate
        self.port = 0
        self._listener = self._listen()
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.start()

    def _listen(self) -> socket.socket:
        # With its protocol named, or asyncio leaves Nagle's algorithm on: 40 ms for every answer.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        return listener

    def start(self) -> None:
        if self._listener.fileno() < 0:
            self._listener = self._listen()
        certificate, key = self._certificate or (None, None)
        config = uvicorn.Config(
            self._server.app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=1 << 18,
        )
        self._uvicorn = uvicorn.Server(config)
        self._uvicorn.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._uvicorn.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        with self._listener:
            await self._uvicorn.serve([self._listener])

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def serving(server: Keyserver, certificate: tuple[Path, Path] | None = None) -> Iterator[Serving]:
    """The server, behind a port until the block ends."""
    running = Serving(server, certificate)
    try:
        yield running
    finally:
        running.stop()
