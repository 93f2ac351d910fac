"""From start to stop of one server process, and its signals."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import structlog

from e4.c2 import folder, logs
from e4.c2.app.network import Tls, check_exposure, listening, publisher_factory
from e4.c2.app.running import Running
from e4.c2.settings import Address, Configuration
from e4.errors import E4Error

__all__ = ["Server"]

_SIGNALLED = 128  # plus the signal's number: the exit code as a shell counts it


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
        tls = Tls.read(self._configuration)
        publisher = publisher_factory(self._configuration)
        for address in (settings.http.address, settings.grpc.address):
            check_exposure(address, settings.auth.required)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(folder.lock(self._configuration))
            store, vault = folder.open_database(self._configuration, self._passphrase)
            self._passphrase = ""
            stack.callback(store.close)
            sockets = stack.enter_context(listening(settings.http.address, "HTTP"))
            running = Running(self._configuration, store, vault, publisher, tls)
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
