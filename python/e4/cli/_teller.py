"""How the events of ``e4 client`` are told: as text for people, as JSON for programs. Knows no command."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from e4.cli._errors import explain
from e4.cli._output import painted, shown
from e4.errors import E4Error, MqttError, TopicKeyMissing

if TYPE_CHECKING:
    from e4.cli._terminal import Lines
    from e4.mqtt import CommandApplied, Message, Refused

__all__ = ["Teller"]


class Teller:
    """Tells what happens: a line of text for people, or a JSON object for programs.

    Args:
        lines: where to.
        as_json: JSON objects, one on a line.
        colour: mark the kinds of lines by colours.
    """

    def __init__(self, lines: Lines, *, as_json: bool, colour: bool) -> None:
        self._lines = lines
        self._json = as_json
        self._colour = colour
        self._connected_once = False
        self._told: Exception | None = None

    def tell(self, event: str, line: str, /, *, colour: str | None = None, **members: Any) -> None:
        """One event. The line is for people, the members are for programs."""
        if self._json:
            self._lines.show(json.dumps({"event": event, **members}))
        else:
            self._lines.show(painted(line, colour) if colour and self._colour else line)

    def message(self, message: Message) -> None:
        """A message came in."""
        text = _text(message.payload)
        if not message.protected and text is None:
            # Such bytes are not published to be read in clear: they are protected, for who has the key.
            self._refused(message.topic, TopicKeyMissing())
            return
        mark, colour = ("", "green") if message.protected else ("(clear) ", "yellow")
        self.tell(
            "message",
            f"[{shown(message.topic)}] {mark}{shown(message.payload)}",
            colour=colour,
            topic=message.topic,
            protected=message.protected,
            retain=message.retain,
            text=text,
            payload=base64.b64encode(message.payload).decode(),
        )

    def refused(self, refused: Refused) -> None:
        """A message came in and was refused."""
        self._refused(refused.topic, refused.reason)

    def command(self, _command: CommandApplied) -> None:
        """C2 has changed the client."""
        self.tell("command", "a command of C2 has been applied", colour="dim")

    def connected(self) -> None:
        """The connection is there, or there again."""
        self._connected_once = True
        self.tell("connected", "connected", colour="dim")

    def disconnected(self, reason: MqttError | None) -> None:
        """The connection is gone; without a reason, because this side ended it."""
        if reason is not None:
            self._told = reason
            self.tell("disconnected", f"{shown(str(reason))}; trying again", colour="red", reason=str(reason))

    def background_error(self, error: E4Error) -> None:
        """Something that nobody waits for has failed."""
        # Each attempt to connect fails for the same reason: once is enough. Before the first success
        # it is for the command as a whole to say.
        if self._connected_once and str(error) != str(self._told):
            self.failed(error)

    def failed(self, error: Exception, line: int | None = None) -> None:
        """A command has failed, or something that went on by itself; told once."""
        if error is self._told:
            return
        self._told = error
        text = explain(error)
        if self._json:
            self._lines.show(
                json.dumps({"event": "error", "error": type(error).__name__, "text": text, "line": line})
            )
        else:
            text = f"e4: {text}" if line is None else f"e4: line {line}: {text}"
            self._lines.complain(painted(text, "red") if self._colour else text)

    def _refused(self, topic: str, reason: E4Error) -> None:
        self.tell(
            "refused",
            f"[{shown(topic)}] refused: {shown(str(reason))}",
            colour="red",
            topic=topic,
            reason=type(reason).__name__,
            text=str(reason),
        )


def _text(payload: bytes) -> str | None:
    """The text that a payload is; None for other bytes, such as a protected message with its timestamp."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
