"""Lines in, lines out: at a terminal, with editing, and through pipes. Knows no command and no broker.

At a terminal, a line that comes from another thread appears above the one being typed. GNU readline
may be asked only by the thread that reads, so a signal has that thread do the writing.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import re
import shutil
import signal
import sys
import threading
import unicodedata
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lines", "Pipe", "Terminal", "above"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Lines(Protocol):
    """Where lines come from and go to."""

    broken: bool
    """Whether nobody reads what is printed."""

    def read(self) -> str | None:
        """The next line without its end; ``None`` at the end of the input.

        Raises:
            UnicodeDecodeError: the line is not UTF-8.
        """

    def show(self, line: str) -> None:
        """Print a line; from any thread."""

    def complain(self, line: str) -> None:
        """Print a line about an error; from any thread."""

    def close(self) -> None:
        """No line is read any more."""


class Pipe:
    """Plain lines: one command per line, one line per event, each written at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.broken = False

    def read(self) -> str | None:
        """The next line without its end; ``None`` at the end of the input."""
        line = sys.stdin.buffer.readline()
        return line.decode().rstrip("\r\n") if line else None

    def show(self, line: str) -> None:
        """Print a line; from any thread."""
        with self._lock:
            if self.broken:
                return
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                self.broken = True
                if threading.current_thread() is threading.main_thread():
                    raise
                # The main thread waits for a line that would be of no use.
                os.kill(os.getpid(), signal.SIGINT)

    def complain(self, line: str) -> None:
        """Print a line on stderr; from any thread."""
        with self._lock:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to do."""


class Terminal:
    """A prompt with editing, completion, and the history of this run (which no file keeps).

    Args:
        prompt: printable text.
        complete: the words that may stand at the end of a line, from the line up to there.
    """

    def __init__(self, prompt: str, complete: Callable[[str], list[str]]) -> None:
        self.broken = False
        self._prompt = prompt
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._typing = False
        self._readline = _load_readline()
        # Elsewhere (Windows) a line is written over the one being typed, and the prompt again below it.
        self._signal = getattr(signal, "SIGUSR1", None) if self._readline is not None else None
        if self._readline is not None:
            self._prepare(self._readline, complete)
        if self._signal is not None:
            self._before = signal.signal(self._signal, lambda *_: self._show_waiting())

    def read(self) -> str | None:
        """The next line without its end; ``None`` at the end of the input."""
        # Typing begins when the prompt is there, where readline tells us.
        self._typing = not hasattr(self._readline, "set_pre_input_hook")
        try:
            return input(self._prompt)
        except EOFError:
            _write("\n")
            return None
        finally:
            self._typing = False

    def show(self, line: str) -> None:
        """Print a line; from any thread."""
        self._waiting.put(line)
        if self._signal is None or threading.current_thread() is threading.main_thread():
            self._show_waiting()
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, self._signal)

    complain = show

    def close(self) -> None:
        """Give the signal back."""
        self._show_waiting()
        if self._signal is not None:
            signal.signal(self._signal, self._before)
            self._signal = None

    def _show_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                line = self._waiting.get_nowait()
                if not self._typing:
                    _write(f"{line}\n")
                elif self._readline is None or self._signal is None:
                    _write(f"\r{line}\n{self._prompt}")
                else:
                    typed = self._prompt + self._readline.get_line_buffer()
                    _write(above(line, typed, *shutil.get_terminal_size()))

    def _prepare(self, readline: Any, complete: Callable[[str], list[str]]) -> None:
        def completer(_text: str, index: int) -> str | None:
            words = complete(readline.get_line_buffer()[: readline.get_endidx()])
            return words[index] if index < len(words) else None

        def begin() -> None:
            self._typing = True

        readline.set_completer(completer)
        readline.set_completer_delims(" ")
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
        if hasattr(readline, "set_pre_input_hook"):
            readline.set_pre_input_hook(begin)


def above(line: str, typed: str, columns: int, rows: int) -> str:
    """What to write to show a line above the one being typed, the cursor staying where it is in that.

    Args:
        line: the line to show; it may hold codes for colours.
        typed: the prompt and what is typed so far.
        columns: the width of the terminal.
        rows: its height.
    """
    height = _last_row(line, columns) + 1
    if _width(typed) < columns and height < rows - 1:
        # Make room below, with the cursor's column kept; open as many lines above; write; come back.
        room = "\x1bD" * height + f"\x1b[{height}A"
        return f"{room}\x1b7\r\x1b[{height}L{line}\x1b8\x1b[{height}B"
    # Typed over several rows: where in them the cursor is, readline does not say. Mostly at the end.
    up = _last_row(typed + " ", columns)
    return (f"\x1b[{up}A" if up else "") + f"\r\x1b[J{line}\r\n{typed}"


def _last_row(text: str, columns: int) -> int:
    """In which row, from 0, a text ends that begins in the first column."""
    row = used = 0
    for char in _COLOUR.sub("", text):
        width = _width(char)
        if used + width > columns:  # a wide character does not stand in two rows
            row, used = row + 1, 0
        used += width
    return row


def _width(text: str) -> int:
    """How many columns a text takes in a terminal."""
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in _COLOUR.sub("", text)
    )


def _load_readline() -> Any:
    try:
        return importlib.import_module("readline")
    except ImportError:
        return None


def _write(text: str) -> None:
    """Write to the terminal; also from within a signal's handler, where `print` must not be used."""
    if os.name == "nt":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    data = text.encode(sys.stdout.encoding, "backslashreplace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
