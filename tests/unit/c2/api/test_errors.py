"""The one table of errors: section 3.3, and nothing told of what was not foreseen."""

from __future__ import annotations

import pytest

from e4 import errors
from e4.c2.api.errors import AWAY, INTERNAL, answer_to, logged_answer


@pytest.mark.parametrize(
    ("error", "grpc", "http"),
    [
        (errors.NotFound("client not found"), 5, 404),
        (errors.InvalidName(), 3, 400),
        (errors.InvalidKey(), 3, 400),
        (errors.InvalidTopic(), 3, 400),
        (errors.InvalidRequest(), 3, 400),
        (errors.NotAuthentic(), 3, 400),
        (errors.MalformedMessage(), 3, 400),
        (errors.TimestampTooOld(), 3, 400),
        (errors.FailedPrecondition(), 9, 400),
        (errors.Unauthenticated(), 16, 401),
        (errors.PermissionDenied(), 7, 403),
        (errors.TooManyAttempts(), 8, 429),
        (errors.Conflict(), 6, 409),
        (errors.Unavailable(), 14, 503),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_foreseen(error: errors.E4Error, grpc: int, http: int) -> None:
    assert answer_to(error) == (grpc, http, type(error).__name__, str(error))


@pytest.mark.parametrize(
    "error",
    [
        KeyError("sealed_key"),
        RuntimeError("at 0x7f"),
        errors.WrongPassphrase(),
        errors.StoreError(),
        errors.C2Error("of a new kind"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_unforeseen_tells_nothing(error: Exception) -> None:
    assert answer_to(error) is INTERNAL
    assert INTERNAL == (13, 500, "Internal", "internal error")


def test_a_database_that_is_away_tells_to_come_again_and_nothing_else() -> None:
    assert answer_to(errors.DatabaseError("/var/lib/c2/c2.db: disk I/O error")) is AWAY
    assert (AWAY.grpc, AWAY.http, AWAY.code) == (14, 503, "Unavailable")
    assert "disk" not in AWAY.text


def test_what_is_hidden_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for error in (
        KeyError("sealed_key"),
        errors.DatabaseError("disk I/O error"),
        errors.NotFound("no client"),
    ):
        logged_answer(error, "NewTopic")
    assert [record.message for record in caplog.records] == ["NewTopic failed"] * 2
    assert ["sealed_key" in caplog.text, "disk I/O" in caplog.text, "no client" in caplog.text] == [1, 1, 0]
