"""Telling the user: of messages, commands, refusals, connections and errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from e4.errors import E4Error, MqttError
from e4.mqtt._gate import CommandApplied, Message, Refused

__all__ = ["Callbacks"]

_logger = logging.getLogger("e4.mqtt")


@dataclass(slots=True)
class Callbacks:
    """The user's functions; each may be None. What one of them raises ends in the log."""

    on_message: Callable[[Message], None] | None = None
    on_refused: Callable[[Refused], None] | None = None
    on_command: Callable[[CommandApplied], None] | None = None
    on_connect: Callable[[], None] | None = None
    on_disconnect: Callable[[MqttError | None], None] | None = None
    on_error: Callable[[E4Error], None] | None = None

    def received(self, outcome: Message | CommandApplied | Refused | None) -> None:
        """What became of a received message."""
        if isinstance(outcome, Message):
            _call(self.on_message, outcome)
        elif isinstance(outcome, CommandApplied):
            _logger.debug("command on %s applied", outcome.topic)
            _call(self.on_command, outcome)
        elif isinstance(outcome, Refused):
            _logger.info("message on %r refused: %s", outcome.topic, outcome.reason)
            _call(self.on_refused, outcome)

    def connected(self) -> None:
        """The connection is there, with all subscriptions."""
        _call(self.on_connect)

    def disconnected(self, error: MqttError | None) -> None:
        """The connection has ended: lost, or (None) left."""
        if error is not None:
            _logger.warning("%s", error)
        _call(self.on_disconnect, error)

    def failed(self, error: E4Error) -> None:
        """An error that no caller is there to be told of, or not every caller."""
        _logger.warning("%s", error)
        _call(self.on_error, error)


def _call(function: Callable[..., None] | None, *arguments: object) -> None:
    if function is None:
        return
    try:
        function(*arguments)
    except Exception:
        _logger.exception("a callback has failed")
