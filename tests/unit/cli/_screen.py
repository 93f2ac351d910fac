"""A terminal in a few lines: enough of a VT100 for what readline and `e4.cli._terminal` write."""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b(?:\[([?0-9;]*)([A-Za-z@])|([D78=>])|\][^\x07]*\x07)")


class Screen:
    """Columns by rows; the cursor is (row, column), from 0."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.wraps = False  # the last column is written: the next character goes to the next row
        self._saved = (0, 0, False)
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """The rows that hold something, without what is blank at their ends."""
        lines = ["".join(row).rstrip() for row in self._cells]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def feed(self, text: str) -> None:
        """Write to the terminal; a sequence may come in two pieces."""
        text = self._rest + text
        last = text.rfind("\x1b")
        cut = last if last >= 0 and not _SEQUENCE.match(text, last) else len(text)
        text, self._rest = text[:cut], text[cut:]
        at = 0
        while at < len(text):
            match = _SEQUENCE.match(text, at)
            if match:
                self._control(match)
                at = match.end()
            else:
                self._character(text[at])
                at += 1

    def _character(self, char: str) -> None:
        if char == "\n":
            self._down()
        elif char == "\r":
            self.column, self.wraps = 0, False
        elif char == "\b":
            self.column, self.wraps = max(0, self.column - 1), False
        elif char >= " ":
            width = 2 if unicodedata.east_asian_width(char) in "WF" else 1
            if self.wraps or self.column + width > self.columns:
                self.column, self.wraps = 0, False
                self._down()
            self._cells[self.row][self.column : self.column + width] = [char] + [""] * (width - 1)
            self.column += width
            if self.column >= self.columns:
                self.column, self.wraps = self.columns - 1, True

    def _down(self) -> None:
        if self.row == self.rows - 1:
            del self._cells[0]
            self._cells.append([" "] * self.columns)
        else:
            self.row += 1

    def _control(self, match: re.Match[str]) -> None:
        parameters, final, single = match.groups()
        if single == "D":
            self._down()
        elif single == "7":
            self._saved = (self.row, self.column, self.wraps)
        elif single == "8":
            self.row, self.column, self.wraps = self._saved
        if final is None or (parameters and "?" in parameters):
            return
        number = int((parameters or "").split(";")[0] or 0)
        count = number or 1
        if final == "m":
            return
        self.wraps = False
        if final == "A":
            self.row = max(0, self.row - count)
        elif final == "B":
            self.row = min(self.rows - 1, self.row + count)
        elif final == "C":
            self.column = min(self.columns - 1, self.column + count)
        elif final == "D":
            self.column = max(0, self.column - count)
        elif final == "G":
            self.column = count - 1
        elif final == "K":
            self._cells[self.row][self.column :] = [" "] * (self.columns - self.column)
        elif final == "J":
            self._cells[self.row][self.column :] = [" "] * (self.columns - self.column)
            for row in range(self.row + 1, self.rows):
                self._cells[row] = [" "] * self.columns
        elif final == "L":
            for _ in range(count):
                self._cells.insert(self.row, [" "] * self.columns)
                self._cells.pop()
        elif final == "P":
            row = self._cells[self.row]
            del row[self.column : self.column + count]
            row += [" "] * (self.columns - len(row))
        elif final == "@":
            row = self._cells[self.row]
            row[self.column : self.column] = [" "] * count
            del row[self.columns :]
        elif final == "H":
            self.row = self.column = 0
        else:
            raise AssertionError(f"this terminal does not know {match.group()!r}")
