"""A key server that listens, in a thread: both APIs with TLS, a database of its own, and nobody who sends."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from e4.c2.api.feed import Feed
from e4.c2.api.grpc.server import GrpcServer, Tls
from e4.c2.api.http import make_app
from e4.c2.auth import Authenticator
from e4.c2.model import ANYBODY, Call, Mode, Role
from e4.c2.service import Service
from e4.c2.service.setup import initialise
from e4.c2.storage import Store
from e4.c2.vault import Kdf
from tests._certificates import Authority

SOON = 30
ADMIN = Call(ANYBODY, "test")


class Monitor:
    """Health and metrics that nobody looks at."""

    def alive(self) -> dict[str, Any]:
        return {}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return True, {}

    def render(self) -> tuple[bytes, str]:
        return b"", "text/plain"

    def request(self, api: str, operation: str, outcome: str, seconds: float) -> None:
        pass


class Listening:
    """The server.

    Args:
        folder: for its database and certificate.
        auth: whether tokens are needed; `token` makes them.
        max_failed: wrong credentials per minute that are looked at.
    """

    def __init__(
        self, folder: Path, mode: Mode = "symkey", *, auth: bool = False, max_failed: int = 10
    ) -> None:
        folder.mkdir()
        self.store = Store.create(f"sqlite:///{folder / 'c2.db'}")
        vault = initialise(self.store, mode, "a passphrase of the tests", 0, kdf=Kdf(1, 64, 1))
        self.service = Service(self.store, vault, notify=lambda: self._feed.notify())
        self._authenticator = Authenticator(self.store, required=auth, max_failed=max_failed)
        self._feed = Feed(self.service)
        authority = Authority(folder, "authority")
        self._files = authority.issue("server")
        self.ca = authority.file
        self.http, self.grpc = 0, 0
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Listening:
        self._thread.start()
        assert self._ready.wait(SOON)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(SOON)
        assert not self._thread.is_alive()
        self.store.close()

    def token(self, role: Role, *, protect: bool = False) -> str:
        name = f"{role}{'-protect' if protect else ''}"
        _, secret = self.service.tokens.new_token(ADMIN, name, role, protect, None)
        return secret

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        monitor: Any = Monitor()
        app = make_app(self.service, self._authenticator, self._feed, health=monitor, metrics=monitor)
        certificate, key = self._files
        http = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                h11_max_incomplete_event_size=256 * 1024,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_graceful_shutdown=5,
            )
        )
        http.install_signal_handlers = lambda: None
        tls = Tls(certificate.read_bytes(), key.read_bytes())
        grpc = GrpcServer(self.service, self._authenticator, self._feed, monitor, tls=tls)
        # With its protocol named, or asyncio leaves Nagle's algorithm on: 40 ms for every answer.
        with socket.socket(proto=socket.IPPROTO_TCP) as listener:
            listener.bind(("127.0.0.1", 0))
            self.http = listener.getsockname()[1]
            serving = asyncio.create_task(http.serve([listener]))
            self.grpc = await grpc.start("127.0.0.1:0")
            self._ready.set()
            await self._stop.wait()
            await grpc.stop(5)
            http.should_exit = True
            await serving
