"""A service that is not there: the test is skipped, and fails where services are required."""

from __future__ import annotations

import pytest

from tests._broker import require


def test_a_missing_service_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("E4_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-broker is not installed"):
        require("no-such-broker")


def test_a_missing_service_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E4_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="E4_REQUIRE_SERVICES=1"):
        require("no-such-broker")
