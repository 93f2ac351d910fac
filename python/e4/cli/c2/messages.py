"""``e4 c2 protect-message`` and ``unprotect-message``: messages protected and opened by the server."""

from __future__ import annotations

import base64
import binascii
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from e4.cli._errors import Failed, Usage
from e4.cli._options import JsonFlag
from e4.cli._output import shown
from e4.cli.c2._access import Access
from e4.cli.c2._group import Entry, add
from e4.cli.c2._show import document

__all__ = ["register"]

_FORMATS = ("raw", "hex", "base64")

_Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic.")]


@dataclass(frozen=True)
class _Data:
    """Where the bytes come from, and how the answer is written."""

    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Take the bytes of this file.")
    ] = None
    hex: Annotated[
        str | None,
        typer.Option("--hex", metavar="TEXT", help="Take these bytes, in hex; '-': from standard input."),
    ] = None
    base64: Annotated[
        str | None,
        typer.Option(
            "--base64", metavar="TEXT", help="Take these bytes, in base64; '-': from standard input."
        ),
    ] = None
    print_format: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="raw|hex|base64",
            help="How to print the answer.",
            show_default="raw in a pipe",
        ),
    ] = None
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the answer's bytes there instead.")
    ] = None
    as_json: JsonFlag = False

    def check(self) -> None:
        """Raises `Usage` for options that do not go together."""
        if sum(source is not None for source in (self.file, self.hex, self.base64)) > 1:
            raise Usage("--file, --hex and --base64 exclude each other: give one of them")
        if self.print_format is not None and self.print_format not in _FORMATS:
            raise Usage("--print is raw, hex or base64")
        if sum((self.print_format is not None, self.out is not None, self.as_json)) > 1:
            raise Usage("--print, --out and --json exclude each other: give one of them")

    def read(self) -> bytes:
        """The bytes. Raises `Usage` where a text is not what it should be."""
        if self.file is not None:
            return self.file.read_bytes()
        if self.hex is not None:
            try:
                return bytes.fromhex(_text(self.hex))
            except ValueError:
                raise Usage("--hex is an even number of hex digits") from None
        if self.base64 is not None:
            try:
                return base64.b64decode("".join(_text(self.base64).split()), validate=True)
            except (binascii.Error, ValueError):
                raise Usage("--base64 is not base64") from None
        if sys.stdin.isatty():
            print("e4: the bytes come from the terminal, up to Ctrl-D", file=sys.stderr)
        return sys.stdin.buffer.read()

    def write(self, answer: bytes, *, readable: bool, **members: object) -> None:
        """Print the answer or write it to a file.

        Args:
            readable: on a terminal, print it as the text it may be, and not in base64.
            members: what else the JSON document holds.
        """
        if self.as_json:
            document({**members, "data": base64.b64encode(answer).decode()})
        elif self.out is not None:
            self.out.write_bytes(answer)
        elif self.print_format == "hex":
            print(answer.hex())
        elif self.print_format == "base64" or (
            self.print_format is None and sys.stdout.isatty() and not readable
        ):
            print(base64.b64encode(answer).decode())
        elif self.print_format is None and sys.stdout.isatty():
            print(shown(answer))
        else:
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()


def _text(given: str) -> str:
    return sys.stdin.read() if given == "-" else given


def _protect(topic: _Topic, data: _Data, *, access: Access) -> None:
    data.check()
    payload = data.read()
    if not payload:
        raise Failed("there is nothing to protect: give the bytes on standard input, or with --file")
    with access.remote() as remote:
        message = remote.protect_message(topic, payload)
    data.write(message, readable=False, topic=topic, protected=True)


def _unprotect(topic: _Topic, data: _Data, *, access: Access) -> None:
    data.check()
    message = data.read()
    with access.remote() as remote:
        payload = remote.unprotect_message(topic, message)
    data.write(payload, readable=True, topic=topic, protected=False)


_MORE = (
    "The bytes come from standard input if no option says otherwise. The answer is printed as it is in a "
    "pipe; on a terminal so that it can do no harm there. Needs a token with the right to protect."
)
_COMMANDS = (
    Entry(
        "protect-message",
        _protect,
        "Protect a message under a topic's key, on the server.",
        "room --file message.txt --out message.e4\nroom --hex 6f70656e --print base64",
        _MORE,
    ),
    Entry(
        "unprotect-message",
        _unprotect,
        "Check and open a protected message, on the server.",
        "room --file message.e4\nroom --base64 -",
        _MORE,
    ),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    add(app, "e4 c2", _COMMANDS)
