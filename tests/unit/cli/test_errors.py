"""Errors: one line, what to do next, the exit code; and that none of them is left out."""

from __future__ import annotations

import logging

import pytest
import typer

from e4 import errors
from e4.cli._errors import Failed, Usage, exit_code, explain, report

ALL = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)]


@pytest.mark.parametrize("error", ALL)
def test_each_error_of_e4_is_one_line(error: type[errors.E4Error]) -> None:
    text = explain(error())
    assert text.startswith(error.default)
    assert "\n" not in text
    usage = error in (errors.InvalidName, errors.InvalidPassword, errors.InvalidTopic, errors.InvalidId)
    assert exit_code(error()) == (2 if usage else 1)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Usage("give --x"), 2, "give --x"),
        (Failed("no luck"), 1, "no luck"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (FileNotFoundError(2, "No such file or directory", "a b"), 1, "a b: No such file or directory"),
        (PermissionError(13, "Permission denied", b"bytes"), 1, "bytes: Permission denied"),
        (OSError("odd"), 1, "odd"),
        (OSError(), 1, "OSError"),
        (
            ZeroDivisionError("1/0"), 1,
            "internal error (ZeroDivisionError): please report it; --verbose shows where it is",
        ),
        (errors.StoreError("cannot\x1b[2J read\nthis"), 1, "cannot\\x1b[2J read\\nthis"),
        (typer.BadParameter("no good"), 2, "no good"),
    ],
)  # fmt: skip
def test_other_errors(error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error) == exit_code(error) == code
    assert capsys.readouterr().err == f"e4: {text}\n"


def test_where_an_internal_error_is_shows_only_with_verbose(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("1/0")

    for level, shows in ((logging.WARNING, False), (logging.DEBUG, True)):
        monkeypatch.setattr(logging.getLogger("e4"), "level", level)
        logging.getLogger("e4").manager._clear_cache()  # type: ignore[attr-defined]
        try:
            fail()
        except ZeroDivisionError as error:
            report(error)
        assert ("Traceback" in capsys.readouterr().err) is shows
    logging.getLogger("e4").manager._clear_cache()  # type: ignore[attr-defined]


def test_errors_of_e4_never_show_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("e4"), "isEnabledFor", lambda level: True)
    report(errors.NotDelivered())
    assert "Traceback" not in capsys.readouterr().err
