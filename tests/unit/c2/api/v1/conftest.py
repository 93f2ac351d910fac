"""A key server on a new database in both modes, and one who asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from e4.c2.model import Mode
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask


@pytest.fixture
def server(tmp_path: Path, mode: Mode) -> Iterator[Keyserver]:
    """A server without authentication, in both modes in turn."""
    made = Keyserver(tmp_path, mode)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Keyserver]:
    """A server that asks for tokens."""
    made = Keyserver(tmp_path, required=True)
    yield made
    made.close()


@pytest.fixture
async def ask(server: Keyserver) -> AsyncIterator[Ask]:
    """Asks `server`."""
    asking = Ask(server)
    yield asking
    await asking.http.aclose()


@pytest.fixture
async def knock(guarded: Keyserver) -> AsyncIterator[Ask]:
    """Asks `guarded`, with the token that the test gives."""
    asking = Ask(guarded)
    yield asking
    await asking.http.aclose()
