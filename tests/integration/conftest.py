"""Fixtures of the tests with a real broker: every case with both clients and both versions of MQTT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests._broker import Broker
from tests.integration._peers import KINDS, MODES, VERSIONS, Peers, Plain
from tests.integration._publishing import Publishers, RawBrokers


@pytest.fixture(params=KINDS)
def peers(request: pytest.FixtureRequest) -> Iterator[Peers]:
    """Makes secure clients: the threaded one and the asyncio one, in turn."""
    made = Peers(request.param)
    yield made
    made.close()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """MQTT 3.1.1 and 5, in turn."""
    return str(request.param)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Symmetric-key and public-key mode, in turn."""
    return str(request.param)


@pytest.fixture
def plain() -> Iterator[Callable[..., Plain]]:
    """Makes ordinary MQTT clients."""
    made: list[Plain] = []

    def make(broker: Broker, *filters: str, **options: Any) -> Plain:
        made.append(Plain(broker, *filters, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def publishers() -> Iterator[Publishers]:
    """Makes publishers of commands, connected unless told otherwise."""
    made = Publishers()
    yield made
    made.close()


@pytest.fixture
def raw() -> Iterator[RawBrokers]:
    """Makes brokers that say what a test says, byte by byte."""
    made = RawBrokers()
    yield made
    made.close()
