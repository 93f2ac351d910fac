"""What may be written to a terminal or a pipe: text made safe, colours, JSON. Knows no command."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

__all__ = ["colours", "painted", "print_json", "shown"]

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "dim": 2, "bold": 1}


def shown(text: str | bytes) -> str:
    r"""Text for a terminal, on one line.

    What came from elsewhere must not move the cursor, clear the screen, or look like a second line:
    everything that is not printable is written as an escape (``\n``, ``\x1b``, ``\u202e``), and bytes
    that are not UTF-8 as ``\xff``. A backslash stays as it is: JSON output is there for programs.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="surrogateescape")
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def colours(stream: TextIO) -> bool:
    """Whether to write colours: to a terminal that has them, unless ``NO_COLOR`` is set to anything."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str) -> str:
    """Text between the codes of a colour."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_json(document: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, in ASCII, so that no locale can refuse it."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()
