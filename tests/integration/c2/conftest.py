"""Fixtures of the tests of delivery: servers, and devices behind a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests._broker import Broker, Brokers
from tests._fleet import BROKER, Fleet
from tests.integration.c2._server import Server


@pytest.fixture
def broker(mosquitto: Brokers) -> Broker:
    """A broker that drops nothing while it runs."""
    return mosquitto(*BROKER)


@pytest.fixture
def fleet(broker: Broker) -> Iterator[Fleet]:
    """Devices behind the broker."""
    made = Fleet(broker)
    yield made
    made.close()


@pytest.fixture
def make_server(database_url: str) -> Iterator[Callable[..., Server]]:
    """Makes servers on one database, SQLite and PostgreSQL in turn: ``make_server(broker, mode)``."""
    made: list[Server] = []

    def make(*arguments: Any, **options: Any) -> Server:
        made.append(Server(database_url, *arguments, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop(1)
