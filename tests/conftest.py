"""Fixtures for every test: the crypto backend, each test once per implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from e4.backend import Backend, BackendName, get
from e4.c2.storage import Store
from tests._broker import Brokers, brokers
from tests._databases import PostgreSQL, servers, urls

_DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of the tests' own; started when first asked for."""
    yield from servers()


@pytest.fixture(params=_DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database of the newest revision, nothing in it: SQLite and PostgreSQL, in turn."""
    yield from urls(request, tmp_path)


@pytest.fixture(params=_DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables (SQLite: a file that is not there): SQLite and PostgreSQL, in turn."""
    yield from urls(request, tmp_path, ready=False)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """The database of `database_url`, open."""
    opened = Store.open(database_url)
    try:
        yield opened
    finally:
        opened.close()
