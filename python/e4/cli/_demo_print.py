"""How the demo looks: headings, who does what, bytes in hex, colours on a terminal. Knows no story."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e4.cli._output import colours, painted, shown

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Printer"]

_HEAD, _TAIL = 24, 8  # how many bytes of a long message are shown
_COLUMN = 8
_COLOUR = {"eve": "yellow", "ok": "green", "FAILED": "red"}


class Printer:
    """Writes the story, a line at a time, as it happens.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colours = colours(stream)

    def text(self, text: str = "") -> None:
        """A line of prose."""
        self._write(text)

    def chapter(self, text: str) -> None:
        """A heading over several steps."""
        self._write(f"\n{self._painted(f'=== {text} ===', 'green')}")

    def step(self, number: int, text: str) -> None:
        """The heading of one step."""
        self._write(f"\n{number}. {text}")

    def line(self, who: str, text: str) -> None:
        """What somebody does, or what becomes of it."""
        self._entry(who, text, _COLOUR.get(who))

    def wire(self, topic: str, message: bytes) -> None:
        """A message as the broker passes it on."""
        self._entry("wire", f"{topic}, {len(message)} bytes", "dim")
        self._entry("", abbreviated(message), "dim")

    def _entry(self, who: str, text: str, colour: str | None) -> None:
        line = f"   {who:<{_COLUMN}} {shown(text)}"
        self._write(self._painted(line, colour) if colour else line)

    def _painted(self, text: str, colour: str) -> str:
        return painted(text, colour) if self._colours else text

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def abbreviated(data: bytes) -> str:
    """Bytes in hex; of many, the first and the last."""
    if len(data) <= _HEAD + _TAIL:
        return data.hex()
    return f"{data[:_HEAD].hex()}...{data[-_TAIL:].hex()}"
