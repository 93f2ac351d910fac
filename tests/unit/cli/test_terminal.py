"""A line that arrives appears above the one being typed, wherever the cursor is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.cli._terminal import above
from tests.unit.cli._screen import Screen

COLUMNS, ROWS = 20, 6


def screen_with(typed: str, *, before: int = 0, back: int = 0) -> Screen:
    """A screen with some rows above the prompt, and the cursor some columns before its end."""
    screen = Screen(COLUMNS, ROWS)
    screen.feed("".join(f"row {i}\r\n" for i in range(before)) + typed)
    screen.feed(f"\x1b[{back}D" if back else "")
    return screen


@pytest.mark.parametrize("before", range(ROWS))
@pytest.mark.parametrize("back", [0, 1, 5])
def test_the_line_typed_moves_down_and_the_cursor_with_it(before: int, back: int) -> None:
    screen = screen_with("bob> hello", before=before, back=back)
    column = screen.column
    screen.feed(above("[room] hi", "bob> hello", COLUMNS, ROWS))
    expected = [*[f"row {i}" for i in range(before)], "[room] hi", "bob> hello"][-ROWS:]
    assert screen.lines == expected
    assert (screen.lines[screen.row], screen.column) == ("bob> hello", column)
    screen.feed("!")
    assert screen.lines[-1] == ("bob> hello"[:column] + "!" + "bob> hello"[column + 1 :])


@pytest.mark.parametrize("length", [COLUMNS - 1, COLUMNS, COLUMNS + 1, 2 * COLUMNS, 2 * COLUMNS + 1])
@pytest.mark.parametrize("before", range(ROWS))
def test_a_line_of_several_rows(before: int, length: int) -> None:
    screen = screen_with("bob> x", before=before)
    line = ("0123456789" * 10)[:length]
    screen.feed(above(line, "bob> x", COLUMNS, ROWS))
    rows = [line[i : i + COLUMNS] for i in range(0, length, COLUMNS)]
    assert screen.lines == [*[f"row {i}" for i in range(before)], *rows, "bob> x"][-ROWS:]
    assert (screen.lines[screen.row], screen.column) == ("bob> x", 6)


@pytest.mark.parametrize("before", range(ROWS - 1))
def test_a_line_typed_over_two_rows_is_written_again(before: int) -> None:
    typed = "bob> " + "abcdefghij" * 2
    screen = screen_with(typed, before=before)
    screen.feed(above("[room] hi", typed, COLUMNS, ROWS))
    expected = [*[f"row {i}" for i in range(before)], "[room] hi", typed[:COLUMNS], typed[COLUMNS:]]
    assert screen.lines == expected[-ROWS:]
    assert screen.column == 5


def test_a_line_higher_than_the_screen_leaves_the_one_typed_at_the_bottom() -> None:
    screen = screen_with("bob> x", before=2)
    screen.feed(above("y" * COLUMNS * ROWS, "bob> x", COLUMNS, ROWS))
    assert screen.lines[-1] == "bob> x"
    assert screen.lines[-2] == "y" * COLUMNS


@pytest.mark.parametrize(
    "text", ["\x1b[32m" + "x" * COLUMNS + "\x1b[0m", "你好" * (COLUMNS // 4), "e\u0301" * COLUMNS]
)
def test_colours_and_wide_characters_count_as_wide_as_they_are(text: str) -> None:
    sequence = above(text, "bob> x", COLUMNS, ROWS)
    assert sequence.startswith("\x1bD\x1b[1A\x1b7\r\x1b[1L")
    assert above(text + "x", "bob> x", COLUMNS, ROWS).startswith("\x1bD\x1bD\x1b[2A")


def rows_of(text: str, columns: int) -> list[str]:
    screen = Screen(columns, 100)
    screen.feed(text)
    return screen.lines


@given(
    st.text("ab你", min_size=1, max_size=70),
    st.text("xy好", max_size=70),
    st.integers(0, 20),
    st.integers(8, 30),
    st.integers(18, 21),
)
def test_both_lines_are_on_the_screen_whole(
    line: str, typed: str, before: int, rows: int, columns: int
) -> None:
    typed = "> " + typed
    screen = Screen(columns, rows)
    screen.feed("row\r\n" * before + typed)
    if screen.wraps:
        screen.feed(" \r")  # as readline does, so that the cursor stands where the next character goes
    screen.feed(above(line, typed, columns, rows))
    expected = ["row"] * before + rows_of(line, columns) + rows_of(typed, columns)
    assert screen.lines[-rows + 1 :] == expected[-rows + 1 :]
    screen.feed("!")
    assert screen.lines[-1] == rows_of(typed + "!", columns)[-1]
