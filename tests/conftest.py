"""Fixtures for every test: the crypto backend, each test once per implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from e4.backend import Backend, BackendName, get
from tests._broker import Brokers, brokers


@pytest.fixture(scope="session", params=get_args(BackendName))
def backend_name(request: pytest.FixtureRequest) -> str:
    """``native`` and ``reference``, in turn; a backend that is not there is an error, not a skip."""
    return str(request.param)


@pytest.fixture(scope="session")
def backend(backend_name: str) -> Backend:
    """The backend of that name."""
    return get(backend_name)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Brokers]:
    """Makes private mosquitto brokers for one test: ``mosquitto()``, ``mosquitto(persistent=True)``."""
    yield from brokers(tmp_path)
