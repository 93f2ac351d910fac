"""The log: JSON lines, from whatever library, with the request's id, and nothing that is not asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from e4.c2 import logs


class Lines(io.StringIO):
    def read_all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    stream = Lines()
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.raiseExceptions = raising
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def test_both_ways_to_log_end_in_the_same_lines(lines: Lines) -> None:
    logging.getLogger("e4.c2.a").warning("trying again in %.1f seconds", 2)
    structlog.get_logger("e4.c2.b").info("listening", http="https://127.0.0.1:1")
    one, two = lines.read_all()
    assert list(one) == ["time", "level", "logger", "event"]
    assert (one["level"], one["logger"], one["event"]) == (
        "warning", "e4.c2.a", "trying again in 2.0 seconds",
    )  # fmt: skip
    assert one["time"].endswith("Z")
    assert (two["logger"], two["event"], two["http"]) == ("e4.c2.b", "listening", "https://127.0.0.1:1")


def test_what_a_request_logs_has_its_id(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("e4.c2").info("in it")
    logging.getLogger("e4.c2").info("after it")
    assert [line.get("request_id") for line in lines.read_all()] == ["r1", None]


def test_only_known_members_are_taken_from_others(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").error("x", extra={"color_message": "x", "operation": "NewTopic"})
    (line,) = lines.read_all()
    assert line["operation"] == "NewTopic"
    assert "color_message" not in line


def test_a_traceback_is_one_line_without_the_values_of_variables(lines: Lines) -> None:
    def fail() -> None:
        a_secret = "".join(["very", "-", "secret"])
        raise RuntimeError(len(a_secret))

    try:
        fail()
    except RuntimeError:
        logging.getLogger("e4.c2").exception("failed")
    (line,) = lines.read_all()
    assert "RuntimeError: 11" in line["exception"]
    assert "very-secret" not in json.dumps(line)


@pytest.mark.parametrize("name", ["sqlalchemy.engine", "alembic.runtime", "uvicorn.error", "grpc", "asyncio"])
def test_libraries_are_quiet_until_something_is_wrong(name: str, lines: Lines) -> None:
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("something")
    assert [line["event"] for line in lines.read_all()] == ["something"]


def test_the_level_counts(lines: Lines) -> None:
    logs.configure("error", lines)
    logging.getLogger("e4.c2").warning("no")
    structlog.get_logger("e4.c2").warning("no")
    logging.getLogger("sqlalchemy").warning("no")
    logging.getLogger("e4.c2").error("yes")
    assert [line["event"] for line in lines.read_all()] == ["yes"]


def test_text_from_outside_cannot_make_a_line(lines: Lines) -> None:
    logging.getLogger("e4.c2").info("a\n%s", '{"event": "false"}\u2028')
    assert len(lines.getvalue().splitlines()) == 1
    assert lines.getvalue().isascii()


def test_a_reader_that_has_gone_ends_nothing(lines: Lines) -> None:
    lines.close()
    logging.getLogger("e4.c2").info("nobody reads this")
