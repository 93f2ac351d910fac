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
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn

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
from e4.errors import E4Error, InvalidSettings, MqttError
from e4.mqtt import TLS
from e4.mqtt.publisher import Publisher

__all__ = ["Server"]

_HEADERS = 256 * 1024  # bytes: a topic of 65535, percent-encoded in a path, and some more
_SIGNALLED = 128  # plus the signal's number: the exit code as a shell counts it
_WATCH = 1.0  # seconds


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
        self._log = structlog.get_logger("e4.c2")

    def run(self, announce: Callable[[str], None] | None = None) -> None:
        """Serve until SIGTERM or SIGINT; a second one ends the process at once.

        Args:
            announce: gets a few lines for a person when the server is ready.

        Raises:
            InvalidSettings: a setting, a file or an address cannot be used.
            DatabaseError: the database cannot be opened, or another server has it.
            WrongPassphrase: the passphrase is not this database's.
        """
        # What gRPC's core has to say of a failed start, on stderr, is said by ours.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        logs.configure(self._settings.log.level, sys.stdout)
        asyncio.run(self._run(announce))

    async def _run(self, announce: Callable[[str], None] | None) -> None:
        settings = self._settings
        stop = _stop_signals(asyncio.get_running_loop())
        tls = _Tls.read(self._configuration)
        make_publisher = _publishers(self._configuration)
        _check_exposure(settings.auth.required, settings.http.address, settings.grpc.address)
        with contextlib.ExitStack() as stack:
            stack.enter_context(folder.lock(self._configuration))
            store, vault = folder.open_database(self._configuration, self._passphrase)
            self._passphrase = ""
            stack.callback(store.close)
            parts = _Parts(store, vault, self._configuration, make_publisher, tls)
            sockets = stack.enter_context(_listening(settings.http.address, "HTTP"))
            with _listening(settings.grpc.address, "gRPC") as probe:
                del probe  # only for an error that says more than gRPC's
            async with parts.serving(sockets, tls, settings.drain_seconds if False else 0):
                await stop.wait()
