"""Fixtures for every test: the crypto backend, each test once per implementation."""

from __future__ import annotations

from typing import get_args

import pytest

from e4.backend import Backend, BackendName, get


@pytest.fixture(scope="session", params=get_args(BackendName))
def backend_name(request: pytest.FixtureRequest) -> str:
    """``native`` and ``reference``, in turn; a backend that is not there is an error, not a skip."""
    return str(request.param)


@pytest.fixture(scope="session")
def backend(backend_name: str) -> Backend:
    """The backend of that name."""
    return get(backend_name)
