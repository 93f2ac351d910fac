"""A key server to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests._keyserver import Keyserver


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Keyserver]:
    """A server without authentication."""
    made = Keyserver(tmp_path)
    yield made
    made.close()
