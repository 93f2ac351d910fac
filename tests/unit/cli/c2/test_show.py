"""Tables for people, and progress: on a terminal, and where there is none."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator

import pytest

from e4.c2.model import Page
from e4.cli._errors import Failed
from e4.cli.c2 import _progress
from e4.cli.c2._access import confirm
from e4.cli.c2._pages import paged
from e4.cli.c2._progress import Progress
from e4.cli.c2._show import listed, time_of
from tests.unit.cli.c2._fleet import AT, AT_TEXT

COLUMNS = {"name": lambda row: row[0], "number": lambda row: row[1]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Screens:
    """Standard output and error, both terminals of 40 columns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._out, self._err = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", self._out)
        monkeypatch.setattr(sys, "stderr", self._err)
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setenv("TERM", "xterm")

    @property
    def out(self) -> list[str]:
        return [line.rstrip() for line in plain(self._out.getvalue()).splitlines()]

    @property
    def err(self) -> str:
        return plain(self._err.getvalue())

    @property
    def raw(self) -> str:
        return self._out.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class TestTerminal:
    def test_a_table_has_headings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        listed([("alice", 1), ("你好", 20)], COLUMNS, as_json=False)
        assert screens.out == ["name   number", "alice  1", "你好   20"]

    def test_what_could_act_on_the_terminal_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        listed([("a\x1b[2Jb\n[bold]c", "[/x]")], COLUMNS, as_json=False)
        assert screens.out[1] == "a\\x1b[2Jb\\n[bold]c  [/x]"

    def test_columns_stay_where_they_are_in_a_long_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        listed([(f"name{i}", f"no{i}") for i in range(1000)], COLUMNS, as_json=False)
        heading, *rows = screens.out
        assert len(rows) == 1000
        assert {row.index("no") for row in rows} == {heading.index("number")}

    def test_rows_of_a_live_list_come_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)

        def rows() -> Iterator[tuple[str, int]]:
            for i in range(3):
                yield f"row{i}", i
                assert screens.out[-1].startswith(f"row{i}")

        listed(rows(), COLUMNS, as_json=False, live=True)
        assert len(screens.out) == 4

    def test_nothing_is_said_in_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        listed([], COLUMNS, as_json=False, none="no clients")
        assert screens.out == ["no clients"]

    def test_a_long_name_is_not_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        listed([("x" * 100, 1)], COLUMNS, as_json=False)
        assert screens.out[1] == "x" * 100 + "  1"

    def test_more_rows_than_the_columns_were_measured_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        listed([(f"name{i}", f"no{i}") for i in range(300)] + [("x" * 50, "no")], COLUMNS, as_json=False)
        assert screens.out[-1] == "x" * 50 + "  no"

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets its time zone otherwise")
    def test_times_are_local(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Screens(monkeypatch)
        monkeypatch.setenv("TZ", "Etc/GMT-2")
        time.tzset()
        try:
            assert time_of(AT) == "2026-09-21 16:13:20"
        finally:
            monkeypatch.undo()
            time.tzset()

    def test_a_bar(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        with Progress("job \x1b7", 10) as progress:
            progress.update(5)
            progress.note("row 3 is [bold]bad")
            progress.update(20, 20)
        assert screens.raw == ""
        assert "row 3 is [bold]bad\n" in screens.err
        assert "100%" in screens.err
        assert "\\x1b7" in screens.err

    def test_colours_only_where_they_are_wanted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        screens = Screens(monkeypatch)
        monkeypatch.delenv("NO_COLOR", raising=False)
        listed([("a", 1)], COLUMNS, as_json=False)
        assert "\x1b[1m" in screens.raw
        for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            screens = Screens(monkeypatch)
            monkeypatch.setenv(variable, value)
            listed([("a", 1)], COLUMNS, as_json=False)
            assert "\x1b[3" not in screens.raw


class TestPipe:
    def test_times_are_exact(self) -> None:
        assert (time_of(AT), time_of(None)) == (AT_TEXT, "-")

    def test_progress_is_a_line_now_and_then(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        now = 100.0
        monkeypatch.setattr(_progress.time, "monotonic", lambda: now)
        with Progress("rows", 100) as progress:
            for step in range(10):
                now = 100.0 + step
                progress.update(step * 10)
        with Progress("rows") as progress:
            now += 10
            progress.update(7)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == "rows: 50 of 100, 10 per second\nrows: 7, 1 per second\n"

    def test_short_work_says_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Progress("rows", 2) as progress:
            progress.update(2)
        assert capsys.readouterr() == ("", "")


def test_a_page_that_is_empty_is_not_the_end() -> None:
    pages = {None: Page([1, 2], "a"), "a": Page([], "b"), "b": Page([3], None)}
    assert list(paged(lambda cursor, size: pages[cursor], None)) == [1, 2, 3]
    assert list(paged(lambda cursor, size: Page([1] * size, "a"), 3)) == [1, 1, 1]


@pytest.mark.parametrize(("answer", "done"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("", False)])
def test_a_person_is_asked(monkeypatch: pytest.MonkeyPatch, answer: str, done: bool) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)
    if done:
        confirm("Forget \x1b[2Jalice?", yes=False)
    else:
        with pytest.raises(Failed, match="not done"):
            confirm("Forget \x1b[2Jalice?", yes=False)
    assert screen.getvalue() == "Forget \\x1b[2Jalice? [y/N] "
