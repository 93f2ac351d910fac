"""Fixtures of the key server as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e._c2_server import C2Servers, servers


@pytest.fixture
def c2_server(tmp_path: Path) -> Iterator[C2Servers]:
    """Makes key servers: ``c2_server(mosquitto())``, ``c2_server(mode="pubkey", auth=False)``."""
    yield from servers(tmp_path)
