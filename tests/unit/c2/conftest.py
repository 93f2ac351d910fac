"""Fixtures for the key server: its service in both modes, over both databases."""

from __future__ import annotations

import pytest

from e4.c2.model import Call, Mode
from e4.c2.service import Service
from e4.c2.service.setup import initialise
from e4.c2.storage import Store
from e4.c2.vault import Kdf
from tests.unit.c2._world import CALL, PASSPHRASE, Clock, World

CHEAP = Kdf(time_cost=1, memory_kib=64, lanes=1)


@pytest.fixture(params=["symkey", "pubkey"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both modes, in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def clock() -> Clock:
    """The service's clock: milliseconds, moved by the test."""
    return Clock()


@pytest.fixture
def world(store: Store, mode: Mode, clock: Clock) -> World:
    """A service on an empty database, and devices to be."""
    vault = initialise(store, mode, PASSPHRASE, clock(), kdf=CHEAP)
    notified: list[int] = []
    service = Service(store, vault, clock, lambda: notified.append(clock()))
    return World(service, store, vault, clock, notified)


@pytest.fixture
def service(world: World) -> Service:
    """The service of `world`."""
    return world.service


@pytest.fixture
def call() -> Call:
    """A call of somebody who may do everything."""
    return CALL
