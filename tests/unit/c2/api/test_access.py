"""Request ids and bearer tokens."""

from __future__ import annotations

import re

import pytest
import structlog

from e4.c2.api.access import admit, bearer, request_log, request_number
from e4.errors import Unauthenticated
from tests.unit.c2.api._fakes import VIEWER, FakeAuthenticator


@pytest.mark.parametrize("given", ["7", "a-b_c.D9", "x" * 64])
def test_a_sane_id_is_taken(given: str) -> None:
    assert request_number(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\n", "é", 'a"', "a/b"])
def test_another_is_replaced(given: str | None) -> None:
    made = request_number(given)
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert made != request_number(given)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("Bearer e4_abc", "e4_abc"),
        ("bearer  e4_abc ", "e4_abc"),
        ("Basic dTpw", ""),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("", ""),
        ("e4_abc", ""),
    ],
)
def test_bearer(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


def test_admit() -> None:
    authenticator = FakeAuthenticator(required=True)
    call = admit(authenticator, "Bearer good", "192.0.2.7", "r1")  # type: ignore[arg-type]
    assert (call.actor, call.peer, call.request_id) == (VIEWER, "192.0.2.7", "r1")
    with pytest.raises(Unauthenticated):
        admit(authenticator, "Basic good", "192.0.2.7", "r1")  # type: ignore[arg-type]


def test_the_log_knows_the_request() -> None:
    with request_log("r1"):
        assert structlog.contextvars.get_contextvars()["request_id"] == "r1"
    assert "request_id" not in structlog.contextvars.get_contextvars()
