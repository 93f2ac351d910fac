"""The commands of ``e4 c2`` in this process, against a server that is played."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import MagicMock, create_autospec

import pytest

import e4.c2.remote
from e4.c2.model import Page, ServerInfo
from e4.c2.remote import Remote
from tests.unit.cli._run import Run
from tests.unit.cli.c2._fleet import URL, Asked


@pytest.fixture(autouse=True)
def _no_server_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("E4_C2_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """The server: whatever is asked of it must be a method of `Remote`, with its arguments."""
    played: MagicMock = create_autospec(Remote, instance=True)
    played.__enter__.return_value = played
    played.info.return_value = ServerInfo("symkey", "1.0.0", 2, 1)
    played.get_crypto_mode.return_value = "symkey"
    for name in dir(Remote):
        if name.startswith("page_"):
            getattr(played, name).return_value = Page()
    monkeypatch.setattr(e4.c2.remote, "Remote", create_autospec(Remote, return_value=played))
    return played


@pytest.fixture
def connected(remote: MagicMock) -> MagicMock:
    """What `Remote` itself was called with."""
    return e4.c2.remote.Remote  # type: ignore[return-value]


@pytest.fixture
def ask(run: Run, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Runs ``e4 c2`` with arguments, for the server that is played."""
    monkeypatch.setenv("E4_C2_URL", URL)
    return Asked(run)
